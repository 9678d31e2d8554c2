"""Receipts of visits, as JSON or, with `Accept: text/csv`, for a spreadsheet."""

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, get

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.requests.dependencies import Db, FromPath
from tapwire_admin.responses.csv_tables import CSV, Cell, answer_csv, wants_csv
from tapwire_core.domain.receipts import Receipt, Sums
from tapwire_core.services.receipts import get_receipt

HEADER: Final = ("part", "name", "volume_ml", "sell_price_per_liter_minor", "amount_minor", "settled_at", "currency")
EXAMPLE: Final = ",".join(HEADER) + "\r\npour,Pils,400,700,280,2026-05-01T20:00:00+00:00,EUR\r\n"


@get("/visits/{visit_id:uuid}/receipt", access=OPERATOR, answers={200: (Receipt, "the receipt")}, as_text={CSV: EXAMPLE})
async def read_receipt(request: Request[Any, Any, Any], db: Db, visit_id: FromPath[UUID]) -> Response[Any]:
    """The receipt of a visit: its pours, and the guest's movements of money from its opening to its closing."""
    receipt = await get_receipt(db, visit_id)
    return answer_csv(HEADER, rows_of(receipt)) if wants_csv(request) else Response(receipt)


def rows_of(receipt: Receipt) -> Iterator[tuple[Cell, ...]]:
    """One row for each pour, one for each sum, and three for each rate of tax, whose name is the rate in basis points."""
    for pour in receipt.pours:
        price_minor, settled_at = pour.sell_price_per_liter_minor, pour.settled_at.isoformat()
        yield "pour", pour.beverage, pour.volume_ml, price_minor, pour.amount_minor, settled_at, receipt.currency
    for name in Sums.__struct_fields__:
        yield "sum", name, None, None, getattr(receipt, name), None, receipt.currency
    for row in receipt.tax:
        rate = None if row.tax_rate_bp is None else str(row.tax_rate_bp)
        for part, amount_minor in (("gross", row.gross_minor), ("net", row.net_minor), ("tax", row.tax_minor)):
            yield part, rate, None, None, amount_minor, None, receipt.currency


HANDLERS = (read_receipt,)
