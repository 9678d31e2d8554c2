"""Sales over a period, as JSON or, with `Accept: text/csv`, for a spreadsheet."""

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, Final

from litestar import Request, Response, get
from litestar.params import QueryParameter

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.requests.dependencies import Db, FromQuery, VenueQuery
from tapwire_admin.requests.parameters import read_day, read_day_or_moment
from tapwire_admin.responses.csv_tables import CSV, Cell, answer_csv, wants_csv
from tapwire_core.db.views.reports import SalesBy, SalesReport, SalesRow, report_sales
from tapwire_core.db.views.sales_patterns import ComparedDay, SalesComparison, SalesHeatMap, compare_sales, report_heat_map
from tapwire_core.errors import NotFound

SUMS: Final = ("pours", "volume_ml", "sold_minor", "written_off_minor")
EXAMPLE: Final = "tap,pours,volume_ml,sold_minor,written_off_minor,currency,comps_minor\r\nbar/taps/left,12,4800,33600,0,EUR,0\r\n"

FirstMoment = Annotated[
    str, QueryParameter(name="from", max_length=40, description="the first day of the venue, or a time with its zone")
]
LastMoment = Annotated[str, QueryParameter(name="to", max_length=40, description="the last day, or a time with its zone")]


@get(
    "/reports/sales",
    access=OPERATOR,
    refuses=(NotFound,),
    answers={200: (SalesReport, "the sales")},
    as_text={CSV: EXAMPLE},
)
async def report(
    request: Request[Any, Any, Any],
    db: Db,
    since: FirstMoment,
    until: LastMoment,
    by: FromQuery[SalesBy] = SalesBy.DAY,
    venue_id: VenueQuery = None,
) -> Response[Any]:
    """Sales by venue, tap, beverage, hour or day; without `venue_id` the sums of all venues that the operator has."""
    first, last = read_day_or_moment("from", since), read_day_or_moment("to", until)
    sales = await report_sales(db, venue_id, first, last, by)
    return as_csv(sales) if wants_csv(request) else Response(sales)


def as_csv(sales: SalesReport) -> Response[str]:
    """A report as CSV for programs: amounts in minor units."""
    by_beverage = sales.by is SalesBy.BEVERAGE
    header = [sales.by, *SUMS, "currency", *(["beverage_id"] if by_beverage else []), "comps_minor"]
    return answer_csv(header, (_cells(row, sales.currency, by_beverage=by_beverage) for row in sales.items))


def _cells(row: SalesRow, currency: str, *, by_beverage: bool) -> Iterator[Cell]:
    yield row.key
    yield from (getattr(row, name) for name in SUMS)
    yield currency
    if by_beverage:
        yield str(row.beverage_id) if row.beverage_id else None
    yield row.comps_minor


FirstDay = Annotated[str, QueryParameter(name="from", max_length=40, description="the first day of the venue")]
LastDay = Annotated[str, QueryParameter(name="to", max_length=40, description="the last day")]
HEAT_MAP: Final = ("weekday", "hour", "pours", "volume_ml", "sold_minor")
HEAT_MAP_EXAMPLE: Final = "weekday,hour,pours,volume_ml,sold_minor,currency\r\n5,20,48,19200,134400,EUR\r\n"
COMPARISON: Final = (
    *("day", "pours", "volume_ml", "sold_minor"),
    *("day_before", "pours_before", "volume_before_ml", "sold_before_minor"),
)
COMPARISON_EXAMPLE: Final = (
    "day,pours,volume_ml,sold_minor,day_before,pours_before,volume_before_ml,sold_before_minor,currency\r\n"
    "2026-05-08,48,19200,134400,2026-05-01,40,16000,112000,EUR\r\n"
)


@get(
    "/reports/sales/heat-map",
    access=OPERATOR,
    refuses=(NotFound,),
    answers={200: (SalesHeatMap, "the sales")},
    as_text={CSV: HEAT_MAP_EXAMPLE},
)
async def heat_map(
    request: Request[Any, Any, Any], db: Db, since: FirstMoment, until: LastMoment, venue_id: VenueQuery = None
) -> Response[Any]:
    """Sales by weekday and hour, on each venue's clock; without `venue_id` the sums of all venues that the operator has."""
    first, last = read_day_or_moment("from", since), read_day_or_moment("to", until)
    found = await report_heat_map(db, venue_id, first, last)
    if not wants_csv(request):
        return Response(found)
    return answer_csv(
        [*HEAT_MAP, "currency"], ([*(getattr(row, name) for name in HEAT_MAP), found.currency] for row in found.items)
    )


@get(
    "/reports/sales/comparison",
    access=OPERATOR,
    refuses=(NotFound,),
    answers={200: (SalesComparison, "the days")},
    as_text={CSV: COMPARISON_EXAMPLE},
)
async def compare(
    request: Request[Any, Any, Any], db: Db, since: FirstDay, until: LastDay, venue_id: VenueQuery = None
) -> Response[Any]:
    """Each day's sales beside those of the same weekday a week before; of a day that is not over, up to the same time of day."""
    found = await compare_sales(db, venue_id, read_day("from", since), read_day("to", until))
    if not wants_csv(request):
        return Response(found)
    return answer_csv([*COMPARISON, "currency"], (_compared(row, found.currency) for row in found.items))


def _compared(row: ComparedDay, currency: str) -> Iterator[Cell]:
    for name in COMPARISON:
        value = getattr(row, name)
        yield value.isoformat() if isinstance(value, date) else value
    yield currency


HANDLERS = (report, heat_map, compare)
