"""Calibrations of taps' meters: by an engineer, by a code at the tap's node, and by a factor that is typed with its reason.

A measurement names the factor that it was made with. Once that has changed the measurement says nothing any longer, so the same one
sent twice, or two made at once, correct the meter once.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tapwire_contracts.reasons import AuditAction
from tapwire_contracts.topics import DevicePath
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.tables import Tap
from tapwire_core.db.writes import calibrations as writes
from tapwire_core.db.writes.rows import change_row
from tapwire_core.db.writes.taps import LockedTap
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.calibrations import FACTORS, MIN_MEASURED_ML, Measurement, error_per_mille
from tapwire_core.errors import Invalid, NotFound, Refused
from tapwire_core.services.pairings import CODE_LETTERS, read_code
from tapwire_core.services.sessions import hash_token
from tapwire_core.services.tap_locks import require_tap

CODE_LIFETIME_S: Final = 600
CODE_LENGTH: Final = 12
"""Letters of a code; more than a pairing's, since it is enough by itself."""


class CalibrationOutdated(Refused):
    """The measurement was made with another factor than the tap has now."""

    code = "calibration_outdated"


@dataclass(frozen=True, slots=True)
class CalibrationCode:
    """A code by which a tap's node books one calibration; shown once."""

    code: str
    expires_at: datetime


@use_case
async def calibrate_tap(
    store: Store,
    actor: Actor,
    tap: DevicePath | str,
    measured: Measurement,
    note: str | None = None,
) -> int:
    """Correct a meter's factor by a measurement and return the calibration's id; raises `CalibrationOutdated` and `Invalid`."""
    locked = await require_tap(store, tap)
    return await _calibrate(store, actor, locked, measured, note)


@use_case
async def issue_calibration_code(store: Store, actor: Actor, tap: DevicePath | str) -> CalibrationCode:
    """Make a code by which the tap's node books one calibration as this actor; it is stored as a hash."""
    locked = await require_tap(store, tap)
    code = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
    expires_at = await writes.add_code(store, hash_token(code), locked.tap_path, locked.venue_id, actor.name, CODE_LIFETIME_S)
    return CalibrationCode(code, expires_at)


@use_case
async def calibrate_by_code(store: Store, code: str, measured: Measurement, request_id: str | None = None) -> int:
    """Book the calibration of a code, once, and return its id; the same again changes nothing.

    Raises `NotFound` for a code that is unknown, expired, or used for another measurement; a refused measurement uses no code up.
    """
    code_hash = hash_token(read_code(code))
    tap_path = await writes.tap_of_code(store, code_hash, CODE_LIFETIME_S)
    if tap_path is None:
        raise _unknown_code()
    locked = await require_tap(store, tap_path)
    found = await writes.lock_code(store, code_hash)
    if found is None:
        raise _unknown_code()
    if found.calibration_id is not None:
        if measured != Measurement(found.reference_ml or 0, found.metered_ml or 0, found.pulses_per_liter or 0):
            raise _unknown_code()
        return found.calibration_id
    calibration_id = await _calibrate(store, Actor(found.created_by, request_id), locked, measured, note=None, by_code=True)
    await writes.use_code(store, code_hash, calibration_id)
    return calibration_id


async def note_typed_factor(store: Store, actor: Actor, tap: LockedTap, before: int, after: int, reason: str) -> None:
    """Keep the row of a factor that was typed instead of measured; part of the tap's change."""
    await _record(store, actor, tap, None, before, after, error_per_mille(after, before), reason)


async def _calibrate(
    store: Store, actor: Actor, tap: LockedTap, measured: Measurement, note: str | None, *, by_code: bool = False
) -> int:
    longest_ml = store.policy.max_report_ml
    for field in ("reference_ml", "metered_ml"):
        if not MIN_MEASURED_ML <= getattr(measured, field) <= longest_ml:
            raise Invalid(f"{field} must be {MIN_MEASURED_ML} to {longest_ml}.", field=field)
    before = await writes.read_factor(store, tap.tap_path)
    if measured.pulses_per_liter != before:
        raise CalibrationOutdated(
            f"The tap counts {before} pulses per litre now, the measurement was made with {measured.pulses_per_liter}:"
            " measure again.",
            tap=tap.tap_path,
            pulses_per_liter=before,
        )
    after = measured.corrected
    if after not in FACTORS:
        raise Invalid(f"That would make {after} pulses per litre, which no meter has: check both volumes.", field="metered_ml")
    await change_row(store, Tap, {"tap_path": tap.tap_path}, {"pulses_per_liter": after})
    await store.send_config(tap.tap_path)
    return await _record(store, actor, tap, measured, before, after, measured.error_per_mille, note, by_code=by_code)


async def _record(
    store: Store,
    actor: Actor,
    tap: LockedTap,
    measured: Measurement | None,
    before: int,
    after: int,
    error: int,
    note: str | None,
    *,
    by_code: bool = False,
) -> int:
    calibration_id = await writes.add_calibration(
        store,
        tap.tap_path,
        tap.venue_id,
        measured=measured,
        before=before,
        after=after,
        error_per_mille=error,
        note=note,
        calibrated_by=actor.name,
    )
    details = {
        "calibration_id": calibration_id,
        "reference_ml": measured.reference_ml if measured else None,
        "metered_ml": measured.metered_ml if measured else None,
        "before": before,
        "after": after,
        "error_per_mille": error,
        "note": note,
        "by_code": by_code,
    }
    await store.audit(AuditAction.TAP_CALIBRATED, actor, tap.tap_path, venue_id=tap.venue_id, details=details)
    return calibration_id


def _unknown_code() -> NotFound:
    """The refusal of a code; what was typed is a secret, also when it is wrong by a letter."""
    return NotFound("calibration code", "as given")
