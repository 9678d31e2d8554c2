"""Calibrations of taps' meters, for operators."""

from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Select, select

from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Calibration
from tapwire_core.db.views.queries import FIRST_PAGE, Page, PageRequest, read_one, read_page, table

calibrations: Final = table(Calibration)


class CalibrationView(Struct, frozen=True):
    """A change of a meter's factor, in pulses per litre.

    `error_per_mille`: how much more the meter showed before than there was. Without `reference_ml` and `metered_ml` the factor was
    typed, and `note` is the reason.
    """

    calibration_id: int
    tap: str
    reference_ml: int | None
    metered_ml: int | None
    pulses_per_liter_before: int
    pulses_per_liter_after: int
    error_per_mille: int
    note: str | None
    calibrated_by: str
    calibrated_at: datetime


async def list_calibrations(db: Database, tap: str, page: PageRequest = FIRST_PAGE) -> Page[CalibrationView]:
    """A tap's calibrations, the latest first."""
    statement = _calibrations().where(calibrations.c.tap_path == tap)
    return await read_page(db, statement, CalibrationView, [calibrations.c.calibration_id], page, newest_first=True)


async def get_calibration(db: Database, calibration_id: int) -> CalibrationView | None:
    """One calibration."""
    return await read_one(db, _calibrations().where(calibrations.c.calibration_id == calibration_id), CalibrationView)


def _calibrations() -> Select[Any]:
    columns = [column for column in calibrations.c if column.name not in ("tap_path", "venue_id")]
    return select(calibrations.c.tap_path.label("tap"), *columns)
