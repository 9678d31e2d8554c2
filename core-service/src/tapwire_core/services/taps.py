"""Taps: settings, keg, and stopping a running pour."""

from collections.abc import Mapping
from typing import Final, TypedDict, Unpack
from uuid import UUID

from tapwire_contracts.messages import StopPour
from tapwire_contracts.reasons import AuditAction, StopReason
from tapwire_contracts.topics import DevicePath, tap_path
from tapwire_core.db.decisions import write_changes
from tapwire_core.db.engine import urgent_use_case, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.tables import Tap
from tapwire_core.db.writes import beverages as beverage_writes
from tapwire_core.db.writes import kegs as keg_writes
from tapwire_core.db.writes import shifts as shift_writes
from tapwire_core.db.writes import taps as writes
from tapwire_core.db.writes.calibrations import read_factor
from tapwire_core.db.writes.kegs import LockedKeg
from tapwire_core.db.writes.rows import change_row
from tapwire_core.db.writes.search import index_tap
from tapwire_core.db.writes.taps import LockedTap
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import KegFinish, KegStatus, Role, TapStatus
from tapwire_core.domain.kegs import FINAL, TAKES_LEAD, is_low
from tapwire_core.errors import NotFound, ReasonRequired, Refused, RoleRequired
from tapwire_core.services.calibrations import note_typed_factor
from tapwire_core.services.cleanings import end_incidents
from tapwire_core.services.keg_warnings import end_warnings
from tapwire_core.services.shown import ChangedMeanwhile, Shown, require_as_shown
from tapwire_core.services.tap_locks import require_tap
from tapwire_core.services.venues import require_slug, resolve_venue

NO_KEG_TEXT: Final = "The tap has no keg: there is none that could come off."
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


class NoKeg(Refused):
    """The tap has no keg that could come off."""

    code = "no_keg"


class KegNotLow(RoleRequired):
    """A keg of which much is left is said to be kicked or spoiled."""

    code = "keg_not_low"


class TapChanges(TypedDict, total=False):
    """Changes of a tap; `reason` explains the status, and is needed for `pulses_per_liter`."""

    name: str
    room: str | None
    pulses_per_liter: int
    max_pour_ml: int
    cleaning_interval_days: int | None
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
    cleaning_interval_days: int | None = None,
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
    if cleaning_interval_days is not None:
        await writes.set_cleaning_interval(store, path, cleaning_interval_days)
    await index_tap(store, path)
    await store.send_config(path)
    await store.audit(AuditAction.TAP_CREATED, actor, path, venue_id, details={"name": name})
    return path


@urgent_use_case
async def change_tap(store: Store, actor: Actor, tap: DevicePath | str, **changes: Unpack[TapChanges]) -> None:
    """Change a tap's settings or its `status`: out of service, cleaning, or active; anything but `active` ends a running pour.

    `pulses_per_liter` is its meter's, `max_pour_ml` a grant's limit. A typed `pulses_per_liter` needs a reason and makes a row of
    the tap's calibrations. `cleaning_interval_days` null: no cleaning is due.
    """
    locked = await require_tap(store, tap)
    details: dict[str, object] = {name: value for name, value in changes.items() if name not in ("status", "reason")}
    columns = {name: value for name, value in details.items() if name != "cleaning_interval_days"}
    await _note_factor(store, actor, locked, changes)
    if "status" in changes:
        status, reason = changes["status"], changes.get("reason")
        columns |= {"status": status.value, "status_reason": reason}
        details |= {"status": status, "before": locked.status, "reason": reason}
    await change_row(store, Tap, {"tap_path": locked.tap_path}, columns)
    if "name" in changes:
        await index_tap(store, locked.tap_path)
    if "cleaning_interval_days" in changes:
        await writes.set_cleaning_interval(store, locked.tap_path, changes["cleaning_interval_days"])
        await end_incidents(store, locked.tap_path, locked.venue_id)
    await store.send_config(locked.tap_path)
    await store.audit(AuditAction.TAP_CHANGED, actor, locked.tap_path, details=details)


@use_case
async def put_keg(
    store: Store,
    actor: Actor,
    tap: DevicePath | str,
    keg_id: UUID,
    *,
    finish: KegFinish | None = None,
    reason: str | None = None,
    expected_keg_id: UUID | None = None,
    role: Role = Role.OPERATOR,
    shown: Shown | None = None,
) -> None:
    """Connect a keg to a tap, in place of its old one. Running pours keep their keg and price.

    `finish` says what became of the old keg, see `take_keg_off`. The same again changes nothing.
    """
    beverage_id = await keg_writes.beverage_of_keg(store, keg_id)
    if beverage_id is None:
        raise NotFound("keg", keg_id)
    await beverage_writes.share_beverage(store, beverage_id)
    locked = await require_tap(store, tap)
    await require_as_shown(store, shown)
    kegs = await keg_writes.lock_kegs(store, keg_id, *filter(None, (locked.keg_id, expected_keg_id)))
    if locked.keg_id == keg_id:
        _require_done_before(locked, kegs, finish, expected_keg_id)
        return
    _require_expected(locked, finish, expected_keg_id)
    await _require_usable(store, locked, kegs[keg_id])
    if locked.keg_id is not None:
        await _take_off(store, actor, role, locked, kegs[locked.keg_id], finish, reason)
    await change_row(store, Tap, {"tap_path": locked.tap_path}, {"keg_id": keg_id})
    await end_warnings(store)
    await keg_writes.note_put_on(store, keg_id)
    await store.send_config(locked.tap_path)
    await store.audit(AuditAction.KEG_PUT_ON, actor, locked.tap_path, keg_id)


@use_case
async def take_keg_off(
    store: Store,
    actor: Actor,
    tap: DevicePath | str,
    *,
    finish: KegFinish | None = None,
    reason: str | None = None,
    expected_keg_id: UUID | None = None,
    role: Role = Role.OPERATOR,
) -> None:
    """Take the tap's keg off and say what became of it; with `expected_keg_id` it must be that one. Raises `NoKeg`.

    `swapped`, the default, keeps it for later with its book volume; every other finish is for good, and books what is left of it.
    """
    locked = await require_tap(store, tap)
    if locked.keg_id is None:
        raise NoKeg(NO_KEG_TEXT, tap=locked.tap_path)
    _require_expected(locked, finish, expected_keg_id)
    kegs = await keg_writes.lock_kegs(store, locked.keg_id)
    await _take_off(store, actor, role, locked, kegs[locked.keg_id], finish, reason)
    await change_row(store, Tap, {"tap_path": locked.tap_path}, {"keg_id": None})
    await end_warnings(store)
    await store.send_config(locked.tap_path)


@urgent_use_case
async def stop_tap(store: Store, actor: Actor, tap: DevicePath | str, reason: str) -> UUID | None:
    """Stop the tap's running pour and return its id; it settles as its tap reports it."""
    locked = await require_tap(store, tap)
    pour_id = await writes.mark_pour_stopped(store, locked.tap_path, StopReason.OPERATOR)
    if pour_id is not None:
        await store.send_command(locked.tap_path, StopPour(pour_id=pour_id, reason=StopReason.OPERATOR))
    await store.audit(AuditAction.TAP_STOPPED, actor, locked.tap_path, pour_id, details={"reason": reason})
    return pour_id


async def _note_factor(store: Store, actor: Actor, tap: LockedTap, changes: TapChanges) -> None:
    """Keep the calibration that a typed factor is; raises `ReasonRequired`."""
    if "pulses_per_liter" not in changes:
        return
    reason, factor = changes.get("reason"), changes["pulses_per_liter"]
    if not reason:
        raise ReasonRequired("Say why: another pulses_per_liter changes what each pour costs.", field="reason")
    before = await read_factor(store, tap.tap_path)
    if factor != before:
        await note_typed_factor(store, actor, tap, before, factor, reason)


async def _take_off(
    store: Store, actor: Actor, role: Role, tap: LockedTap, keg: LockedKeg, asked: KegFinish | None, reason: str | None
) -> None:
    """Note that a locked keg comes off its tap, and book what is left of one that is finished."""
    finish = asked or KegFinish.SWAPPED
    if finish in TAKES_LEAD and not (role.includes(Role.SHIFT_LEAD) and reason):
        await _require_low(store, role, keg)
    await keg_writes.note_taken_off(store, keg.keg_id, finish, reason)
    details = {"finish": finish, "reason": reason, "left_ml": keg.book_volume_ml}
    await store.audit(AuditAction.KEG_TAKEN_OFF, actor, tap.tap_path, keg.keg_id, details=details)
    if finish in FINAL:
        shift_id = await shift_writes.open_shift_id(store, keg.venue_id)
        changes = Changes.by(actor, tap_path=tap.tap_path, venue_id=keg.venue_id, shift_id=shift_id)
        changes.book_rest(keg.keg_id)
        await write_changes(store, changes)


async def _require_low(store: Store, role: Role, keg: LockedKeg) -> None:
    low_percent = await keg_writes.low_percent(store, keg.venue_id)
    if is_low(keg.book_volume_ml, keg.initial_volume_ml, low_percent):
        return
    raise KegNotLow(
        f"The books have {keg.book_volume_ml} ml left in the keg, more than {low_percent} %: this needs a shift lead and a reason.",
        keg_id=keg.keg_id,
        left_ml=keg.book_volume_ml,
        required_role=Role.SHIFT_LEAD,
        role=role,
    )


def _require_expected(tap: LockedTap, finish: KegFinish | None, expected_keg_id: UUID | None) -> None:
    """Raise unless the keg that comes off is there, and is the expected one."""
    if tap.keg_id is None and (finish is not None or expected_keg_id is not None):
        raise NoKeg(NO_KEG_TEXT, tap=tap.tap_path)
    if expected_keg_id is not None and tap.keg_id != expected_keg_id:
        raise ChangedMeanwhile("Another keg is on the tap by now: look again.", tap=tap.tap_path, keg_id=tap.keg_id)


def _require_done_before(
    tap: LockedTap, kegs: Mapping[UUID, LockedKeg], finish: KegFinish | None, expected_keg_id: UUID | None
) -> None:
    """Raise unless the keg that is on the tap replaced the expected one in the way that is asked for."""
    if expected_keg_id is None:
        return
    before = kegs.get(expected_keg_id)
    if before is None or expected_keg_id == tap.keg_id or before.finish is not (finish or KegFinish.SWAPPED):
        raise ChangedMeanwhile("The keg is on the tap already: look again.", tap=tap.tap_path, keg_id=tap.keg_id)


async def _require_usable(store: Store, tap: LockedTap, keg: LockedKeg) -> None:
    if keg.venue_id != tap.venue_id:
        raise KegNotUsable(f"The keg is in venue {keg.venue_id!r}, the tap in {tap.venue_id!r}.", venue_id=keg.venue_id)
    if keg.status is not KegStatus.IN_STOCK:
        raise KegNotUsable("The keg is retired: take another one, or put it back in stock first.", keg_status=keg.status)
    other = await writes.tap_of_keg(store, keg.keg_id)
    if other is not None:
        raise KegOnOtherTap(f"The keg is connected to {other}: take it off there first.", tap=other)
