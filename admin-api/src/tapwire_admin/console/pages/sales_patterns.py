"""Sales by weekday and hour, and beside the week before: chart, table and CSV."""

from collections.abc import Iterator, Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Final

from litestar import Response, get
from litestar.params import QueryParameter

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.console.formats import Formats
from tapwire_admin.console.labels import DAYS
from tapwire_admin.console.pages.reports import MONEY, VOLUMES, read_days
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.translations import N_
from tapwire_admin.console.viewer import CurrentViewer, Viewer
from tapwire_admin.requests.dependencies import Db, FromQuery
from tapwire_admin.requests.parameters import read_day
from tapwire_admin.responses.csv_tables import Amount, Cell, answer_spreadsheet
from tapwire_core.db.engine import Database
from tapwire_core.db.views.sales_patterns import (
    ComparedDay,
    HeatMapCell,
    SalesComparison,
    SalesHeatMap,
    compare_sales,
    report_heat_map,
)

HEAT_MAP_DAYS: Final = 28
"""The period without another choice: four of each weekday."""
COMPARED_DAYS: Final = 7
SHADES: Final = 8
"""Shades of the heat map; 0 is none. `console.css` has the colours."""
MAX_NAMED_DAYS: Final = 7
"""Days that are named under the columns of the comparison: more would touch each other at 360 px."""
COLUMNS_HEIGHT: Final = 100
"""The height of the comparison's drawing, in units of its own; a day is one wide."""

First = Annotated[str | None, QueryParameter(name="from", max_length=40)]
Last = Annotated[str | None, QueryParameter(name="to", max_length=40)]
FirstDay = Annotated[str, QueryParameter(name="from", max_length=40)]
LastDay = Annotated[str, QueryParameter(name="to", max_length=40)]


class HeatOf(StrEnum):
    """What the shades of the heat map stand for."""

    SOLD = "sold_minor"
    VOLUME = "volume_ml"
    POURS = "pours"


HEAT_LABELS: Final = {HeatOf.SOLD: MONEY[0], HeatOf.VOLUME: N_("Volume"), HeatOf.POURS: VOLUMES[0]}


@get("/reports/heat-map", access=OPERATOR)
async def show_heat_map(
    db: Db, viewer: CurrentViewer, shell: ShellContext, since: First = None, until: Last = None, of: FromQuery[HeatOf] = HeatOf.SOLD
) -> Response[str]:
    """The heat map of a period; without one, of the last four weeks."""
    first, last = await read_days(db, viewer, since, until, days=HEAT_MAP_DAYS)
    heat = await report_heat_map(db, viewer.required_venue.venue_id, first, last)
    context = {
        "first": first,
        "last": last,
        "of": of,
        "kinds": HEAT_LABELS,
        "heat": heat,
        "rows": _heat_rows(viewer.formats, heat, of),
        "shades": range(1, SHADES + 1),
        "day_names": viewer.translate_all(DAYS),
    }
    return viewer.show("heat_map.html", shell=shell, **context)


@get("/reports/heat-map.csv", access=OPERATOR)
async def download_heat_map(db: Db, viewer: CurrentViewer, since: FirstDay, until: LastDay) -> Response[str]:
    """The heat map for a spreadsheet: one row for each hour with sales."""
    first, last = await read_days(db, viewer, since, until)
    heat = await report_heat_map(db, viewer.required_venue.venue_id, first, last)
    header = [
        *viewer.translate_all((N_("Weekday"), N_("Hour"), *VOLUMES)),
        f"{viewer.translate(MONEY[0])} ({heat.currency})",
    ]
    days = viewer.translate_all(DAYS)
    rows: Iterator[list[Cell]] = (
        [days[cell.weekday - 1], hour_name(cell.hour), cell.pours, cell.volume_ml, _typed(viewer, cell.sold_minor)]
        for cell in heat.items
    )
    return answer_spreadsheet(f"heat-map-{first}-{last}.csv", header, rows, viewer.formats.decimal_mark)


@get("/reports/comparison", access=OPERATOR)
async def show_comparison(
    db: Db, viewer: CurrentViewer, shell: ShellContext, since: First = None, until: Last = None
) -> Response[str]:
    """The days of a period beside those of the week before; without one, of the last seven days."""
    first, last, found = await _compare(db, viewer, since, until)
    sums = {name: sum(getattr(day, name) for day in found.items) for name in ComparedDay.__struct_fields__ if "day" not in name}
    context = {
        "first": first,
        "last": last,
        "found": found,
        "rows": [(day, _change(day.sold_minor, day.sold_before_minor)) for day in found.items],
        "sums": sums,
        "change": _change(sums["sold_minor"], sums["sold_before_minor"]),
        "columns": _columns(found.items),
    }
    return viewer.show("sales_comparison.html", shell=shell, **context)


@get("/reports/comparison.csv", access=OPERATOR)
async def download_comparison(db: Db, viewer: CurrentViewer, since: FirstDay, until: LastDay) -> Response[str]:
    """The comparison for a spreadsheet: one row for each day."""
    first, last, found = await _compare(db, viewer, since, until)
    half = (*viewer.translate_all(VOLUMES), f"{viewer.translate(MONEY[0])} ({found.currency})")
    header = [viewer.translate(N_("Day")), *half, viewer.translate(N_("Week before")), *half]
    rows: Iterator[list[Cell]] = (
        [
            *(day.day.isoformat(), day.pours, day.volume_ml, _typed(viewer, day.sold_minor)),
            *(day.day_before.isoformat(), day.pours_before, day.volume_before_ml, _typed(viewer, day.sold_before_minor)),
        ]
        for day in found.items
    )
    return answer_spreadsheet(f"comparison-{first}-{last}.csv", header, rows, viewer.formats.decimal_mark)


def hour_name(hour: int) -> str:
    """An hour of the day by its beginning."""
    return f"{hour:02}:00"


async def _compare(db: Database, viewer: Viewer, since: str | None, until: str | None) -> tuple[date, date, SalesComparison]:
    for name, text in (("from", since), ("to", until)):
        if text:
            read_day(name, text)
    first, last = await read_days(db, viewer, since, until, days=COMPARED_DAYS)
    return first, last, await compare_sales(db, viewer.required_venue.venue_id, first, last)


def _typed(viewer: Viewer, minor: int) -> Amount:
    return Amount(viewer.formats.typed_money(minor))


def _heat_rows(formats: Formats, heat: SalesHeatMap, of: HeatOf) -> list[dict[str, Any]]:
    """One row an hour, from the first with sales to the last: seven cells, each with its shade and a rounded number."""
    if not heat.items:
        return []
    found = {(cell.hour, cell.weekday): cell for cell in heat.items}
    most = max(getattr(cell, of) for cell in heat.items)
    hours = [cell.hour for cell in heat.items]
    rows = []
    for hour in range(min(hours), max(hours) + 1):
        cells = [found.get((hour, weekday)) for weekday in range(1, len(DAYS) + 1)]
        rows.append({"hour": hour_name(hour), "cells": [_heat_cell(formats, cell, of, most) for cell in cells]})
    return rows


def _heat_cell(formats: Formats, cell: HeatMapCell | None, of: HeatOf, most: int) -> dict[str, Any]:
    value = getattr(cell, of) if cell else 0
    shade = -(-SHADES * value // most) if most > 0 and value > 0 else 0
    return {"shade": shade, "text": _rounded(formats, value, of) if value else "", "value": value}


def _rounded(formats: Formats, value: int, of: HeatOf) -> str:
    """A number that fits a narrow cell: money in major units, volumes in litres or ounces, both whole."""
    match of:
        case HeatOf.SOLD:
            return formats.number(round(value / 10**formats.digits))
        case HeatOf.VOLUME:
            return formats.number(round(formats.scale(value)))
        case HeatOf.POURS:
            return formats.number(value)


def _change(now: int, before: int) -> float | None:
    """The change in per cent, with one decimal; None where there is nothing to compare with."""
    return round((now - before) / before * 100, 1) if before > 0 else None


def _columns(days: Sequence[ComparedDay]) -> dict[str, Any] | None:
    """The drawing: two columns a day, the week before's and its own; None where nothing was sold."""
    most = max((max(day.sold_minor, day.sold_before_minor) for day in days), default=0)
    if most <= 0:
        return None

    def column(place: float, minor: int) -> tuple[float, float, float]:
        height = round(max(minor, 0) / most * COLUMNS_HEIGHT, 2)
        return place, round(COLUMNS_HEIGHT - height, 2), height

    return {
        "width": len(days),
        "height": COLUMNS_HEIGHT,
        "most_minor": most,
        "before": [column(place + 0.12, day.sold_before_minor) for place, day in enumerate(days)],
        "now": [column(place + 0.5, day.sold_minor) for place, day in enumerate(days)],
        "named_every": -(-len(days) // MAX_NAMED_DAYS),
    }


HANDLERS = (show_heat_map, download_heat_map, show_comparison, download_comparison)
