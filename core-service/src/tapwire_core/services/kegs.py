"""Kegs: stock, and bookings of volume that no pour took."""

from datetime import date
from typing import Final, TypedDict, Unpack
from uuid import UUID, uuid4

from msgspec import Struct
from msgspec.structs import asdict

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.decisions import write_changes
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.tables import Keg
from tapwire_core.db.writes import beverages as beverage_writes
from tapwire_core.db.writes import kegs as writes
from tapwire_core.db.writes import shifts as shift_writes
from tapwire_core.db.writes import taps as tap_writes
from tapwire_core.db.writes.kegs import LockedKeg
from tapwire_core.db.writes.rows import change_row
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import KegStatus, Role, StockKind
from tapwire_core.errors import Invalid, NotFound, Refused, RoleRequired
from tapwire_core.services.keg_warnings import end_warnings
from tapwire_core.services.request_limits import MAX_KEGS, MAX_VOLUME_ML
from tapwire_core.services.venues import resolve_venue

MAX_CLEANING_ML: Final = 2_000
"""Line cleaning of one keg in a day that needs no shift lead."""


class KegOnTap(Refused):
    """The keg is connected to a tap."""

    code = "keg_on_tap"


class BeverageArchived(Refused):
    """The beverage is archived."""

    code = "beverage_archived"


class KegIsFinished(Refused):
    """The keg was kicked, spoiled or returned: it does not come back."""

    code = "keg_finished"


class Delivery(Struct, frozen=True, kw_only=True):
    """What a supplier's papers say of each keg: its batch and last good day, its price, and the deposit for the empty keg."""

    supplier: str | None = None
    batch: str | None = None
    best_before: date | None = None
    cost_minor: int | None = None
    keg_deposit_minor: int | None = None


class KegChanges(TypedDict, total=False):
    """Changes of a keg."""

    status: KegStatus
    supplier: str | None
    batch: str | None
    best_before: date | None
    cost_minor: int | None
    keg_deposit_minor: int | None


NOTHING_STATED: Final = Delivery()


@use_case
async def create_keg(
    store: Store,
    actor: Actor,
    *,
    venue_id: str | None = None,
    beverage_id: UUID,
    initial_volume_ml: int,
    delivery: Delivery = NOTHING_STATED,
) -> UUID:
    """Add a full keg to a venue's stock; its volume in millilitres."""
    (keg_id,) = await _add(store, actor, venue_id, beverage_id, initial_volume_ml, delivery, 1)
    return keg_id


@use_case
async def create_kegs(
    store: Store,
    actor: Actor,
    *,
    venue_id: str | None = None,
    beverage_id: UUID,
    initial_volume_ml: int,
    delivery: Delivery = NOTHING_STATED,
    count: int,
) -> list[UUID]:
    """Add a delivery of full kegs that are all alike to a venue's stock."""
    return await _add(store, actor, venue_id, beverage_id, initial_volume_ml, delivery, count)


@use_case
async def retire_keg(store: Store, actor: Actor, keg_id: UUID) -> None:
    """Take a keg out of use for good, empty or not; it must not be connected to a tap."""
    await _change(store, actor, keg_id, {"status": KegStatus.RETIRED})


@use_case
async def restock_keg(store: Store, actor: Actor, keg_id: UUID) -> None:
    """Take a retired keg back into stock, with its old book volume."""
    await _change(store, actor, keg_id, {"status": KegStatus.IN_STOCK})


@use_case
async def change_keg(store: Store, actor: Actor, keg_id: UUID, **changes: Unpack[KegChanges]) -> None:
    """Retire a keg or take it back into stock, or state what the supplier's papers say of it."""
    await _change(store, actor, keg_id, changes)


@use_case
async def correct_stock(store: Store, actor: Actor, keg_id: UUID, volume_ml: int, reason: str) -> int:
    """Book a difference out of a keg, or with a negative volume back into it; return its new book volume."""
    return await _book(store, actor, keg_id, StockKind.CORRECTION, volume_ml, reason)


@use_case
async def book_line_cleaning(store: Store, actor: Actor, role: Role, keg_id: UUID, volume_ml: int, reason: str) -> int:
    """Book a line cleaning's volume out of a keg; return its new book volume. A day's volume above `MAX_CLEANING_ML` takes a shift
    lead.
    """
    if volume_ml < 1:
        raise Invalid("A line cleaning takes volume out of the keg: volume_ml must be 1 or more.", field="volume_ml")
    await _require_keg(store, keg_id)
    cleaned_ml = await writes.cleaned_lately_ml(store, keg_id)
    if cleaned_ml + volume_ml > MAX_CLEANING_ML and not role.includes(Role.SHIFT_LEAD):
        raise RoleRequired(
            f"{cleaned_ml} ml were booked as line cleaning within a day; above {MAX_CLEANING_ML} ml this needs a shift lead.",
            required_role=Role.SHIFT_LEAD,
            role=role,
        )
    return await _book(store, actor, keg_id, StockKind.LINE_CLEANING, volume_ml, reason)


async def _add(
    store: Store,
    actor: Actor,
    venue_id: str | None,
    beverage_id: UUID,
    initial_volume_ml: int,
    delivery: Delivery,
    count: int,
) -> list[UUID]:
    venue_id = await resolve_venue(store, venue_id)
    if not 1 <= initial_volume_ml <= MAX_VOLUME_ML:
        raise Invalid(f"initial_volume_ml must be 1 to {MAX_VOLUME_ML}.", field="initial_volume_ml")
    if not 1 <= count <= MAX_KEGS:
        raise Invalid(f"count must be 1 to {MAX_KEGS}.", field="count")
    archived = await beverage_writes.beverage_is_archived(store, beverage_id)
    if archived is None:
        raise NotFound("beverage", beverage_id)
    if archived:
        raise BeverageArchived("The beverage is archived: take it out of the archive first.", beverage_id=beverage_id)
    keg_ids = sorted(uuid4() for _ in range(count))
    stated = {name: value for name, value in asdict(delivery).items() if value is not None}
    volumes = {"initial_volume_ml": initial_volume_ml, "book_volume_ml": initial_volume_ml}
    await writes.add_kegs(store, keg_ids, {"venue_id": venue_id, "beverage_id": beverage_id, **volumes, **stated})
    details = {"initial_volume_ml": initial_volume_ml, **stated}
    for keg_id in keg_ids:
        await store.audit(AuditAction.KEG_CREATED, actor, keg_id, beverage_id, venue_id, details=details)
    return keg_ids


async def _book(store: Store, actor: Actor, keg_id: UUID, kind: StockKind, volume_ml: int, reason: str) -> int:
    if volume_ml == 0 or abs(volume_ml) > MAX_VOLUME_ML:
        raise Invalid(f"volume_ml must be -{MAX_VOLUME_ML} to {MAX_VOLUME_ML}, and not 0.", field="volume_ml")
    keg = await _require_keg(store, keg_id)
    tap = await tap_writes.tap_of_keg(store, keg_id)
    is_empty = keg.finished_at is not None and not await writes.has_pending_pour(store, keg_id)
    left_ml = 0 if is_empty else keg.book_volume_ml - volume_ml
    details = {"kind": kind, "volume_ml": volume_ml, "book_volume_ml": left_ml, "reason": reason}
    shift_id = await shift_writes.open_shift_id(store, keg.venue_id)
    kegs = {} if keg.finished_at is not None else {keg_id: keg.book_volume_ml}
    changes = Changes.by(actor, tap_path=tap, venue_id=keg.venue_id, shift_id=shift_id, kegs=kegs)
    changes.audit(AuditAction.STOCK_BOOKED, keg_id, details=details)
    changes.move_stock(keg_id, kind, volume_ml, reason=reason)
    await write_changes(store, changes)
    return left_ml


async def _require_keg(store: Store, keg_id: UUID) -> LockedKeg:
    keg = await writes.lock_keg(store, keg_id)
    if keg is None:
        raise NotFound("keg", keg_id)
    return keg


async def _change(store: Store, actor: Actor, keg_id: UUID, changes: KegChanges) -> None:
    keg = await _require_keg(store, keg_id)
    columns: dict[str, object] = dict(changes)
    if "status" in changes:
        await _require_may_become(store, keg, changes["status"])
        columns["status"] = changes["status"].value
    await change_row(store, Keg, {"keg_id": keg_id}, columns)
    if "best_before" in changes:
        await end_warnings(store)
    await store.audit(AuditAction.KEG_CHANGED, actor, keg_id, details=changes)


async def _require_may_become(store: Store, keg: LockedKeg, status: KegStatus) -> None:
    if status is KegStatus.RETIRED:
        tap = await tap_writes.tap_of_keg(store, keg.keg_id)
        if tap is not None:
            raise KegOnTap(f"The keg is connected to {tap}: take it off first.", tap=tap)
    elif keg.finished_at is not None:
        raise KegIsFinished(f"The keg was {keg.finish}: it does not come back into stock.", finish=keg.finish)
