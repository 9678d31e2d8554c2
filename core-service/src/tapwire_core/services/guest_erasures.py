"""Export and erasure of guests (SYSTEM.md, "Personal data").

An erasure locks the guest's cards and then the guest, as everything does that opens a visit, moves money or settles a pour: of what
comes at once, what has the guest's row first is done, and the other one is refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import Database, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.views.guest_exports import GuestExport, read_export
from tapwire_core.db.writes import guest_erasures as writes
from tapwire_core.db.writes import guests as guest_writes
from tapwire_core.db.writes.guest_erasures import LongUnseen, Unsettled
from tapwire_core.domain.actor import CORE, Actor
from tapwire_core.domain.venue_scope import ALL_VENUES, VenueScope
from tapwire_core.errors import AllVenuesRequired, NotFound, Refused
from tapwire_core.services.guest_pages import end_pages_of
from tapwire_core.services.guests import PERSONAL, GuestErased, require_guest

BEFORE_RESTORE: Final = "erased before a restore brought them back"
"""The reason of an erasure that a restore had undone."""


class GuestNotSettled(Refused):
    """Something of the guest's is not settled: a visit, a pour, money, or an incident."""

    code = "guest_not_settled"


@use_case
async def export_guest(store: Store, actor: Actor, guest_id: UUID, scope: VenueScope = ALL_VENUES) -> GuestExport:
    """All that is kept about a guest; audited. `scope`: of the actor, who needs all venues for a guest that was seen elsewhere.

    It locks nobody: much is kept of some guests, and taps don't wait while it is read.
    """
    await _require_own_venues(store, guest_id, scope)
    await store.audit(AuditAction.GUEST_EXPORTED, actor, guest_id, venue_id=scope.only_venue_id)
    export = await read_export(store, guest_id, scope)
    if export is None:
        raise NotFound("guest", guest_id)
    return export


@use_case
async def read_unsettled(store: Store, guest_id: UUID, scope: VenueScope = ALL_VENUES) -> Unsettled | None:
    """What keeps a guest from being erased now, for an actor of these venues; None when all is settled."""
    await _require_own_venues(store, guest_id, scope)
    return await writes.read_unsettled(store, guest_id)


@use_case
async def erase_guest(store: Store, actor: Actor, guest_id: UUID, reason: str, scope: VenueScope = ALL_VENUES) -> None:
    """Forget who a guest is, for good; ids and books stay. Raises `GuestNotSettled` and `AllVenuesRequired`."""
    await writes.lock_cards_of_guest(store, guest_id)
    await require_guest(store, guest_id)
    await _require_own_venues(store, guest_id, scope)
    unsettled = await writes.read_unsettled(store, guest_id)
    if unsettled is not None:
        raise GuestNotSettled("Settle this first, then erase the guest.", guest_id=guest_id, **unsettled.facts)
    await _erase(store, actor, guest_id, reason, scope.only_venue_id)


async def erase_unseen_guests(db: Database, days: int | None) -> int:
    """Erase guests who were not seen for `days` and have nothing, and those of a restore who are settled now; returns the number.

    Each in a transaction of its own, so that none waits for others.
    """
    erased = 0
    for guest_id in await _read_due(db):
        erased += await _try_to_erase(db, guest_id, BEFORE_RESTORE)
    after: LongUnseen | None = None
    while days is not None and (page := await _read_long_unseen(db, days, after)):
        for guest in page:
            if guest.erasable:
                erased += await _try_to_erase(db, guest.guest_id, f"not seen for {days} days")
        after = page[-1]
    return erased


@dataclass(frozen=True, slots=True)
class ErasuresRepeated:
    """Guests who were erased again after a restore; `unsettled`: those who are nobody again, but have something open."""

    erased: list[UUID] = field(default_factory=list)
    unsettled: dict[UUID, Unsettled] = field(default_factory=dict)


async def repeat_erasures(db: Database, actor: Actor, guest_ids: Iterable[UUID]) -> ErasuresRepeated:
    """Erase these guests again, whom a restore may have brought back; ids that the books don't have are passed over.

    One with whom something is not settled in these books loses the names at once, is blocked, and is erased as soon as it is.
    """
    repeated = ErasuresRepeated()
    for guest_id in guest_ids:
        open_points = await _repeat_erasure(db, actor, guest_id)
        if isinstance(open_points, Unsettled):
            repeated.unsettled[guest_id] = open_points
        elif open_points:
            repeated.erased.append(guest_id)
    return repeated


@use_case
async def _repeat_erasure(store: Store, actor: Actor, guest_id: UUID) -> Unsettled | bool:
    """Return what is not settled, or whether the guest was erased now."""
    await writes.lock_cards_of_guest(store, guest_id)
    guest = await guest_writes.lock_guest(store, guest_id)
    if guest is None or guest.erased:
        return False
    unsettled = await writes.read_unsettled(store, guest_id)
    if unsettled is None:
        await _erase(store, actor, guest_id, BEFORE_RESTORE)
        return True
    if not guest.erasure_due:
        await writes.forget_person(store, guest_id)
        await end_pages_of(store, guest_id)
        await writes.set_erasure_due(store, guest_id)
        details = {"changed": sorted({*PERSONAL, "blocked"}), "blocked": True, "why": BEFORE_RESTORE}
        await store.audit(AuditAction.GUEST_CHANGED, actor, guest_id, details=details)
    return unsettled


async def _erase(store: Store, actor: Actor, guest_id: UUID, reason: str, venue_id: str | None = None) -> None:
    """Erase a locked guest with whom all is settled. All else that leads to a person ends here."""
    cards = await writes.retire_cards_of_guest(store, guest_id)
    await writes.forget_person(store, guest_id)
    await end_pages_of(store, guest_id)
    await writes.set_erased(store, guest_id)
    await store.audit(AuditAction.GUEST_ERASED, actor, guest_id, *cards, details={"reason": reason}, venue_id=venue_id)


async def _require_own_venues(store: Store, guest_id: UUID, scope: VenueScope) -> None:
    if scope.venue_ids is not None and await writes.is_seen_elsewhere(store, guest_id, scope.venue_ids):
        raise AllVenuesRequired("The guest was seen at other venues too: this needs an operator of all venues.")


async def _try_to_erase(db: Database, guest_id: UUID, reason: str) -> bool:
    """Erase a guest, unless they came back, or somebody else erased them, in between."""
    try:
        await erase_guest(db, CORE, guest_id, reason)
    except (GuestNotSettled, GuestErased):
        return False
    return True


@use_case
async def _read_due(store: Store) -> list[UUID]:
    return await writes.read_due(store)


@use_case
async def _read_long_unseen(store: Store, days: int, after: LongUnseen | None) -> list[LongUnseen]:
    return await writes.read_long_unseen(store, days, after)


@use_case
async def count_erasures(store: Store) -> writes.ErasureCount:
    """How many guests are erased, and when the latest was."""
    return await writes.count_erasures(store)


@use_case
async def list_erased(store: Store) -> list[UUID]:
    """The erased guests, by id."""
    return await writes.read_erased(store)
