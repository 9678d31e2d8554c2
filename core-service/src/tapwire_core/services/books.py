"""The check of the books: sums that must be equal, and their differences (SYSTEM.md, "Money")."""

from tapwire_core.db.engine import Database
from tapwire_core.db.writes import books
from tapwire_core.db.writes.books import RULES as BOOK_RULES
from tapwire_core.db.writes.books import Backlog, Difference

__all__ = ["BOOK_RULES", "Difference", "check_books", "count_backlog"]


async def check_books(db: Database) -> list[Difference]:
    """List the differences in the books; an empty list proves that they balance.

    It reads one snapshot, so that it can check a running system.
    """
    async with db.snapshot() as store:
        return await books.differences(store)


async def count_backlog(db: Database) -> Backlog:
    """Count pours, incidents and commands that wait for a report, a person or the broker."""
    async with db.snapshot() as store:
        return await books.count_backlog(store)
