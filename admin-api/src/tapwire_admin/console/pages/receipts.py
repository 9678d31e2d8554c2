"""Receipts of visits: to read, to print on 80 mm or A4, and for a spreadsheet."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, get
from litestar.params import FromPath

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.console.pages.visits import require_visit
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.translations import N_
from tapwire_admin.console.viewer import CurrentViewer, Viewer
from tapwire_admin.requests.dependencies import Db
from tapwire_admin.requests.parameters import require_found
from tapwire_admin.responses.csv_tables import Amount, Cell, answer_spreadsheet
from tapwire_admin.routes.guest_pages import url_while_it_lasts
from tapwire_core.db.views.venues import get_venue
from tapwire_core.domain.receipts import Receipt, Sums
from tapwire_core.services.receipts import get_receipt

SUMS: Final[Mapping[str, str]] = {
    "opening_balance_minor": N_("Balance at the beginning"),
    "top_ups_minor": N_("Top-ups"),
    "comps_minor": N_("On the house"),
    "adjustments_minor": N_("Corrections"),
    "poured_minor": N_("Poured"),
    "charges_minor": N_("Charged later"),
    "reversals_minor": N_("Top-ups taken back"),
    "refunds_minor": N_("Refunds"),
    "deposit_minor": N_("Card deposit"),
    "paid_out_minor": N_("Paid out"),
    "balance_minor": N_("Balance at the end"),
}
ALWAYS: Final = frozenset({"opening_balance_minor", "poured_minor", "balance_minor"})
"""Sums that stand on each receipt; the others where they are not 0."""
COMING: Final = frozenset({"opening_balance_minor", "top_ups_minor", "comps_minor", "adjustments_minor", "balance_minor"})
"""Sums that add to the balance; the others take from it."""


@get("/visits/{visit_id:uuid}/receipt", access=OPERATOR)
async def show_receipt(
    request: Request[Any, Any, Any], db: Db, viewer: CurrentViewer, shell: ShellContext, visit_id: FromPath[UUID]
) -> Response[str]:
    """The receipt, to read and print."""
    visit, receipt = await require_visit(db, visit_id), await get_receipt(db, visit_id)
    venue = require_found(await get_venue(db, visit.venue_id), "venue", visit.venue_id)
    sums, page = list(sums_of(viewer.translate, receipt)), await url_while_it_lasts(request, db, visit_id)
    return viewer.show("receipt.html", shell=shell, visit=visit, receipt=receipt, venue=venue, sums=sums, page=page)


@get("/visits/{visit_id:uuid}/receipt.csv", access=OPERATOR)
async def download_receipt(db: Db, viewer: CurrentViewer, visit_id: FromPath[UUID]) -> Response[str]:
    """The receipt for a spreadsheet."""
    receipt = await get_receipt(db, visit_id)
    header = [viewer.translate(N_("Line")), viewer.translate(N_("Volume, ml")), viewer.translate(N_("Amount"))]
    return answer_spreadsheet(f"receipt-{visit_id}.csv", header, _rows(viewer, receipt), viewer.formats.decimal_mark)


def sums_of(translate: Callable[[str], str], receipt: Sums) -> Iterator[tuple[str, int]]:
    """The sums to show, each with its label and the amount that it adds to the balance."""
    for name, label in SUMS.items():
        minor = getattr(receipt, name)
        if minor or name in ALWAYS:
            yield translate(label), minor if name in COMING else -minor


def _rows(viewer: Viewer, receipt: Receipt) -> Iterator[tuple[Cell, ...]]:
    typed = viewer.formats.typed_money
    for pour in receipt.pours:
        yield pour.beverage, pour.volume_ml, Amount(typed(pour.amount_minor))
    for label, minor in sums_of(viewer.translate, receipt):
        yield label, None, Amount(typed(minor))
    for row in receipt.tax:
        rate = viewer.formats.tax_rate(row.tax_rate_bp)
        for label, amount_minor in ((N_("Gross"), row.gross_minor), (N_("Net"), row.net_minor), (N_("Tax"), row.tax_minor)):
            yield f"{viewer.translate(label)} {rate}", None, None if amount_minor is None else Amount(typed(amount_minor))


HANDLERS = (show_receipt, download_receipt)
