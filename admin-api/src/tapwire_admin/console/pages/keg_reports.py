"""Kegs of a period with their yield, and one keg's book volume over time: chart, table and CSV."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Response, get
from litestar.params import FromPath, QueryParameter

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.console.formats import Formats
from tapwire_admin.console.labels import FINISHES
from tapwire_admin.console.pages.reports import PARTS, read_days
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.translations import N_
from tapwire_admin.console.viewer import CurrentViewer, Viewer
from tapwire_admin.requests.dependencies import Db, FromQuery
from tapwire_admin.requests.parameters import require_found
from tapwire_admin.responses.csv_tables import Amount, Cell, answer_spreadsheet
from tapwire_core.db.views.keg_reports import (
    BeverageRow,
    KegRow,
    KegsBy,
    KegSums,
    KegVolumes,
    keg_volumes,
    report_keg,
    report_kegs,
)

LEFT: Final = "left"
KEG_PARTS: Final = {**PARTS, LEFT: N_("Still in the kegs")}
"""The parts of what kegs held when they were full."""
WIDTH, HEIGHT = 1000, 100
"""The drawing of a keg's level over time, in units of its own."""


@get("/reports/kegs", access=OPERATOR)
async def show_keg_report(
    db: Db,
    viewer: CurrentViewer,
    shell: ShellContext,
    since: Annotated[str | None, QueryParameter(name="from", max_length=40)] = None,
    until: Annotated[str | None, QueryParameter(name="to", max_length=40)] = None,
) -> Response[str]:
    """The kegs of a period; without one, of today."""
    first, last = await read_days(db, viewer, since, until)
    report = await report_kegs(db, viewer.required_venue.venue_id, first, last)
    bars = [(row, _parts(row)) for row in report.beverages]
    parts = {name: viewer.translate(text) for name, text in KEG_PARTS.items()}
    return viewer.show("keg_report.html", shell=shell, first=first, last=last, report=report, bars=bars, parts=parts)


@get("/reports/kegs.csv", access=OPERATOR)
async def download_keg_report(
    db: Db,
    viewer: CurrentViewer,
    since: Annotated[str, QueryParameter(name="from", max_length=40)],
    until: Annotated[str, QueryParameter(name="to", max_length=40)],
    by: FromQuery[KegsBy] = KegsBy.KEG,
) -> Response[str]:
    """The report for a spreadsheet: one row for each keg, or for each beverage."""
    first, last = await read_days(db, viewer, since, until)
    report = await report_kegs(db, viewer.required_venue.venue_id, first, last)
    rows: Sequence[KegRow | BeverageRow] = report.items if by is KegsBy.KEG else report.beverages
    first_heads = (
        (N_("Beverage"), N_("Supplier"), N_("Batch"), N_("Tapped"), N_("Finished"), N_("Finish"))
        if by is KegsBy.KEG
        else (N_("Beverage"), N_("Kegs"), N_("Finished"))
    )
    volume_heads = [f"{viewer.translate(text)}, {viewer.translate(N_('ml'))}" for text in (N_("Full"), N_("Left"), *PARTS.values())]
    money_heads = [f"{viewer.translate(text)} ({report.currency})" for text in (N_("Revenue"), N_("Cost"), N_("Margin"))]
    header = [
        *(viewer.translate(text) for text in first_heads),
        *volume_heads,
        viewer.translate(N_("Yield, %")),
        *money_heads,
        viewer.translate(N_("Days on tap")),
    ]
    lines = (_line(viewer, row) for row in rows)
    return answer_spreadsheet(f"kegs-{first}-{last}-{by}.csv", header, lines, viewer.formats.decimal_mark)


@get("/reports/kegs/{keg_id:uuid}", access=OPERATOR)
async def show_keg_volumes(db: Db, viewer: CurrentViewer, shell: ShellContext, keg_id: FromPath[UUID]) -> Response[str]:
    """A keg's book volume over time."""
    volumes = require_found(await keg_volumes(db, keg_id), "keg", keg_id)
    row = await report_keg(db, keg_id)
    parts = {name: viewer.translate(text) for name, text in KEG_PARTS.items()}
    bar = _parts(row) if row is not None else []
    return viewer.show("keg_volumes.html", shell=shell, volumes=volumes, row=row, level=_level(volumes), parts=parts, bar=bar)


@get("/reports/kegs/{keg_id:uuid}/volumes.csv", access=OPERATOR)
async def download_keg_volumes(db: Db, viewer: CurrentViewer, keg_id: FromPath[UUID]) -> Response[str]:
    """A keg's book volume over time for a spreadsheet."""
    volumes = require_found(await keg_volumes(db, keg_id), "keg", keg_id)
    header = [viewer.translate(N_("Time")), f"{viewer.translate(N_('Left'))}, {viewer.translate(N_('ml'))}"]
    points: Iterator[list[Cell]] = ([_time(viewer, point.at), point.book_volume_ml] for point in volumes.items)
    return answer_spreadsheet(f"keg-{keg_id}.csv", header, points, viewer.formats.decimal_mark)


def _time(viewer: Viewer, at: datetime) -> str:
    return at.astimezone(viewer.formats.zone).strftime("%Y-%m-%d %H:%M:%S")


def _line(viewer: Viewer, row: KegRow | BeverageRow) -> list[Cell]:
    return [*_first_cells(viewer, row), *_cells(viewer.formats, row)]


def _first_cells(viewer: Viewer, row: KegRow | BeverageRow) -> Iterator[Cell]:
    yield row.beverage
    if isinstance(row, BeverageRow):
        yield row.kegs
        yield row.finished_kegs
        return
    yield row.supplier
    yield row.batch
    yield _time(viewer, row.tapped_at)
    yield _time(viewer, row.finished_at) if row.finished_at else None
    yield viewer.translate(FINISHES[row.finish]) if row.finish else None


def _cells(formats: Formats, row: KegSums) -> Iterator[Cell]:
    yield row.initial_volume_ml
    yield row.book_volume_ml
    for name in PARTS:
        yield getattr(row, f"{name}_ml")
    yield _decimal(formats, row.yield_percent)
    for minor in (row.revenue_minor, row.cost_minor, row.margin_minor):
        yield None if minor is None else Amount(formats.typed_money(minor))
    yield _decimal(formats, row.days_on_tap)


def _decimal(formats: Formats, value: float | None) -> Cell:
    return None if value is None else Amount(f"{value:.1f}".replace(".", formats.decimal_mark))


def _parts(row: KegSums) -> list[dict[str, Any]]:
    """What became of the volume that kegs held, by part, with shares in per cent of all that is above zero."""
    volumes = {name: row.book_volume_ml if name == LEFT else getattr(row, f"{name}_ml") for name in KEG_PARTS}
    total_ml = sum(max(volume_ml, 0) for volume_ml in volumes.values()) or 1
    parts, at = [], 0.0
    for name, volume_ml in volumes.items():
        share = max(volume_ml, 0) / total_ml * 100
        parts.append({"name": name, "volume_ml": volume_ml, "at": at, "share": share})
        at += share
    return parts


def _level(volumes: KegVolumes) -> dict[str, Any] | None:
    """The drawing of the level: a path of steps, and the times at its ends; None without a movement."""
    if not volumes.items:
        return None
    begin, end = volumes.created_at, volumes.items[-1].at
    lowest_ml = min(0, *(point.book_volume_ml for point in volumes.items), volumes.initial_volume_ml)
    length_s = max((end - begin).total_seconds(), 1)
    height_ml = max(volumes.initial_volume_ml, *(point.book_volume_ml for point in volumes.items)) - lowest_ml

    def y(volume_ml: int) -> float:
        return round(HEIGHT - (volume_ml - lowest_ml) / height_ml * HEIGHT, 2)

    steps = [f"M0 {y(volumes.initial_volume_ml)}"]
    for point in volumes.items:
        x = round((point.at - begin).total_seconds() / length_s * WIDTH, 1)
        steps.append(f"H{x}V{y(point.book_volume_ml)}")
    line = "".join(steps)
    return {
        "line": line,
        "area": f"{line}V{y(0)}H0Z",
        "zero": y(0),
        "width": WIDTH,
        "height": HEIGHT,
        "begin": begin,
        "end": end,
        "highest_ml": height_ml + lowest_ml,
        "lowest_ml": lowest_ml,
    }


HANDLERS = (show_keg_report, download_keg_report, show_keg_volumes, download_keg_volumes)
