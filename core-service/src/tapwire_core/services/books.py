"""The books check: what must be equal, and where it is not (SYSTEM.md, "Money")."""

from tapwire_core.db.engine import Database
from tapwire_core.db.writes import books
from tapwire_core.db.writes.books import Difference


async def check_books(db: Database) -> list[Difference]:
    """Every place where the books do not balance, each named; an empty list proves that they do.

    All is read from one snapshot, so that a running system can be checked.
    """
    async with db.snapshot() as store:
        return await books.differences(store)
