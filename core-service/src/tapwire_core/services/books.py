"""The books check: what must be equal, and where it is not (SYSTEM.md, "Money")."""

from tapwire_core.db.engine import Database
from tapwire_core.db.writes import books
from tapwire_core.db.writes.books import RULES as BOOK_RULES
from tapwire_core.db.writes.books import Backlog, Difference

__all__ = ["BOOK_RULES", "Difference", "check_books", "count_backlog"]


async def check_books(db: Database) -> list[Difference]:
    """Every place where the books do not balance, each named; an empty list proves that they do.

    All is read from one snapshot, so that a running system can be checked.
    """
    async with db.snapshot() as store:
        return await books.differences(store)


async def count_backlog(db: Database) -> Backlog:
    """Count what waits for a report, a person or the broker."""
    async with db.snapshot() as store:
        return await books.count_backlog(store)
