"""Calibrations of taps' meters, and the codes by which their nodes book one."""

from datetime import datetime, timedelta

from msgspec import Struct

from tapwire_core.db.clock import CLOCK_TOLERANCE
from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct
from tapwire_core.domain.calibrations import Measurement


class LockedCode(Struct, frozen=True):
    """A code that has not expired, and the measurement that was booked by it, if one was; locked for a change."""

    tap_path: str
    created_by: str
    calibration_id: int | None
    reference_ml: int | None
    metered_ml: int | None
    pulses_per_liter: int | None


async def read_factor(store: Store, tap_path: str) -> int:
    """The pulses per litre of a tap, under its lock."""
    factor: int = await store.connection.fetchval("SELECT pulses_per_liter FROM taps WHERE tap_path = $1", tap_path)
    return factor


async def add_calibration(
    store: Store,
    tap_path: str,
    venue_id: str,
    *,
    measured: Measurement | None,
    before: int,
    after: int,
    error_per_mille: int,
    note: str | None,
    calibrated_by: str,
) -> int:
    """Add a calibration, under the tap's lock; return its id."""
    calibration_id: int = await store.connection.fetchval(
        """INSERT INTO calibrations (
               tap_path, venue_id, reference_ml, metered_ml, pulses_per_liter_before, pulses_per_liter_after, error_per_mille,
               note, calibrated_by)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING calibration_id""",
        tap_path,
        venue_id,
        measured.reference_ml if measured else None,
        measured.metered_ml if measured else None,
        before,
        after,
        error_per_mille,
        note,
        calibrated_by,
    )
    return calibration_id


async def add_code(store: Store, code_hash: bytes, tap_path: str, venue_id: str, created_by: str, ttl_s: int) -> datetime:
    """Add a code for a tap and return its expiry; delete the expired codes of all taps."""
    await store.connection.execute(
        "DELETE FROM calibration_codes WHERE is_over(expires_at, $1)", timedelta(seconds=ttl_s) + CLOCK_TOLERANCE
    )
    expires_at: datetime = await store.connection.fetchval(
        """INSERT INTO calibration_codes (code_hash, tap_path, venue_id, created_by, expires_at)
           VALUES ($1, $2, $3, $4, now() + $5 * interval '1 second') RETURNING expires_at""",
        code_hash,
        tap_path,
        venue_id,
        created_by,
        ttl_s,
    )
    return expires_at


async def tap_of_code(store: Store, code_hash: bytes, ttl_s: int) -> str | None:
    """The tap of a code that has not expired, and of a user who still may calibrate."""
    found: str | None = await store.connection.fetchval(
        """SELECT tap_path FROM calibration_codes JOIN users ON username = created_by
           WHERE code_hash = $1 AND NOT is_over(expires_at, $2) AND NOT disabled AND role = 'engineer'""",
        code_hash,
        timedelta(seconds=ttl_s) + CLOCK_TOLERANCE,
    )
    return found


async def lock_code(store: Store, code_hash: bytes) -> LockedCode | None:
    """Lock a code, after its tap."""
    row = await store.connection.fetchrow(
        """SELECT code.tap_path, created_by, calibration_id, reference_ml, metered_ml,
               pulses_per_liter_before AS pulses_per_liter
           FROM calibration_codes AS code LEFT JOIN calibrations USING (calibration_id)
           WHERE code_hash = $1 FOR NO KEY UPDATE OF code""",
        code_hash,
    )
    return as_struct(row, LockedCode)


async def use_code(store: Store, code_hash: bytes, calibration_id: int) -> None:
    """Record what was booked by a code."""
    await store.connection.execute(
        "UPDATE calibration_codes SET calibration_id = $2 WHERE code_hash = $1", code_hash, calibration_id
    )
