"""Beverages and prices."""

from typing import Any, Final
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from msgspec import UNSET

from tapwire_admin.access.auth import ENGINEER
from tapwire_admin.access.venue_guard import INSTALLATION
from tapwire_admin.console.formats import read_percent
from tapwire_admin.console.forms import Form, SubmittedForm
from tapwire_admin.console.render import go_to
from tapwire_admin.console.viewer import CurrentViewer
from tapwire_admin.requests.dependencies import CurrentActor, Db
from tapwire_admin.requests.parameters import require_found
from tapwire_admin.routes.beverages import BeverageChange, NewBeverage, percent
from tapwire_core.db.views import beverages as views
from tapwire_core.domain.shown import Noun
from tapwire_core.domain.tax import BASIS_POINTS
from tapwire_core.errors import Invalid
from tapwire_core.services import beverages
from tapwire_core.services.shown import read_shown

PRICE: Final = ("sell_price_per_liter_minor",)


@get("/stock/new-beverage", access=ENGINEER, about=INSTALLATION)
async def ask_for_beverage(viewer: CurrentViewer) -> Response[str]:
    """The form of a new beverage."""
    return viewer.show("dialogs/beverage.html", beverage=None)


@post("/stock/new-beverage", access=ENGINEER, about=INSTALLATION)
async def add_beverage(actor: CurrentActor, form: Form) -> Response[str]:
    """Add a beverage."""
    given = form.read(NewBeverage, money=PRICE)
    form.require_usual(given.sell_price_per_liter_minor, *PRICE)
    await form.once(
        beverages.create_beverage,
        actor,
        name=given.name,
        sell_price_per_liter_minor=given.sell_price_per_liter_minor,
        style=given.style,
        abv=percent(given.abv),
        tax_rate_bp=_tax_rate(form),
    )
    return go_to("/stock")


@get("/stock/beverages/{beverage_id:uuid}", access=ENGINEER, about=INSTALLATION)
async def ask_for_change(db: Db, viewer: CurrentViewer, beverage_id: FromPath[UUID]) -> Response[str]:
    """The form of a beverage."""
    shown = await read_shown(db, Noun.BEVERAGE, beverage_id)
    beverage = require_found(await views.get_beverage(db, beverage_id), "beverage", beverage_id)
    return viewer.show("dialogs/beverage.html", beverage=beverage, shown=shown)


@post("/stock/beverages/{beverage_id:uuid}", access=ENGINEER, shows=Noun.BEVERAGE)
async def change_beverage(actor: CurrentActor, form: Form, beverage_id: FromPath[UUID]) -> Response[str]:
    """Change what the form changed of a beverage; a new price is for new pours."""
    given = form.read(BeverageChange, money=PRICE)
    typed: dict[str, Any] = {"style": None, "abv": None, "tax_rate_bp": _tax_rate(form)}
    typed |= {name: getattr(given, name) for name in ("name", "style", *PRICE) if getattr(given, name) is not UNSET}
    if isinstance(given.abv, float):
        typed["abv"] = given.abv
    if changes := form.changed(**typed):
        if price_minor := changes.get(PRICE[0]):
            form.require_usual(price_minor, *PRICE)
        if "abv" in changes:
            changes["abv"] = percent(changes["abv"])
        await form.only(changes).once(beverages.change_beverage, actor, beverage_id, **changes)
    return go_to("/stock")


def _tax_rate(form: SubmittedForm) -> int | None:
    typed = form.values.get("tax_rate")
    rate = read_percent(typed, "tax_rate") if typed else None
    if rate is not None and not 0 <= rate <= BASIS_POINTS:
        raise Invalid("tax_rate: enter 0 to 100 per cent.", field="tax_rate")
    return rate


@post("/stock/beverages/{beverage_id:uuid}/archive", access=ENGINEER, shows=Noun.BEVERAGE)
async def archive(actor: CurrentActor, form: Form, beverage_id: FromPath[UUID]) -> Response[str]:
    """Archive a beverage, or sell it again."""
    await form.only(["archived"]).once(beverages.change_beverage, actor, beverage_id, archived=form.flag("archived"))
    return go_to("/stock")


HANDLERS = (
    ask_for_beverage,
    add_beverage,
    ask_for_change,
    change_beverage,
    archive,
)
