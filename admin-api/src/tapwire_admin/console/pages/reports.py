"""Sales and volumes of a period, as chart, table and CSV."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final

from litestar import Response, get
from litestar.params import QueryParameter
from msgspec.structs import asdict

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.console.formats import Formats
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.translations import N_, translations
from tapwire_admin.console.viewer import CurrentViewer, Viewer
from tapwire_admin.requests.dependencies import Db, FromQuery
from tapwire_admin.requests.parameters import read_day_or_moment
from tapwire_admin.responses.csv_tables import Amount, Cell, answer_spreadsheet
from tapwire_core.db.engine import Database
from tapwire_core.db.views.reports import SalesBy, SalesReport, SalesRow, report_sales
from tapwire_core.db.views.system import read_status
from tapwire_core.db.views.volumes import Volumes, report_volumes
from tapwire_core.domain.closed_sets import VolumeUnit

UNKNOWN_KEY: Final = "-"
"""The key of sales without a known tap or beverage."""
BY_TIME: Final = (SalesBy.HOUR, SalesBy.DAY)
WAYS: Final = tuple(by for by in SalesBy if by is not SalesBy.VENUE)
"""Groupings of one venue's sales."""
BY_LABELS: Final = {
    SalesBy.VENUE: N_("Venue"),
    SalesBy.TAP: N_("Tap"),
    SalesBy.BEVERAGE: N_("Beverage"),
    SalesBy.HOUR: N_("Hour"),
    SalesBy.DAY: N_("Day"),
}
VOLUMES: Final = (N_("Pours"), N_("Volume, ml"))
MONEY: Final = (N_("Sold"), N_("Written off"))
"""The columns of a report for a spreadsheet, after the first; one more for house credit, where guests were given some."""
PARTS: Final = {
    "sold": N_("Sold"),
    "written_off": N_("Written off"),
    "rejected": N_("Not charged"),
    "unattributed": N_("Unattributed"),
    "corrected": N_("Corrections"),
    "line_cleaning": N_("Line cleaning"),
    "yield_loss": N_("Left in kicked kegs"),
    "spoiled": N_("Spoiled"),
    "returned": N_("Returned"),
}


@get("/reports", access=OPERATOR)
async def show_reports(
    db: Db,
    viewer: CurrentViewer,
    shell: ShellContext,
    since: Annotated[str | None, QueryParameter(name="from", max_length=40)] = None,
    until: Annotated[str | None, QueryParameter(name="to", max_length=40)] = None,
    by: FromQuery[SalesBy] = SalesBy.HOUR,
) -> Response[str]:
    """The report of a period; without one, of today."""
    first, last = await read_days(db, viewer, since, until)
    sales = await report_sales(db, viewer.required_venue.venue_id, first, last, by)
    volumes = await report_volumes(db, viewer.required_venue.venue_id, sales.since, sales.until)
    labels, parts = _labels(viewer, sales, by), _parts(viewer, volumes)
    poured_ml = sum(part["volume_ml"] for part in parts)
    context = {
        "sales": sales,
        "labels": labels,
        "chart": _chart(viewer, sales, labels) if by in BY_TIME and sales.items else None,
        "parts": parts,
        "poured_ml": poured_ml,
        "lost_ml": poured_ml - volumes.sold_ml,
    }
    period = {"first": first, "last": last, "by": by, "ways": WAYS}
    return viewer.show("reports.html", shell=shell, **period, **context)


@get("/reports/sales.csv", access=OPERATOR)
async def download(
    db: Db,
    viewer: CurrentViewer,
    since: Annotated[str, QueryParameter(name="from", max_length=40)],
    until: Annotated[str, QueryParameter(name="to", max_length=40)],
    by: FromQuery[SalesBy] = SalesBy.DAY,
) -> Response[str]:
    """The report for a spreadsheet."""
    first, last = await read_days(db, viewer, since, until)
    sales = await report_sales(db, viewer.required_venue.venue_id, first, last, by)
    labels = _labels(viewer, sales, by)
    money = f" ({sales.currency})"
    amounts = (*MONEY, N_("House credit")) if sales.comps_minor else MONEY
    header = [
        *(viewer.translate(text) for text in (BY_LABELS[by], *VOLUMES)),
        *(viewer.translate(text) + money for text in amounts),
    ]
    rows = ([labels.get(row.key, "–"), *_cells(viewer.formats, row, with_comps=bool(sales.comps_minor))] for row in sales.items)
    return answer_spreadsheet(f"sales-{first}-{last}-{by}.csv", header, rows, viewer.formats.decimal_mark)


def _cells(formats: Formats, row: SalesRow, *, with_comps: bool) -> Iterator[Cell]:
    yield row.pours
    yield row.volume_ml
    yield Amount(formats.typed_money(row.sold_minor))
    yield Amount(formats.typed_money(row.written_off_minor))
    if with_comps:
        yield Amount(formats.typed_money(row.comps_minor))


async def read_days(db: Database, viewer: Viewer, since: str | None, until: str | None, *, days: int = 1) -> tuple[date, date]:
    """The first and the last day of a page's period; without them so many days up to today."""
    today = (await read_status(db)).system.now.astimezone(viewer.formats.zone).date()
    last = read_day_or_moment("to", until) if until else today
    first = read_day_or_moment("from", since) if since else last - timedelta(days=days - 1)
    return first, last


def _labels(viewer: Viewer, sales: SalesReport, by: SalesBy) -> dict[str, str]:
    """Labels of rows. Two hours of one name, when clocks go back, also get their UTC offset."""
    if by is SalesBy.HOUR:
        names = {row.key: viewer.formats.moment(datetime.fromisoformat(row.key)) for row in sales.items if row.key != UNKNOWN_KEY}
        twice = {label for label, count in Counter(names.values()).items() if count > 1}
        return {key: f"{label} ({key[-6:]})" if label in twice else label for key, label in names.items()}
    if by is SalesBy.DAY:
        return {row.key: viewer.formats.short_day(date.fromisoformat(row.key)) for row in sales.items if row.key != UNKNOWN_KEY}
    return {row.key: row.key.split("/")[-1] if by is SalesBy.TAP else row.key for row in sales.items if row.key != UNKNOWN_KEY}


def _parts(viewer: Viewer, volumes: Volumes) -> list[dict[str, Any]]:
    """The volume that left the kegs, by part, with shares in per cent."""
    texts, found = translations(viewer.locale), asdict(volumes)
    total_ml = sum(max(found[f"{name}_ml"], 0) for name in PARTS) or 1
    parts, at = [], 0.0
    for name, text in PARTS.items():
        volume_ml = found[f"{name}_ml"]
        share = max(volume_ml, 0) / total_ml * 100
        parts.append({"name": name, "text": texts.gettext(text), "volume_ml": volume_ml, "at": at, "share": share})
        at += share
    return parts


def _chart(viewer: Viewer, sales: SalesReport, labels: dict[str, str]) -> dict[str, Any]:
    """The chart's data: venue's time, money in major units, litres or ounces."""
    volume_name = N_("Litres") if viewer.formats.unit is VolumeUnit.ML else N_("Ounces")
    per_major = 10 ** (len(viewer.formats.plain_money(0).partition(".")[2]))
    return {
        "keys": [labels.get(row.key, row.key) for row in sales.items],
        "money": [(row.sold_minor + row.written_off_minor) / per_major for row in sales.items],
        "volumes": [float(viewer.formats.scale(row.volume_ml)) for row in sales.items],
        "labels": [viewer.translate(text) for text in (N_("Time"), N_("Money"), volume_name)],
    }


HANDLERS = (show_reports, download)
