"""Sales over a period, as JSON or, with `Accept: text/csv`, for a spreadsheet."""

import csv
import io
from typing import Annotated, Any, Final

from litestar import Request, Response, get
from litestar.params import QueryParameter

from tapwire_admin.auth import OPERATOR
from tapwire_admin.given import AskedVenue, Db, FromQuery
from tapwire_admin.reading import read_day_or_moment, the_venue
from tapwire_core.db.views.sales import SalesBy, SalesReport, SalesRow, report_sales

CSV: Final = "text/csv"
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula; a name that starts so gets an apostrophe before it."""


@get("/reports/sales", access=OPERATOR)
async def report(
    request: Request[Any, Any, Any],
    db: Db,
    since: Annotated[str, QueryParameter(name="from", max_length=40, description="a day of the venue, or a time with its zone")],
    until: Annotated[str, QueryParameter(name="to", max_length=40, description="the last day, or a time with its zone")],
    by: FromQuery[SalesBy] = SalesBy.DAY,
    venue_id: AskedVenue = None,
) -> Response[Any]:
    """What was sold, by tap, beverage, hour or day."""
    first, last = read_day_or_moment("from", since), read_day_or_moment("to", until)
    sales = await report_sales(db, await the_venue(db, venue_id), first, last, by)
    if CSV in request.headers.get("Accept", ""):
        return Response(as_csv(sales), media_type=CSV)
    return Response(sales)


def as_csv(sales: SalesReport) -> str:
    """A report for a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([sales.by, *SalesRow.__struct_fields__[1:], "currency"])
    for row in sales.items:
        key = f"'{row.key}" if row.key.startswith(FORMULA_STARTS) else row.key
        writer.writerow([key, row.pours, row.volume_ml, row.sold_minor, row.written_off_minor, sales.currency])
    return text.getvalue()


HANDLERS = (report,)
