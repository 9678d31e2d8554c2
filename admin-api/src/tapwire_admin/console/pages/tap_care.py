"""A tap's page: its cleanings, its meter's calibrations, and the printed log of cleanings for an inspector."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, get, post
from litestar.params import QueryParameter

from tapwire_admin.access.auth import ENGINEER, OPERATOR
from tapwire_admin.console.columns import headings
from tapwire_admin.console.forms import Form
from tapwire_admin.console.labels import CLEANING_KINDS
from tapwire_admin.console.render import go_to
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.viewer import CurrentViewer, Viewer
from tapwire_admin.requests.dependencies import CurrentActor, Db, PageQuery, SlugInPath
from tapwire_admin.requests.parameters import Cursor, read_day_or_moment, require_found
from tapwire_admin.responses.csv_tables import answer_spreadsheet, cell_of
from tapwire_admin.routes.calibrations import FIELDS as CALIBRATION_FIELDS
from tapwire_admin.routes.calibrations import NewCalibration
from tapwire_admin.routes.cleanings import FIELDS as CLEANING_FIELDS
from tapwire_admin.routes.cleanings import NewCleaning
from tapwire_admin.routes.taps import TapChange
from tapwire_contracts.topics import tap_path
from tapwire_core.db.engine import Database
from tapwire_core.db.views import calibrations as calibration_views
from tapwire_core.db.views import cleanings as cleaning_views
from tapwire_core.db.views import taps as tap_views
from tapwire_core.db.views.cleanings import CleaningView
from tapwire_core.db.views.queries import every_item
from tapwire_core.db.views.system import read_status
from tapwire_core.db.views.taps import TapView
from tapwire_core.domain.calibrations import Measurement
from tapwire_core.domain.closed_sets import CleaningKind
from tapwire_core.domain.shown import Noun
from tapwire_core.errors import Invalid
from tapwire_core.services import calibrations, cleanings, taps
from tapwire_core.services.request_limits import MAX_CLEANING_INTERVAL_DAYS
from tapwire_core.services.shown import Shown, read_shown

LOG_DAYS: Final = 90
"""Days of the printed log, unless others are asked for."""
MAX_LOG_DAYS: Final = 366


@get("/taps/{venue:str}/{tap:str}", access=OPERATOR)
async def show_tap(
    db: Db,
    viewer: CurrentViewer,
    shell: ShellContext,
    page: PageQuery,
    venue: SlugInPath,
    tap: SlugInPath,
    calibrated: Cursor = None,
) -> Response[str]:
    """A tap's cleanings and calibrations, the latest first; `calibrated` is the latter's cursor."""
    path = str(tap_path(venue, tap))
    context = {
        "tap": await _tap(db, path),
        "now": await _now(db),
        "cleanings": await cleaning_views.list_cleanings(db, path, page),
        "calibrations": await calibration_views.list_calibrations(db, path, msgspec.structs.replace(page, cursor=calibrated)),
    }
    return viewer.show("tap_care.html", shell=shell, **context)


@get("/taps/{venue:str}/{tap:str}/clean", access=OPERATOR)
async def ask_for_cleaning(db: Db, viewer: CurrentViewer, venue: SlugInPath, tap: SlugInPath) -> Response[str]:
    """The form of a cleaning that was done."""
    return viewer.show("dialogs/clean_tap.html", **await _form_of(db, venue, tap), kinds=list(CleaningKind))


@post("/taps/{venue:str}/{tap:str}/clean", access=OPERATOR, shows=Noun.TAP)
async def record_cleaning(actor: CurrentActor, form: Form, venue: SlugInPath, tap: SlugInPath) -> Response[str]:
    """Record a cleaning that was done."""
    given = form.read(NewCleaning)
    await form.only([]).once(cleanings.record_cleaning, actor, str(tap_path(venue, tap)), given.kind, given.note)
    return go_to(f"/taps/{venue}/{tap}")


@get("/taps/{venue:str}/{tap:str}/interval", access=ENGINEER)
async def ask_for_interval(db: Db, viewer: CurrentViewer, venue: SlugInPath, tap: SlugInPath) -> Response[str]:
    """The form of the days between cleanings."""
    return viewer.show("dialogs/cleaning_interval.html", **await _form_of(db, venue, tap), most=MAX_CLEANING_INTERVAL_DAYS)


@post("/taps/{venue:str}/{tap:str}/interval", access=ENGINEER, shows=Noun.TAP)
async def set_interval(actor: CurrentActor, form: Form, venue: SlugInPath, tap: SlugInPath) -> Response[str]:
    """Set the days between cleanings; without any, no cleaning is due."""
    days = form.read(TapChange).cleaning_interval_days if "cleaning_interval_days" in form.values else None
    path = str(tap_path(venue, tap))
    await form.only(["cleaning_interval_days"]).once(
        taps.change_tap, actor, path, cleaning_interval_days=days if isinstance(days, int) else None
    )
    return go_to(f"/taps/{venue}/{tap}")


@get("/taps/{venue:str}/{tap:str}/calibrate", access=ENGINEER)
async def ask_for_calibration(db: Db, viewer: CurrentViewer, venue: SlugInPath, tap: SlugInPath) -> Response[str]:
    """The forms of a calibration: what was measured, a code for the tap's node, and a factor that is typed."""
    return viewer.show("dialogs/calibrate_tap.html", **await _form_of(db, venue, tap))


@post("/taps/{venue:str}/{tap:str}/calibrate", access=ENGINEER, shows=Noun.TAP)
async def calibrate(actor: CurrentActor, form: Form, venue: SlugInPath, tap: SlugInPath) -> Response[str]:
    """Correct the meter's factor by a measurement."""
    given = form.read(NewCalibration)
    measured = Measurement(given.reference_ml, given.metered_ml, given.pulses_per_liter)
    await form.only([]).once(calibrations.calibrate_tap, actor, str(tap_path(venue, tap)), measured, given.note)
    return go_to(f"/taps/{venue}/{tap}")


@post("/taps/{venue:str}/{tap:str}/factor", access=ENGINEER, shows=Noun.TAP)
async def set_factor(actor: CurrentActor, form: Form, venue: SlugInPath, tap: SlugInPath) -> Response[str]:
    """Set the meter's factor, with a reason."""
    given = form.read(TapChange)
    if not isinstance(given.pulses_per_liter, int):
        raise Invalid("pulses_per_liter: expected a whole number.", field="pulses_per_liter")
    await form.only(["pulses_per_liter"]).once(
        taps.change_tap, actor, str(tap_path(venue, tap)), pulses_per_liter=given.pulses_per_liter, reason=given.reason
    )
    return go_to(f"/taps/{venue}/{tap}")


@post("/taps/{venue:str}/{tap:str}/calibration-code", access=ENGINEER, returns_secret=True, shows=Noun.TAP)
async def issue_code(
    db: Db, viewer: CurrentViewer, actor: CurrentActor, form: Form, venue: SlugInPath, tap: SlugInPath
) -> Response[str]:
    """Make a code with which the tap's node books one calibration; shown this once."""
    path = str(tap_path(venue, tap))
    made = await form.only([]).once(calibrations.issue_calibration_code, actor, path)
    code = "-".join(made.code[start : start + 4] for start in range(0, len(made.code), 4))
    return viewer.show("dialogs/calibration_code.html", tap=await _tap(db, path), code=code, expires_at=made.expires_at)


@get("/taps/{venue:str}/{tap:str}/cleanings.csv", access=OPERATOR)
async def download_cleanings(db: Db, viewer: CurrentViewer, venue: SlugInPath, tap: SlugInPath) -> Response[str]:
    """A tap's cleanings for a spreadsheet."""
    path = (await _tap(db, str(tap_path(venue, tap)))).tap
    items = await every_item(lambda part: cleaning_views.list_cleanings(db, path, part))
    return _file(viewer, CLEANING_FIELDS, items, f"cleanings-{venue}-{tap}.csv")


@get("/taps/{venue:str}/{tap:str}/calibrations.csv", access=OPERATOR)
async def download_calibrations(db: Db, viewer: CurrentViewer, venue: SlugInPath, tap: SlugInPath) -> Response[str]:
    """A tap's calibrations for a spreadsheet."""
    path = (await _tap(db, str(tap_path(venue, tap)))).tap
    items = await every_item(lambda part: calibration_views.list_calibrations(db, path, part))
    return _file(viewer, CALIBRATION_FIELDS, items, f"calibrations-{venue}-{tap}.csv")


@get("/cleaning-log", access=OPERATOR)
async def show_log(
    db: Db,
    viewer: CurrentViewer,
    shell: ShellContext,
    since: Annotated[str | None, QueryParameter(name="from", max_length=40)] = None,
    until: Annotated[str | None, QueryParameter(name="to", max_length=40)] = None,
) -> Response[str]:
    """The cleanings of the venue's taps in a period, to print for an inspector; without one, of the last 90 days."""
    now, zone = await _now(db), viewer.formats.zone
    last = _day("to", until) if until else now.astimezone(zone).date()
    first = _day("from", since) if since else last - timedelta(days=LOG_DAYS - 1)
    if not 0 <= (last - first).days < MAX_LOG_DAYS:
        raise Invalid(f"The period must not end before it begins, and be no longer than {MAX_LOG_DAYS} days.", field="to")
    begin, end = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (first, last + timedelta(days=1)))
    venue_id = viewer.required_venue.venue_id
    done = defaultdict[str, list[CleaningView]](list)
    for cleaning in await cleaning_views.read_log(db, venue_id, begin, end):
        done[cleaning.tap].append(cleaning)
    shown = await every_item(lambda part: tap_views.list_taps(db, venue_id, part))
    period = {"first": first, "last": last, "now": now}
    return viewer.show("cleaning_log.html", shell=shell, taps=shown, done=done, **period)


async def _form_of(db: Database, venue: str, tap: str) -> dict[str, TapView | Shown]:
    path = str(tap_path(venue, tap))
    return {"shown": await read_shown(db, Noun.TAP, path), "tap": await _tap(db, path)}


async def _tap(db: Database, path: str) -> TapView:
    return require_found(await tap_views.get_tap(db, path), "tap", path)


async def _now(db: Database) -> datetime:
    return (await read_status(db)).system.now


def _day(field: str, text: str) -> date:
    given = read_day_or_moment(field, text)
    return given.date() if isinstance(given, datetime) else given


def _file(viewer: Viewer, fields: Sequence[str], items: Sequence[Any], name: str) -> Response[str]:
    """A list for a spreadsheet, times and kinds as people write them."""

    def cell(value: object) -> Any:
        if isinstance(value, CleaningKind):
            return viewer.translate(CLEANING_KINDS[value])
        return viewer.formats.long_moment(value) if isinstance(value, datetime) else cell_of(value)

    rows = ([cell(getattr(item, field)) for field in fields] for item in items)
    return answer_spreadsheet(name, headings(viewer, fields), rows, viewer.formats.decimal_mark)


HANDLERS = (
    show_tap,
    ask_for_cleaning,
    record_cleaning,
    ask_for_interval,
    set_interval,
    ask_for_calibration,
    calibrate,
    set_factor,
    issue_code,
    download_cleanings,
    download_calibrations,
    show_log,
)
