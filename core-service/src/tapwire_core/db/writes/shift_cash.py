"""The cash of a shift's drawer: its sums under the shift's lock, its movements and its counts."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from tapwire_core.db.store import Store
from tapwire_core.db.tables import MoneyMovement
from tapwire_core.db.writes.rows import as_struct
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.change_records import MoneyMoved
from tapwire_core.domain.drawer import Drawer


class LastCount(Struct, frozen=True, kw_only=True):
    """The latest count of a shift's drawer."""

    count_id: int
    counted_minor: int
    expected_minor: int
    over_short_minor: int
    counted_by: str
    counted_at: datetime


async def read_drawer(store: Store, shift_id: UUID) -> Drawer:
    """A shift's drawer by the books; the shift's lock keeps it unchanged."""
    row = await store.connection.fetchrow(
        """SELECT coalesce(sum(CASE WHEN debit_account = 'cash' THEN amount_minor ELSE -amount_minor END)
                   FILTER (WHERE count_id IS NULL), 0)::bigint AS expected_minor,
               coalesce(sum(CASE WHEN debit_account = 'cash' THEN amount_minor ELSE -amount_minor END)
                   FILTER (WHERE count_id IS NOT NULL AND 'over_short' IN (debit_account, credit_account)), 0)::bigint
                   AS over_short_minor,
               coalesce(sum(CASE WHEN debit_account = 'safe' THEN amount_minor ELSE -amount_minor END)
                   FILTER (WHERE count_id IS NOT NULL AND 'safe' IN (debit_account, credit_account)), 0)::bigint
                   AS deposited_minor
           FROM money_movements WHERE shift_id = $1 AND 'cash' IN (debit_account, credit_account)""",
        shift_id,
    )
    return Drawer(**row)


async def last_count(store: Store, shift_id: UUID) -> LastCount | None:
    """The latest count of a shift's drawer."""
    row = await store.connection.fetchrow(
        """SELECT count_id, counted_minor, expected_minor, over_short_minor, counted_by, counted_at
           FROM shift_counts WHERE shift_id = $1 ORDER BY count_id DESC LIMIT 1""",
        shift_id,
    )
    return as_struct(row, LastCount)


async def add_count(
    store: Store, actor: Actor, shift_id: UUID, venue_id: str, expected_minor: int, counted_minor: int, reason: str | None
) -> LastCount:
    """Write a count."""
    row = await store.connection.fetchrow(
        """INSERT INTO shift_counts (shift_id, venue_id, counted_minor, expected_minor, over_short_minor, reason, counted_by)
           VALUES ($1, $2, $3::bigint, $4::bigint, $3::bigint - $4::bigint, $5, $6)
           RETURNING count_id, counted_minor, expected_minor, over_short_minor, counted_by, counted_at""",
        shift_id,
        venue_id,
        counted_minor,
        expected_minor,
        reason,
        actor.name,
    )
    counted = as_struct(row, LastCount)
    assert counted is not None
    return counted


async def move_cash(
    store: Store,
    actor: Actor,
    shift_id: UUID,
    venue_id: str,
    moved: Iterable[MoneyMoved],
    *,
    reason: str | None = None,
    count_id: int | None = None,
) -> None:
    """Write movements of the shift's drawer; `count_id`: the count that books them."""
    for one in moved:
        await store.insert(
            MoneyMovement,
            debit_account=one.debit_account.value,
            credit_account=one.credit_account.value,
            amount_minor=one.amount_minor,
            venue_id=venue_id,
            shift_id=shift_id,
            reason=reason,
            count_id=count_id,
            actor=actor.name,
            request_id=actor.request_id,
        )
