"""Guests' own pages: their tokens' hashes and seals, and the visits that they show.

A page ends 24 hours after its visit; `is_over` ends it too when the database's clock was set back by longer.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct

from tapwire_core.db.clock import CLOCK_TOLERANCE
from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct

LIFETIME_AFTER_VISIT: Final = timedelta(hours=24)
LONGEST: Final = LIFETIME_AFTER_VISIT + CLOCK_TOLERANCE


class KeptPage(Struct, frozen=True):
    """A visit, and what is kept of its page. `closes_at`: null while the visit is active.

    `is_over`: the page ended, by the time since the visit or because somebody ended it.
    """

    visit_id: UUID
    guest_id: UUID
    venue_id: str
    sealed_token: str | None
    closes_at: datetime | None
    is_over: bool


class GuestOfPage(Struct, frozen=True):
    """Who a page is for: the visit that it was made with."""

    visit_id: UUID
    guest_id: UUID
    venue_id: str


async def read_page(store: Store, visit_id: UUID) -> KeptPage | None:
    """What is kept of a visit's page; None when there is no such visit."""
    row = await store.connection.fetchrow(
        """SELECT visit_id, guest_id, venue_id, sealed_token, closed_at + $2::interval AS closes_at,
               ended_at IS NOT NULL OR coalesce(is_over(closed_at + $2::interval, $3), false) AS is_over
           FROM visits LEFT JOIN guest_pages USING (visit_id) WHERE visit_id = $1""",
        visit_id,
        LIFETIME_AFTER_VISIT,
        LONGEST,
    )
    return as_struct(row, KeptPage)


async def keep_token(store: Store, visit_id: UUID, token_hash: bytes, sealed_token: str) -> None:
    """Give a visit's page this token, in place of the one that it had."""
    await store.connection.execute(
        """INSERT INTO guest_pages (visit_id, token_hash, sealed_token) VALUES ($1, $2, $3)
           ON CONFLICT (visit_id) DO UPDATE SET token_hash = $2, sealed_token = $3, made_at = now()""",
        visit_id,
        token_hash,
        sealed_token,
    )


async def guest_of_token(store: Store, token_hash: bytes) -> GuestOfPage | None:
    """Whose page has this token; None for one that is unknown or has ended."""
    row = await store.connection.fetchrow(
        """SELECT visit_id, guest_id, venue_id FROM guest_pages JOIN visits USING (visit_id)
           WHERE token_hash = $1 AND NOT coalesce(is_over(closed_at + $2::interval, $3), false)""",
        token_hash,
        LIFETIME_AFTER_VISIT,
        LONGEST,
    )
    return as_struct(row, GuestOfPage)


async def end_pages(store: Store, guest_id: UUID) -> None:
    """End all pages of a guest for good; a visit that has none gets none later."""
    await store.connection.execute(
        """INSERT INTO guest_pages (visit_id, ended_at) SELECT visit_id, now() FROM visits WHERE guest_id = $1
           ON CONFLICT (visit_id) DO UPDATE SET token_hash = NULL, sealed_token = NULL,
               ended_at = coalesce(guest_pages.ended_at, now())""",
        guest_id,
    )


async def read_random_bytes(store: Store) -> bytes:
    """The installation's random bytes, of which the sealing key is derived; the first who asks has the database make them."""
    asked = "SELECT random_bytes FROM guest_page_key"
    found: bytes | None = await store.connection.fetchval(asked)
    if found is None:
        await store.connection.execute("INSERT INTO guest_page_key DEFAULT VALUES ON CONFLICT DO NOTHING")
        found = await store.connection.fetchval(asked)
    assert found is not None
    return found
