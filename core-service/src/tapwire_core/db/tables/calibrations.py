"""Calibrations of taps' meters, and the codes by which their nodes book one."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index
from sqlmodel import Field, SQLModel

from tapwire_core.db.tables.columns import default_now, key, number, reference, required_time, serial, string


class Calibration(SQLModel, table=True):
    """A change of a meter's pulses per litre, append-only; without a measurement the factor was typed, and `note` is the reason."""

    __tablename__ = "calibrations"
    __table_args__ = (
        CheckConstraint("(reference_ml IS NULL) = (metered_ml IS NULL)", name="measured_both"),
        CheckConstraint("reference_ml > 0", name="reference_positive"),
        CheckConstraint("metered_ml > 0", name="metered_positive"),
        CheckConstraint("pulses_per_liter_before BETWEEN 1 AND 1000000", name="before_sane"),
        CheckConstraint("pulses_per_liter_after BETWEEN 1 AND 1000000", name="after_sane"),
        Index("ix_calibrations_tap", "tap_path", "calibration_id"),
    )

    calibration_id: int | None = serial()
    tap_path: str = reference("taps.tap_path")
    venue_id: str = reference("venues.venue_id")
    reference_ml: int | None = number()
    metered_ml: int | None = number()
    pulses_per_liter_before: int = number()
    pulses_per_liter_after: int = number()
    error_per_mille: int = number()
    note: str | None = string()
    calibrated_by: str = string()
    calibrated_at: datetime = default_now()


class CalibrationCode(SQLModel, table=True):
    """A code by which a tap's node books one calibration without a login; only its hash is stored.

    `calibration_id`: what was booked by it; a repeat of the same gets the same answer.
    """

    __tablename__ = "calibration_codes"

    code_hash: bytes = key()
    tap_path: str = reference("taps.tap_path")
    venue_id: str = reference("venues.venue_id")
    created_by: str = string()
    expires_at: datetime = required_time()
    calibration_id: int | None = Field(default=None, foreign_key="calibrations.calibration_id", sa_type=BigInteger)
    created_at: datetime = default_now()
