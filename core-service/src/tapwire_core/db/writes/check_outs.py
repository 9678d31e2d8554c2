"""Check-outs: what was asked for and paid, unpaid incidents, and the movements of a visit that was closed before."""

from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from tapwire_contracts.reasons import IncidentKind
from tapwire_core.db.store import Store
from tapwire_core.db.tables import CheckOut
from tapwire_core.db.writes.rows import as_struct
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.check_outs import CheckOutWish


class UnresolvedIncident(Struct, frozen=True):
    """An unresolved incident of a guest's pour. `sales_minor`: what its pour has brought so far."""

    incident_id: UUID
    kind: IncidentKind
    venue_id: str | None
    details: dict[str, Any]
    sales_minor: int


async def wish_of_check_out(store: Store, visit_id: UUID) -> CheckOutWish | None:
    """What the visit's check-out was asked for; None if it was not checked out. The visit must be locked."""
    row = await store.connection.fetchrow(
        "SELECT payout_method AS payout, card_returned, despite_incidents, reason FROM check_outs WHERE visit_id = $1", visit_id
    )
    return as_struct(row, CheckOutWish)


async def unresolved_incidents_of_guest(store: Store, guest_id: UUID) -> list[UnresolvedIncident]:
    """Unresolved incidents of the guest's pours, the oldest first; a report that named a pour not its own is none of them."""
    rows = await store.connection.fetch(
        """SELECT incident_id, kind, incidents.venue_id, details, (
               SELECT coalesce(sum(amount_minor), 0)::bigint FROM money_movements
               WHERE money_movements.pour_id = incidents.pour_id AND credit_account = 'sales') AS sales_minor
           FROM pours JOIN incidents USING (pour_id)
           WHERE pours.guest_id = $1 AND incidents.status <> 'resolved' AND kind <> 'missing_pending'
           ORDER BY raised_at, incident_id""",
        guest_id,
    )
    return [msgspec.convert({**dict(row), "details": msgspec.json.decode(row["details"])}, UnresolvedIncident) for row in rows]


class AccountAtEnd(Struct, frozen=True):
    """What a check-out of a visit would find: the guest's account, and the deposit on the visit's card if it can be returned."""

    available_minor: int
    house_credit_minor: int
    returnable: bool
    deposit_minor: int


async def account_at_end(store: Store, visit_id: UUID) -> AccountAtEnd | None:
    """Read what a check-out of the visit would find now; None when there is no such visit."""
    row = await store.connection.fetchrow(
        """SELECT balance_minor - held_minor AS available_minor, house_credit_minor,
               coalesce(cards.status = 'bound' AND cards.guest_id = visits.guest_id, false) AS returnable,
               CASE WHEN cards.status = 'bound' AND cards.guest_id = visits.guest_id THEN deposit_minor ELSE 0 END AS deposit_minor
           FROM visits JOIN guests USING (guest_id) LEFT JOIN cards USING (card_uid) WHERE visit_id = $1""",
        visit_id,
    )
    return as_struct(row, AccountAtEnd)


async def keep_check_out(store: Store, actor: Actor, visit_id: UUID, wish: CheckOutWish, paid_out_minor: int) -> None:
    """Keep what was asked for and paid."""
    await store.insert(
        CheckOut,
        visit_id=visit_id,
        payout_method=wish.payout,
        card_returned=wish.card_returned,
        despite_incidents=wish.despite_incidents,
        reason=wish.reason,
        paid_out_minor=paid_out_minor,
        checked_out_by=actor.name,
    )


async def take_in_later_movements(store: Store, visit_id: UUID, guest_id: UUID) -> None:
    """Let the receipt of a visit that was closed before go up to the guest's newest movement: the check-out belongs to it."""
    await store.connection.execute(
        """UPDATE visits SET closed_after_movement = (
               SELECT coalesce(max(movement_id), 0) FROM money_movements WHERE guest_id = $2)
           WHERE visit_id = $1""",
        visit_id,
        guest_id,
    )
