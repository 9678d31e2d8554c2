"""Headings of the console's spreadsheets."""

from collections.abc import Sequence

import pytest

from tapwire_admin.console.columns import COLUMNS
from tapwire_admin.routes.calibrations import FIELDS as CALIBRATION_FIELDS
from tapwire_admin.routes.cleanings import FIELDS as CLEANING_FIELDS
from tapwire_admin.routes.shifts import HEADER
from tapwire_core.db.views.shift_cash import CashMovement

TABLES = {
    "report": HEADER,
    "drawer": CashMovement.__struct_fields__,
    "cleanings": CLEANING_FIELDS,
    "calibrations": CALIBRATION_FIELDS,
}


@pytest.mark.parametrize("names", TABLES.values(), ids=TABLES.keys())
def test_every_column_has_a_heading(names: Sequence[str]) -> None:
    assert {name.removesuffix("_ml").removesuffix("_minor") for name in names} - COLUMNS.keys() == set()
