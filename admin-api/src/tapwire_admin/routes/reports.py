"""Sales over a period, as JSON or, with `Accept: text/csv`, for a spreadsheet."""

from collections.abc import Iterator
from typing import Annotated, Any, Final

from litestar import Request, Response, get
from litestar.params import QueryParameter

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.requests.dependencies import Db, FromQuery, VenueQuery
from tapwire_admin.requests.parameters import read_day_or_moment
from tapwire_admin.responses.csv_tables import CSV, Cell, answer_csv, wants_csv
from tapwire_core.db.views.reports import SalesBy, SalesReport, SalesRow, report_sales
from tapwire_core.errors import NotFound

SUMS: Final = ("pours", "volume_ml", "sold_minor", "written_off_minor")
EXAMPLE: Final = "tap,pours,volume_ml,sold_minor,written_off_minor,currency,comps_minor\r\nbar/taps/left,12,4800,33600,0,EUR,0\r\n"


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
    since: Annotated[
        str, QueryParameter(name="from", max_length=40, description="the first day of the venue, or a time with its zone")
    ],
    until: Annotated[str, QueryParameter(name="to", max_length=40, description="the last day, or a time with its zone")],
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


HANDLERS = (report,)
