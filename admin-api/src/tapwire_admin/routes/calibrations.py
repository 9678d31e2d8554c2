"""Calibrations of taps' meters, by an engineer and by a code at the tap's node."""

import time
from typing import Any, Final

from litestar import Request, Response, get, post
from msgspec import Struct

from tapwire_admin.access.auth import ENGINEER, EVERYBODY, OPERATOR
from tapwire_admin.requests.dependencies import CurrentActor, Db, JSONBody, PageQuery, RunOnce, SlugInPath
from tapwire_admin.requests.field_types import HygieneNote, MeasuredMl, PulsesPerLiter, Verbatim
from tapwire_admin.requests.parameters import require_found
from tapwire_admin.requests.request_ids import request_id_of
from tapwire_admin.responses.csv_tables import CSV, answer_csv, cell_of, wants_csv
from tapwire_contracts.topics import tap_path
from tapwire_core.db.engine import Database
from tapwire_core.db.views import calibrations as views
from tapwire_core.db.views import taps as tap_views
from tapwire_core.db.views.calibrations import CalibrationView
from tapwire_core.db.views.queries import Page, every_item
from tapwire_core.domain.calibrations import Measurement
from tapwire_core.errors import NotFound
from tapwire_core.services import calibrations
from tapwire_core.services.calibrations import CalibrationCode, CalibrationOutdated
from tapwire_core.services.decision_rates import RateLimited

FIELDS: Final = CalibrationView.__struct_fields__
EXAMPLE: Final = (
    f"{','.join(FIELDS)}\r\n3,bar/taps/left,1000,1020,450,459,20,after the new meter,anna,2026-05-01T09:15:00+00:00\r\n"
)


class TooManyWrongCodes(RateLimited):
    """Too many wrong codes came from this address; a right one is never refused for it."""


class NewCalibration(Struct, kw_only=True, forbid_unknown_fields=True):
    """A measurement: the meter counted `metered_ml` with `pulses_per_liter`, and `reference_ml` were in the vessel."""

    reference_ml: MeasuredMl
    metered_ml: MeasuredMl
    pulses_per_liter: PulsesPerLiter
    note: HygieneNote | None = None


class CodedCalibration(Struct, kw_only=True, forbid_unknown_fields=True):
    """A measurement of a tap's node, with the code that an engineer made for the tap."""

    code: Verbatim
    reference_ml: MeasuredMl
    metered_ml: MeasuredMl
    pulses_per_liter: PulsesPerLiter


@get(
    "/taps/{venue:str}/{tap:str}/calibrations",
    access=OPERATOR,
    answers={200: (Page[CalibrationView], "the tap's calibrations")},
    as_text={CSV: EXAMPLE},
)
async def list_calibrations(
    request: Request[Any, Any, Any], db: Db, venue: SlugInPath, tap: SlugInPath, page: PageQuery
) -> Response[Any]:
    """A tap's calibrations, the latest first; as CSV all of them."""
    path = str(tap_path(venue, tap))
    require_found(await tap_views.get_tap(db, path), "tap", path)
    if not wants_csv(request):
        return Response(await views.list_calibrations(db, path, page))
    items = await every_item(lambda part: views.list_calibrations(db, path, part))
    return answer_csv(FIELDS, ([cell_of(getattr(item, field)) for field in FIELDS] for item in items))


@post("/taps/{venue:str}/{tap:str}/calibrations", access=ENGINEER, refuses=(CalibrationOutdated,))
async def calibrate_tap(
    db: Db, actor: CurrentActor, once: RunOnce, venue: SlugInPath, tap: SlugInPath, data: JSONBody[NewCalibration]
) -> CalibrationView:
    """Correct a meter's pulses per litre by a measurement; refused when the factor has changed since it was made."""
    measured = Measurement(data.reference_ml, data.metered_ml, data.pulses_per_liter)
    return await _view(db, await once(calibrations.calibrate_tap, actor, str(tap_path(venue, tap)), measured, data.note))


@post("/taps/{venue:str}/{tap:str}/calibration-codes", access=ENGINEER, returns_secret=True)
async def issue_calibration_code(actor: CurrentActor, once: RunOnce, venue: SlugInPath, tap: SlugInPath) -> CalibrationCode:
    """Make a code with which the tap's node books one calibration within ten minutes, without a login; shown once."""
    return await once(calibrations.issue_calibration_code, actor, str(tap_path(venue, tap)))


@post("/public/calibrations", access=EVERYBODY, refuses=(NotFound, CalibrationOutdated, TooManyWrongCodes))
async def calibrate_by_code(request: Request[Any, Any, Any], db: Db, data: JSONBody[CodedCalibration]) -> CalibrationView:
    """Book the calibration of a code; the same again answers the same. 404 for a code that is unknown, expired or used up."""
    measured = Measurement(data.reference_ml, data.metered_ml, data.pulses_per_liter)
    try:
        return await _view(db, await calibrations.calibrate_by_code(db, data.code, measured, request_id_of(request.scope)))
    except NotFound:
        _count_wrong_code(request)
        raise


def _count_wrong_code(request: Request[Any, Any, Any]) -> None:
    """Count a wrong code for the address that it came from; raises `TooManyWrongCodes`."""
    rates, address, now_s = request.app.state.wrong_codes, request.client.host if request.client else "", time.monotonic()
    if rates.is_due(now_s):
        rates.take_undecided(now_s)  # forgets the addresses with a full allowance
    if not rates.admit(address, now_s):
        raise TooManyWrongCodes(
            "Too many wrong codes came from this address: check the code, and try again later.",
            retry_after_ms=rates.retry_after_ms(address),
        )


async def _view(db: Database, calibration_id: int) -> CalibrationView:
    return require_found(await views.get_calibration(db, calibration_id), "calibration", calibration_id)


HANDLERS = (list_calibrations, calibrate_tap, issue_calibration_code, calibrate_by_code)
