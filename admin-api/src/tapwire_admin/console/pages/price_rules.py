"""A week of prices as a picture, the rules that make it, and how volumes are shown."""

from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery

from tapwire_admin.access.auth import ENGINEER, OPERATOR
from tapwire_admin.access.venue_guard import INSTALLATION
from tapwire_admin.console.forms import Form, SubmittedForm
from tapwire_admin.console.labels import DAYS
from tapwire_admin.console.price_plan import WEEK, plan_week
from tapwire_admin.console.render import go_to
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.viewer import CurrentViewer
from tapwire_admin.requests.dependencies import CurrentActor, Db
from tapwire_admin.requests.parameters import require_found, require_sane_year
from tapwire_admin.routes.price_rules import NewPriceRule, PriceRuleChange, fields_of_rule
from tapwire_admin.routes.venues import VenueChange
from tapwire_core.db.engine import Database
from tapwire_core.db.views import beverages as beverage_views
from tapwire_core.db.views import price_rules as views
from tapwire_core.db.views.beverages import BeverageView
from tapwire_core.db.views.price_rules import PriceRuleView
from tapwire_core.db.views.queries import every_item
from tapwire_core.domain.closed_sets import VolumeUnit
from tapwire_core.domain.shown import Noun
from tapwire_core.errors import DomainError, Invalid
from tapwire_core.services import price_rules, venues
from tapwire_core.services.shown import read_shown

PRICE: Final = ("sell_price_per_liter_minor",)


@get("/prices", access=OPERATOR)
async def show_prices(db: Db, viewer: CurrentViewer, shell: ShellContext, week: FromQuery[date | None] = None) -> Response[str]:
    """The week of today, or of another day, with the rules of the venue."""
    venue = viewer.required_venue
    if week is not None:
        require_sane_year("week", week)
    rules = await every_item(lambda page: views.list_price_rules(db, venue.venue_id, page))
    now = require_found(await views.read_wall_clock(db, venue.venue_id), "venue", venue.venue_id)
    monday = _monday(week or now.date())
    others = {name: monday + timedelta(days=days) for name, days in (("before", -WEEK), ("after", WEEK))}
    context = {
        "plan": plan_week(rules, monday, now),
        "rules": rules,
        "names": {beverage.beverage_id: beverage.name for beverage in await _beverages(db)},
        "day_names": viewer.translate_all(DAYS),
        "is_this_week": monday == _monday(now.date()),
        **others,
    }
    return viewer.show("prices.html", shell=shell, **context)


@get("/prices/new", access=ENGINEER)
async def ask_for_rule(db: Db, viewer: CurrentViewer) -> Response[str]:
    """The form of a new rule."""
    sold = await _beverages(db)
    return viewer.show("dialogs/price_rule.html", rule=None, beverages=sold, day_names=viewer.translate_all(DAYS))


@post("/prices/new", access=ENGINEER, shows=Noun.VENUE)
async def add_rule(actor: CurrentActor, form: Form) -> Response[str]:
    """Add a rule."""
    given = form.read(NewPriceRule, money=PRICE, venue_id=form.venue_id, **_typed(form))
    form.require_usual(given.sell_price_per_liter_minor or 0, *PRICE)
    fields = fields_of_rule(msgspec.structs.asdict(given))
    await form.once(price_rules.create_price_rule, actor, fields.pop("venue_id"), **fields)
    return go_to("/prices")


@get("/prices/overlap", access=ENGINEER)
async def show_overlap(request: Request[Any, Any, Any], db: Db, viewer: CurrentViewer) -> Response[str]:
    """The rule that what is typed so far would overlap, in words; nothing while it is not complete."""
    typed = {name: value.strip() for name, value in request.query_params.items() if value.strip()}
    form = SubmittedForm(typed, viewer, db, None)
    rule_id = msgspec.convert(typed["rule"], UUID, strict=False) if "rule" in typed else None
    try:
        given = form.read(NewPriceRule, money=PRICE, venue_id=viewer.required_venue.venue_id, **{"name": "?", **_typed(form)})
        fields = fields_of_rule(msgspec.structs.asdict(given))
        other = await price_rules.overlapping_rule(db, fields.pop("venue_id"), rule_id, **fields)
    except DomainError:
        other = None
    return viewer.show("parts/price_overlap.html", other=other, day_names=viewer.translate_all(DAYS))


@get("/prices/{price_rule_id:uuid}", access=ENGINEER)
async def ask_for_change(db: Db, viewer: CurrentViewer, price_rule_id: FromPath[UUID]) -> Response[str]:
    """The form of a rule."""
    shown = await read_shown(db, Noun.PRICE_RULE, price_rule_id)
    rule = await _rule(db, price_rule_id)
    archived = await every_item(lambda page: beverage_views.list_beverages(db, archived=True, page=page))
    named = [beverage for beverage in archived if beverage.beverage_id in (rule.beverage_ids or ())]
    context = {"beverages": [*await _beverages(db), *named], "day_names": viewer.translate_all(DAYS)}
    return viewer.show("dialogs/price_rule.html", rule=rule, shown=shown, **context)


@post("/prices/{price_rule_id:uuid}", access=ENGINEER, shows=Noun.PRICE_RULE)
async def change_rule(actor: CurrentActor, form: Form, price_rule_id: FromPath[UUID]) -> Response[str]:
    """Change what the form changed of a rule."""
    empty = dict.fromkeys(("valid_from", "valid_to", "sell_price_per_liter_minor", "percent_off"))
    absent: dict[str, Any] = {name: None for name in empty if name not in form.values}
    given = form.read(PriceRuleChange, money=PRICE, **absent, **_typed(form))
    fields = fields_of_rule({name: value for name, value in msgspec.structs.asdict(given).items() if value is not msgspec.UNSET})
    if changes := form.changed(**fields):
        form.require_usual(changes.get(PRICE[0]) or 0, *PRICE)
        await form.only(changes).once(price_rules.change_price_rule, actor, price_rule_id, **changes)
    return go_to("/prices")


@post("/prices/{price_rule_id:uuid}/delete", access=ENGINEER, shows=Noun.PRICE_RULE)
async def delete_rule(actor: CurrentActor, form: Form, price_rule_id: FromPath[UUID]) -> Response[str]:
    """Delete a rule."""
    await form.only(["deleted"]).once(price_rules.delete_price_rule, actor, price_rule_id)
    return go_to("/prices")


@get("/prices/volumes", access=ENGINEER, about=INSTALLATION)
async def ask_for_volumes(db: Db, viewer: CurrentViewer) -> Response[str]:
    """The form of the venue's glass and unit."""
    shown = await read_shown(db, Noun.VOLUMES, viewer.required_venue.venue_id)
    return viewer.show("dialogs/volumes.html", shown=shown, venue=viewer.required_venue, units=list(VolumeUnit))


@post("/prices/volumes", access=ENGINEER, shows=Noun.VOLUMES)
async def change_volumes(actor: CurrentActor, form: Form) -> Response[str]:
    """Change the venue's glass and unit."""
    given = form.read(VenueChange)
    if changes := form.changed(glass_ml=given.glass_ml, volume_unit=given.volume_unit):
        await form.only(changes).once(venues.change_venue, actor, form.required_shown.key, **changes)
    return go_to("/prices")


def _typed(form: SubmittedForm) -> dict[str, Any]:
    """The ticked days and beverages; no beverage is every beverage. Raises `Invalid` without a day."""
    weekdays = [day for day in range(1, WEEK + 1) if form.flag(f"day {day}")]
    if not weekdays:
        raise Invalid("weekdays: choose at least one day.", field="weekdays")
    beverage_ids = [name.partition(" ")[2] for name in form.values if name.startswith("for ") and form.flag(name)]
    clocks = {name: form.values[name] for name in ("from", "to") if name in form.values}
    return {"weekdays": weekdays, "beverage_ids": beverage_ids or None, **clocks}


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


async def _beverages(db: Database) -> list[BeverageView]:
    return await every_item(lambda page: beverage_views.list_beverages(db, page=page))


async def _rule(db: Database, price_rule_id: UUID) -> PriceRuleView:
    return require_found(await views.get_price_rule(db, price_rule_id), "price_rule", price_rule_id)


HANDLERS = (
    show_prices,
    ask_for_rule,
    add_rule,
    show_overlap,
    ask_for_volumes,
    change_volumes,
    ask_for_change,
    change_rule,
    delete_rule,
)
