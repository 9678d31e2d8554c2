"""Sales and kegs of a period, as JSON or, with `Accept: text/csv`, for a spreadsheet."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from litestar import Request, Response, get
from litestar.params import QueryParameter

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.requests.dependencies import Db, FromQuery, VenueQuery
from tapwire_admin.requests.parameters import read_day, read_day_or_moment
from tapwire_admin.responses.csv_tables import CSV, Cell, answer_csv, cell_of, wants_csv
from tapwire_core.db.views.keg_reports import BeverageRow, KegReport, KegRow, KegsBy, KegSums, report_kegs
from tapwire_core.db.views.reports import SalesBy, SalesReport, SalesRow, report_sales
from tapwire_core.db.views.sales_patterns import SalesComparison, SalesHeatMap, compare_sales, report_heat_map
from tapwire_core.errors import NotFound

SUMS: Final = ("pours", "volume_ml", "sold_minor", "written_off_minor")
KEG_COLUMNS: Final = (
    "keg_id",
    "venue_id",
    "beverage_id",
    "beverage",
    "supplier",
    "batch",
    "tapped_at",
    "finished_at",
    "finish",
    *KegSums.__struct_fields__,
)
BEVERAGE_COLUMNS: Final = ("beverage_id", "beverage", "kegs", "finished_kegs", *KegSums.__struct_fields__)
KEGS_EXAMPLE: Final = (
    "beverage_id,beverage,kegs,finished_kegs,initial_volume_ml,book_volume_ml,sold_ml,written_off_ml,rejected_ml,unattributed_ml,"
    "corrected_ml,line_cleaning_ml,yield_loss_ml,spoiled_ml,returned_ml,yield_percent,revenue_minor,cost_minor,margin_minor,"
    "days_on_tap,currency\r\n0b8b1c3e-6a53-4a57-9b62-5f1f0f6b2a11,Pils,1,1,50000,0,48600,200,0,0,0,0,1200,0,0,97.2,340200,8900,"
    "331300,2.5,EUR\r\n"
)
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
    return answer_csv(
        [*COMPARISON, "currency"], ([*(cell_of(getattr(row, name)) for name in COMPARISON), found.currency] for row in found.items)
    )


@get(
    "/reports/kegs",
    access=OPERATOR,
    refuses=(NotFound,),
    answers={200: (KegReport, "the kegs, and their beverages")},
    as_text={CSV: KEGS_EXAMPLE},
)
async def report_of_kegs(
    request: Request[Any, Any, Any],
    db: Db,
    since: FirstMoment,
    until: LastMoment,
    by: FromQuery[KegsBy] = KegsBy.KEG,
    venue_id: VenueQuery = None,
) -> Response[Any]:
    """Kegs that are on a tap, or were tapped, finished or moved in a period; each sum is of a keg's whole life.

    `by` chooses the table of the CSV.
    """
    first, last = read_day_or_moment("from", since), read_day_or_moment("to", until)
    report = await report_kegs(db, venue_id, first, last)
    return kegs_as_csv(report, by) if wants_csv(request) else Response(report)


def kegs_as_csv(report: KegReport, by: KegsBy) -> Response[str]:
    """A keg report as CSV for programs: one row for each keg or beverage."""
    rows: Sequence[KegRow | BeverageRow] = report.items if by is KegsBy.KEG else report.beverages
    names = KEG_COLUMNS if by is KegsBy.KEG else BEVERAGE_COLUMNS
    return answer_csv([*names, "currency"], ([*(_cell(getattr(row, name)) for name in names), report.currency] for row in rows))


def _cell(value: object) -> Cell:
    return value.isoformat() if isinstance(value, datetime) else cell_of(value)


HANDLERS = (report, heat_map, compare, report_of_kegs)
