"""Kegs and beverages in stock, and bookings of volume outside pours."""

from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery
from msgspec import UNSET

from tapwire_admin.access.auth import OPERATOR, SHIFT_LEAD, operator_of
from tapwire_admin.console.choices import FIRST_CHOICES, Choice, Choices, choices_of
from tapwire_admin.console.formats import read_liters
from tapwire_admin.console.forms import Form
from tapwire_admin.console.render import go_to
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.translations import N_
from tapwire_admin.console.viewer import CurrentViewer, Viewer
from tapwire_admin.requests.dependencies import CurrentActor, Db, PageQuery, TextQuery
from tapwire_admin.requests.parameters import Cursor, read_uuid, require_found
from tapwire_admin.routes.kegs import KegChange, NewKeg, StockBooking, require_sane_best_before
from tapwire_core.db.engine import Database
from tapwire_core.db.views import beverages as beverage_views
from tapwire_core.db.views import kegs as keg_views
from tapwire_core.db.views.beverages import BeverageView
from tapwire_core.db.views.keg_reports import report_keg
from tapwire_core.db.views.queries import Page
from tapwire_core.domain.closed_sets import KegStatus
from tapwire_core.domain.shown import Noun
from tapwire_core.services import kegs
from tapwire_core.services.shown import read_shown

KEG_SIZES_L: Final = (20, 30, 50)
STATED: Final = ("supplier", "batch", "best_before", "cost_minor", "keg_deposit_minor")
PAID: Final = ("cost_minor", "keg_deposit_minor")
REASONS: Final = {"correction": N_("recounted"), "line_cleaning": N_("line cleaning")}


@get("/stock", access=OPERATOR)
async def show_stock(
    db: Db,
    viewer: CurrentViewer,
    shell: ShellContext,
    page: PageQuery,
    retired: FromQuery[bool] = False,
    keg: FromQuery[UUID | None] = None,
    beverages: Cursor = None,
    archived: Cursor = None,
) -> Response[str]:
    """Kegs, the oldest first, or this one, and beverages; `beverages` and `archived` are those lists' cursors."""
    if keg is not None:
        kegs_shown = Page((require_found(await keg_views.get_keg(db, keg), "keg", keg),), None)
    else:
        status = KegStatus.RETIRED if retired else KegStatus.IN_STOCK
        kegs_shown = await keg_views.list_kegs(db, viewer.required_venue.venue_id, status, page)
    context = {
        "page": kegs_shown,
        "beverages": await beverage_views.list_beverages(db, page=msgspec.structs.replace(page, cursor=beverages)),
        "archived": await beverage_views.list_beverages(db, archived=True, page=msgspec.structs.replace(page, cursor=archived)),
        "retired": retired,
        "keg": keg,
        "archived_at": archived,
    }
    return viewer.show("kegs.html", shell=shell, **context)


@get("/stock/new-keg", access=OPERATOR)
async def ask_for_keg(db: Db, viewer: CurrentViewer) -> Response[str]:
    """The form of a new keg."""
    beverages = await _beverage_choices(db, viewer, None, None)
    return viewer.show("dialogs/new_keg.html", beverages=beverages, sizes_l=KEG_SIZES_L)


@get("/stock/new-keg/beverages", access=OPERATOR)
async def search_beverages(db: Db, viewer: CurrentViewer, search: TextQuery = None, beverage_id: TextQuery = None) -> Response[str]:
    """Beverages on sale that match the typed text, and the chosen one."""
    chosen = await beverage_views.get_beverage(db, read_uuid("beverage_id", beverage_id)) if beverage_id else None
    return viewer.show("parts/choices.html", choices=await _beverage_choices(db, viewer, search, chosen))


@post("/stock/new-keg", access=OPERATOR, shows=Noun.VENUE)
async def add_keg(actor: CurrentActor, form: Form) -> Response[str]:
    """Take a delivery of kegs into stock."""
    volume_ml = read_liters(form.values.get("liters", ""), "liters")
    given = form.read(NewKeg, money=PAID, initial_volume_ml=volume_ml, venue_id=form.venue_id)
    require_sane_best_before(given.best_before)
    await form.once(
        kegs.create_kegs,
        actor,
        venue_id=given.venue_id,
        beverage_id=given.beverage_id,
        initial_volume_ml=given.initial_volume_ml,
        delivery=given.delivery,
        count=given.count or 1,
    )
    return go_to("/stock")


@get("/stock/kegs/{keg_id:uuid}", access=OPERATOR)
async def show_keg(db: Db, viewer: CurrentViewer, keg_id: FromPath[UUID]) -> Response[str]:
    """A keg and its actions."""
    shown = await read_shown(db, Noun.KEG, keg_id)
    keg = require_found(await keg_views.get_keg(db, keg_id), "keg", keg_id)
    reasons = {kind: viewer.translate(reason) for kind, reason in REASONS.items()}
    row = await report_keg(db, keg_id)
    papers = await read_shown(db, Noun.KEG_DELIVERY, keg_id)
    return viewer.show("dialogs/keg.html", keg=keg, row=row, shown=shown, papers=papers, reasons=reasons)


@post("/stock/kegs/{keg_id:uuid}/delivery", access=OPERATOR, shows=Noun.KEG_DELIVERY)
async def change_delivery(actor: CurrentActor, form: Form, keg_id: FromPath[UUID]) -> Response[str]:
    """Change what the supplier's papers say of a keg; an emptied field removes it."""
    given = form.read(KegChange, money=PAID)
    require_sane_best_before(given.best_before)
    typed = {name: getattr(given, name) for name in STATED}
    if changes := form.changed(**{name: None if value is UNSET else value for name, value in typed.items()}):
        await form.only(changes).once(kegs.change_keg, actor, keg_id, **changes)
    return go_to(f"/stock?keg={keg_id}")


@post("/stock/kegs/{keg_id:uuid}/status", access=OPERATOR, shows=Noun.KEG)
async def change_keg(actor: CurrentActor, form: Form, keg_id: FromPath[UUID]) -> Response[str]:
    """Retire a keg, or take it back into stock."""
    wanted = form.read(KegChange).status
    await form.once(kegs.retire_keg if wanted is KegStatus.RETIRED else kegs.restock_keg, actor, keg_id)
    return go_to("/stock")


@post("/stock/kegs/{keg_id:uuid}/cleaning", access=OPERATOR, shows=Noun.KEG)
async def book_cleaning(request: Request[Any, Any, Any], actor: CurrentActor, form: Form, keg_id: FromPath[UUID]) -> Response[str]:
    """Book a line cleaning; above two litres a day it takes a shift lead."""
    given = form.read(StockBooking, kind="line_cleaning")
    await form.once(kegs.book_line_cleaning, actor, operator_of(request).role, keg_id, given.volume_ml, given.reason)
    return go_to("/stock")


@post("/stock/kegs/{keg_id:uuid}/correction", access=SHIFT_LEAD, shows=Noun.KEG)
async def correct(actor: CurrentActor, form: Form, keg_id: FromPath[UUID]) -> Response[str]:
    """Correct a keg's stock."""
    given = form.read(StockBooking, kind="correction")
    await form.once(kegs.correct_stock, actor, keg_id, given.volume_ml, given.reason)
    return go_to("/stock")


async def _beverage_choices(db: Database, viewer: Viewer, search: str | None, chosen: BeverageView | None) -> Choices:
    """Beverages on sale; the first one is chosen before anybody chose, unless it is one of many."""
    sold = await beverage_views.list_beverages(db, search=search or None, page=FIRST_CHOICES)

    def as_choice(beverage: BeverageView) -> Choice:
        return Choice(str(beverage.beverage_id), beverage.name, viewer.formats.money(beverage.sell_price_per_liter_minor))

    if chosen is None and not search and sold.next_cursor is None:
        chosen = next(iter(sold.items), None)
    return choices_of("beverage_id", "/stock/new-keg/beverages", sold, as_choice, chosen=chosen)


HANDLERS = (
    show_stock,
    ask_for_keg,
    search_beverages,
    add_keg,
    show_keg,
    change_delivery,
    change_keg,
    book_cleaning,
    correct,
)
