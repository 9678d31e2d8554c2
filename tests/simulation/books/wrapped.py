"""Books around books: two that must agree, and one whose every use case is told."""

from collections.abc import Awaitable, Callable
from typing import Any, cast
from uuid import UUID

from tests.simulation.books.interface import Books

Say = Callable[[str], None]


class _Both:
    """Does everything in a ledger and in a database, and insists on the same answer."""

    def __init__(self, ledger: Books, postgres: Books) -> None:
        self._ledger, self._postgres = ledger, postgres

    async def open_visit(self, guest_id: UUID, card_uid: str, visit_id: UUID) -> UUID | str:
        """The database makes the visit's id, the ledger takes it over."""
        opened = await self._postgres.open_visit(guest_id, card_uid, visit_id)
        return _same("open_visit", await self._ledger.open_visit(guest_id, card_uid, _id_or(opened, visit_id)), opened)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def both(*arguments: object, **options: object) -> Any:
            imagined = await getattr(self._ledger, name)(*arguments, **options)
            return _same(name, imagined, await getattr(self._postgres, name)(*arguments, **options))

        return both


def both(ledger: Books, postgres: Books) -> Books:
    """Books in two places; raises `AssertionError` where they differ."""
    return cast("Books", _Both(ledger, postgres))


def _same(name: str, imagined: Any, found: Any) -> Any:
    assert imagined == found, f"{name}: the ledger says {imagined}, the database {found}"
    return found


def _id_or(opened: UUID | str, otherwise: UUID) -> UUID:
    return opened if isinstance(opened, UUID) else otherwise


class _Told:
    def __init__(self, books: Books, say: Say) -> None:
        self._books, self._say = books, say

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def told(*arguments: object, **options: object) -> Any:
            answer = await getattr(self._books, name)(*arguments, **options)
            if name != "statement" and answer != []:
                said = [str(argument) for argument in arguments] + [f"{key}={value}" for key, value in options.items() if value]
                self._say(f"{name}({', '.join(said)}) → {answer}")
            return answer

        return told


def told(books: Books, say: Say) -> Books:
    """Books of which every use case is told, with its answer."""
    return cast("Books", _Told(books, say))
