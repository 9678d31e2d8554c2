"""Receipts of visits: a guest's pours and movements of money from the visit's opening to its closing.

The movements are bounded by their ids, which a trigger keeps with the visit; visits of before that was kept are bounded by time.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct
from tapwire_core.domain.receipts import Moved, Receipt, ReceiptPour, sold, sum_up
from tapwire_core.domain.venue_scope import VenueScope

_STAY: Final = """
    SELECT visit_id, venue_id, guest_id, opened_at, closed_at,
        coalesce(opened_after_movement, (
            SELECT max(movement_id) FROM money_movements its WHERE its.guest_id = visits.guest_id AND created_at < opened_at),
            0) AS after,
        CASE WHEN closed_at IS NOT NULL THEN coalesce(closed_after_movement, (
            SELECT max(movement_id) FROM money_movements its WHERE its.guest_id = visits.guest_id AND created_at <= closed_at),
            0) END AS up_to,
        coalesce(paid_out_minor, 0) AS paid_out_minor
    FROM visits LEFT JOIN check_outs USING (visit_id) WHERE visit_id = $1"""
_OPENING: Final = """
    SELECT coalesce(sum(CASE 'guest' WHEN credit_account THEN amount_minor WHEN debit_account THEN -amount_minor ELSE 0 END), 0)
    FROM money_movements WHERE guest_id = $1 AND movement_id <= $2"""
_MOVED: Final = """
    SELECT debit_account, credit_account, moved.incident_id IS NOT NULL AS by_incident,
        reverses_movement_id IS NOT NULL OR coalesce(returned.cause IN ('dispute', 'refund'), false) AS is_reversal,
        pours.tax_rate_bp, sum(moved.amount_minor)::bigint AS amount_minor
    FROM money_movements AS moved LEFT JOIN pours USING (pour_id)
    LEFT JOIN payment_returns AS returned ON return_id = payment_return_id
    WHERE moved.guest_id = $1 AND movement_id > $2 AND ($3::bigint IS NULL OR movement_id <= $3)
    AND 'guest' IN (debit_account, credit_account)
    GROUP BY 1, 2, 3, 4, 5"""
_POURS: Final = """
    SELECT pour_id, coalesce((
            SELECT name FROM beverage_names
            WHERE beverage_names.beverage_id = pours.beverage_id
            ORDER BY since > authorized_at, CASE WHEN since > authorized_at THEN since END, since DESC LIMIT 1),
            beverages.name) AS beverage,
        pours.volume_ml, pours.sell_price_per_liter_minor, pours.amount_minor, settled_at
    FROM pours JOIN beverages USING (beverage_id)
    WHERE pour_id IN (
        SELECT pour_id FROM pours
        WHERE visit_id = $1 AND sync_status <> 'pending_sync' AND (volume_ml > 0 OR amount_minor > 0)
        UNION SELECT pour_id FROM money_movements JOIN pours USING (pour_id)
        WHERE money_movements.guest_id = $2 AND movement_id > $3 AND ($4::bigint IS NULL OR movement_id <= $4)
        AND (debit_account, credit_account) = ('guest', 'sales') AND incident_id IS NULL
        AND ($5::text[] IS NULL OR pours.venue_id = ANY($5)))
    ORDER BY authorized_at, pour_id"""
"""A late check-out's receipt has movements of later visits, and so their pours too: of the reader's venues ($5, null: all)."""


class _Stay(Struct, frozen=True):
    """A visit, and the ids of movements that bound it. `up_to`: null while it is active."""

    visit_id: UUID
    venue_id: str
    guest_id: UUID
    opened_at: datetime
    closed_at: datetime | None
    after: int
    up_to: int | None
    paid_out_minor: int


async def read_receipt(store: Store, visit_id: UUID, scope: VenueScope) -> Receipt | None:
    """The receipt of a visit; None when there is no such visit. `scope`: of the reader, who sees no pours of other venues."""
    stay = as_struct(await store.connection.fetchrow(_STAY, visit_id), _Stay)
    if stay is None:
        return None
    opening_minor: int = await store.connection.fetchval(_OPENING, stay.guest_id, stay.after)
    moved = await store.connection.fetch(_MOVED, stay.guest_id, stay.after, stay.up_to)
    venue_ids = None if scope.venue_ids is None else sorted(scope.venue_ids)
    pours = await store.connection.fetch(_POURS, visit_id, stay.guest_id, stay.after, stay.up_to, venue_ids)
    movements = [msgspec.convert(dict(row), Moved) for row in moved]
    sums = sum_up(int(opening_minor), movements, stay.paid_out_minor)
    return Receipt(
        visit_id=stay.visit_id,
        venue_id=stay.venue_id,
        opened_at=stay.opened_at,
        closed_at=stay.closed_at,
        pours=tuple(msgspec.convert(dict(row), ReceiptPour) for row in pours),
        tax=tuple(sold(movements)),
        currency=store.policy.currency,
        **msgspec.structs.asdict(sums),
    )
