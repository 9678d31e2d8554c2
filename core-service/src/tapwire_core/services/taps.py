"""Taps: settings, keg, and stopping a running pour."""

from typing import Final, TypedDict, Unpack
from uuid import UUID

from tapwire_contracts.messages import StopPour
from tapwire_contracts.reasons import AuditAction, StopReason
from tapwire_contracts.topics import DevicePath, tap_path
from tapwire_core.db.engine import urgent_use_case, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.tables import Tap
from tapwire_core.db.writes import beverages as beverage_writes
from tapwire_core.db.writes import kegs as keg_writes
from tapwire_core.db.writes import taps as writes
from tapwire_core.db.writes.rows import change_row
from tapwire_core.db.writes.search import index_tap
from tapwire_core.db.writes.taps import LockedTap
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.closed_sets import KegStatus, TapStatus
from tapwire_core.errors import NotFound, Refused
from tapwire_core.services.shown import Shown, require_as_shown
from tapwire_core.services.venues import require_slug, resolve_venue

DEFAULT_PULSES_PER_LITER: Final = 450
DEFAULT_MAX_POUR_ML: Final = 1_000


class TapExists(Refused):
    """The venue has a tap with this id."""

    code = "tap_exists"


class KegOnOtherTap(Refused):
    """The keg is connected to another tap."""

    code = "keg_on_other_tap"


class KegNotUsable(Refused):
    """The keg is retired, or in another venue."""

    code = "keg_not_usable"


class TapChanges(TypedDict, total=False):
    """Changes of a tap; `reason` explains the status."""

    name: str
    room: str | None
    pulses_per_liter: int
    max_pour_ml: int
    status: TapStatus
    reason: str | None


@use_case
async def create_tap(
    store: Store,
    actor: Actor,
    *,
    venue_id: str | None = None,
    tap_id: str,
    name: str,
    room: str | None = None,
    pulses_per_liter: int = DEFAULT_PULSES_PER_LITER,
    max_pour_ml: int = DEFAULT_MAX_POUR_ML,
) -> str:
    """Add a tap to a venue and return its path."""
    venue_id = await resolve_venue(store, venue_id)
    require_slug("tap_id", tap_id)
    path = str(tap_path(venue_id, tap_id))
    if await writes.tap_exists(store, path):
        raise TapExists(f"There is already a tap {path!r}: use another id.", tap=path)
    await store.insert(
        Tap,
        tap_path=path,
        venue_id=venue_id,
        tap_id=tap_id,
        name=name,
        room=room,
        pulses_per_liter=pulses_per_liter,
        max_pour_ml=max_pour_ml,
    )
    await index_tap(store, path)
    await store.send_config(path)
    await store.audit(AuditAction.TAP_CREATED, actor, path, venue_id, details={"name": name})
    return path


@urgent_use_case
async def change_tap(store: Store, actor: Actor, tap: DevicePath | str, **changes: Unpack[TapChanges]) -> None:
    """Change a tap's name, `room`, `pulses_per_liter` (its meter's pulses), `max_pour_ml` (a grant's limit), or `status`: out of
    service, cleaning, or active; anything but `active` ends a running pour.
    """
    locked = await require_tap(store, tap)
    columns: dict[str, object] = {name: value for name, value in changes.items() if name not in ("status", "reason")}
    details: dict[str, object] = dict(columns)
    if "status" in changes:
        status, reason = changes["status"], changes.get("reason")
        columns |= {"status": status.value, "status_reason": reason}
        details |= {"status": status, "before": locked.status, "reason": reason}
    await change_row(store, Tap, {"tap_path": locked.tap_path}, columns)
    if "name" in changes:
        await index_tap(store, locked.tap_path)
    await store.send_config(locked.tap_path)
    await store.audit(AuditAction.TAP_CHANGED, actor, locked.tap_path, details=details)


@use_case
async def put_keg(store: Store, actor: Actor, tap: DevicePath | str, keg_id: UUID, *, shown: Shown | None = None) -> None:
    """Connect a keg to a tap, in place of its old one, which keeps its book volume. Running pours keep their keg and price."""
    beverage_id = await keg_writes.beverage_of_keg(store, keg_id)
    if beverage_id is None:
        raise NotFound("keg", keg_id)
    await beverage_writes.share_beverage(store, beverage_id)
    locked = await require_tap(store, tap)
    await require_as_shown(store, shown)
    if locked.keg_id == keg_id:
        return
    await _require_usable(store, locked, keg_id)
    await change_row(store, Tap, {"tap_path": locked.tap_path}, {"keg_id": keg_id})
    await store.send_config(locked.tap_path)
    if locked.keg_id is not None:
        await store.audit(AuditAction.KEG_TAKEN_OFF, actor, locked.tap_path, locked.keg_id)
    await store.audit(AuditAction.KEG_PUT_ON, actor, locked.tap_path, keg_id)


@use_case
async def take_keg_off(store: Store, actor: Actor, tap: DevicePath | str) -> None:
    """Take the tap's keg off, if there is one; it keeps its book volume."""
    locked = await require_tap(store, tap)
    if locked.keg_id is None:
        return
    await change_row(store, Tap, {"tap_path": locked.tap_path}, {"keg_id": None})
    await store.send_config(locked.tap_path)
    await store.audit(AuditAction.KEG_TAKEN_OFF, actor, locked.tap_path, locked.keg_id)


@urgent_use_case
async def stop_tap(store: Store, actor: Actor, tap: DevicePath | str, reason: str) -> UUID | None:
    """Stop the tap's running pour and return its id; it settles as its tap reports it."""
    locked = await require_tap(store, tap)
    pour_id = await writes.mark_pour_stopped(store, locked.tap_path, StopReason.OPERATOR)
    if pour_id is not None:
        await store.send_command(locked.tap_path, StopPour(pour_id=pour_id, reason=StopReason.OPERATOR))
    await store.audit(AuditAction.TAP_STOPPED, actor, locked.tap_path, pour_id, details={"reason": reason})
    return pour_id


async def require_tap(store: Store, tap: DevicePath | str) -> LockedTap:
    """Lock a tap for a change; raises `NotFound`."""
    locked = await writes.lock_tap(store, str(tap))
    if locked is None:
        raise NotFound("tap", tap)
    return locked


async def _require_usable(store: Store, tap: LockedTap, keg_id: UUID) -> None:
    keg = await keg_writes.lock_keg(store, keg_id)
    if keg is None:
        raise NotFound("keg", keg_id)
    if keg.venue_id != tap.venue_id:
        raise KegNotUsable(f"The keg is in venue {keg.venue_id!r}, the tap in {tap.venue_id!r}.", venue_id=keg.venue_id)
    if keg.status is not KegStatus.IN_STOCK:
        raise KegNotUsable("The keg is retired: take another one, or put it back in stock first.", keg_status=keg.status)
    other = await writes.tap_of_keg(store, keg_id)
    if other is not None:
        raise KegOnOtherTap(f"The keg is connected to {other}: take it off there first.", tap=other)
