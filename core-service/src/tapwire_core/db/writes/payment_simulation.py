"""What the provider `test` keeps in place of a company: its pages to pay, in transactions of its own."""

from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import Struct

from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct


class KeptCheckout(Struct, frozen=True, kw_only=True):
    """A page to pay. `state`: open, paid or expired; `ids` and `returns`, as JSON: of whom it is, and what went back of it."""

    provider_id: str
    payment_id: UUID
    amount_minor: int
    state: str
    return_url: str
    secret: str
    ids: str
    returns: str


_COLUMNS = ", ".join(KeptCheckout.__struct_fields__)


async def insert_checkout(store: Store, checkout: KeptCheckout) -> None:
    """Add a page to pay; the same page again changes nothing."""
    await store.connection.execute(
        f"""INSERT INTO simulated_checkouts ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (provider_id) DO NOTHING""",  # noqa: S608 - ours
        *msgspec.structs.astuple(checkout),
    )


async def read_checkout(store: Store, provider_id: str) -> KeptCheckout | None:
    """A page to pay, locked for a change."""
    row = await store.connection.fetchrow(
        f"SELECT {_COLUMNS} FROM simulated_checkouts WHERE provider_id = $1 FOR NO KEY UPDATE",  # noqa: S608 - ours
        provider_id,
    )
    return as_struct(row, KeptCheckout)


async def checkouts_since(store: Store, since: datetime, until: datetime | None) -> list[KeptCheckout]:
    """The pages that were made in a period, the oldest first; without its end also those of which money went back."""
    rows = await store.connection.fetch(
        f"""SELECT {_COLUMNS} FROM simulated_checkouts
            WHERE created_at >= $1 AND ($2::timestamptz IS NULL OR created_at <= $2)
            OR $2 IS NULL AND returns <> '[]' ORDER BY created_at""",  # noqa: S608 - ours
        since,
        until,
    )
    return [msgspec.convert(dict(row), KeptCheckout) for row in rows]


async def change_checkout(store: Store, provider_id: str, state: str, returns: str) -> None:
    """Set what became of a page."""
    await store.connection.execute(
        "UPDATE simulated_checkouts SET state = $2, returns = $3 WHERE provider_id = $1", provider_id, state, returns
    )
