"""Books around books: two that must agree, and one whose every use case is told."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast
from uuid import UUID

import msgspec

from tapwire_contracts.messages import Message, message_type
from tests.simulation.books.interface import Books

Say = Callable[[str], None]

UNTOLD: Final = frozenset(
    {"display", "read_at", "started_at", "software", "contract_version", "uptime_ms", "boot_id", "reader_id", "beverage", "locale"}
)
"""Fields of a message that no story needs."""
UUID_TAIL: Final = re.compile(r"([0-9a-f]{8})(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def brief(thing: object) -> str:
    """A message or an argument, short enough to be read."""
    match thing:
        case str() if thing.startswith("{"):
            return brief(msgspec.json.decode(thing))
        case Message():
            return brief({"type": message_type(type(thing)), **msgspec.to_builtins(thing)})
        case dict():
            shown = ", ".join(f"{key} {brief(value)}" for key, value in thing.items() if key not in {*UNTOLD, "type"})
            return f"{thing.get('type', '')}[{shown}]"
        case list() | tuple():
            return f"[{', '.join(brief(part) for part in thing)}]"
        case UUID():
            return str(thing)[:8]
        case str():
            return UUID_TAIL.sub(r"\1", thing)
        case _:
            return str(thing)


class _Both:
    """Does everything in a ledger and in a database, and insists on the same answer."""

    def __init__(self, ledger: Books, postgres: Books) -> None:
        self._ledger, self._postgres = ledger, postgres

    async def open_visit(self, guest_id: UUID, card_uid: str, visit_id: UUID, patrons: int = 1) -> UUID | str:
        """The database makes the visit's id, the ledger takes it over."""
        opened = await self._postgres.open_visit(guest_id, card_uid, visit_id, patrons)
        taken_over = opened if isinstance(opened, UUID) else visit_id
        _same("open_visit", await self._ledger.open_visit(guest_id, card_uid, taken_over, patrons), opened)
        return opened

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


class _Told:
    def __init__(self, books: Books, say: Say) -> None:
        self._books, self._say = books, say

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def told(*arguments: object, **options: object) -> Any:
            answer = await getattr(self._books, name)(*arguments, **options)
            if name != "statement" and answer != []:
                said = [brief(argument) for argument in arguments] + [f"{key}={value}" for key, value in options.items()]
                self._say(f"{name}({', '.join(said)}) → {brief(answer)}")
            return answer

        return told


def told(books: Books, say: Say) -> Books:
    """Books of which every use case is told, with its answer."""
    return cast("Books", _Told(books, say))
