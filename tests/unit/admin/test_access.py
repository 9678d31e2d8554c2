"""Every route says who may call it; one that doesn't is closed to everybody."""

import re
from uuid import UUID

import pytest
from litestar import Litestar, get, post
from litestar.params import FromPath, JSONBody
from litestar.routes import HTTPRoute
from msgspec import Struct

from tapwire_admin.access.auth import OPERATOR, OpenTo
from tapwire_admin.access.venue_guard import GUESTS, INSTALLATION, about_of, require_subjects
from tapwire_admin.app import create_app
from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import Role

# SYSTEM.md, "Operators": what needs more than an operator
SHIFT_LEADS = {
    "POST /api/guests/{guest_id:uuid}/refunds",
    "POST /api/guests/{guest_id:uuid}/adjustments",
    "POST /api/guests/{guest_id:uuid}/comps",
    "GET /api/guests/{guest_id:uuid}/export",
    "POST /api/guests/{guest_id:uuid}/erase",
    "POST /api/visits/{visit_id:uuid}/reconcile-pour",
    "POST /api/visits/{visit_id:uuid}/force-unlock",
    "POST /api/incidents/{incident_id:uuid}/resolve",
    "POST /api/incidents/resolve",
    "POST /api/shifts/close",
    "POST /api/shifts/{shift_id:uuid}/cash",
    "POST /api/shifts/{shift_id:uuid}/reports/z",
}
ENGINEERS = {
    "GET /api/users",
    "POST /api/users",
    "PATCH /api/users/{username:str}",
    "POST /api/venues",
    "PATCH /api/venues/{venue:str}",
    "POST /api/taps",
    "POST /api/taps/{venue:str}/{tap:str}/calibrations",
    "POST /api/taps/{venue:str}/{tap:str}/calibration-codes",
    "POST /api/beverages",
    "PATCH /api/beverages/{beverage_id:uuid}",
    "POST /api/price-rules",
    "PATCH /api/price-rules/{price_rule_id:uuid}",
    "DELETE /api/price-rules/{price_rule_id:uuid}",
    "GET /api/devices",
    "POST /api/devices",
    "POST /api/devices/rotate",
    "POST /api/devices/revoke",
    "POST /api/devices/pairings/accept",
    "GET /api/webhooks",
    "POST /api/webhooks",
    "GET /api/webhooks/{webhook_id:uuid}",
    "PATCH /api/webhooks/{webhook_id:uuid}",
    "DELETE /api/webhooks/{webhook_id:uuid}",
    "POST /api/webhooks/{webhook_id:uuid}/rotate",
    "POST /api/webhooks/{webhook_id:uuid}/test",
    "POST /api/webhooks/{webhook_id:uuid}/replay",
    "GET /api/webhooks/{webhook_id:uuid}/deliveries",
    "GET /api/webhooks/{webhook_id:uuid}/deliveries/{delivery_id:uuid}",
    "POST /api/webhooks/{webhook_id:uuid}/deliveries/{delivery_id:uuid}/replay",
}
EVERYBODY = {
    "GET /api/public/g/tap-list",
    "GET /api/public/g/{token:str}",
    "POST /api/public/g/{token:str}/top-ups",
    "POST /api/public/payments/{provider:str}/notifications",
    "GET /api/public/{venue:str}/tap-list",
    "POST /api/public/calibrations",
    "POST /api/devices/pairings",
    "POST /api/devices/pairings/claim",
    "POST /api/session",
    "GET /health/live",
    "GET /health/ready",
}
CONSOLE_SHIFT_LEADS = {
    "GET /attention/{incident_id:uuid}/resolve",
    "GET /attention/{incident_id:uuid}/visits",
    "POST /attention/{incident_id:uuid}/resolve",
    "GET /guests/{guest_id:uuid}/comp",
    "POST /guests/{guest_id:uuid}/comp",
    "GET /guests/{guest_id:uuid}/adjust",
    "POST /guests/{guest_id:uuid}/adjust",
    "GET /guests/{guest_id:uuid}/erase",
    "POST /guests/{guest_id:uuid}/erase",
    "POST /shift/close",
    "GET /shift/{shift_id:uuid}/cash",
    "POST /shift/{shift_id:uuid}/cash",
    "GET /shift/{shift_id:uuid}/count",
    "POST /shift/{shift_id:uuid}/z",
    "POST /stock/kegs/{keg_id:uuid}/correction",
    "GET /visits/{visit_id:uuid}/reconcile",
    "GET /visits/{visit_id:uuid}/reconcile/preview",
    "POST /visits/{visit_id:uuid}/reconcile",
    "GET /visits/{visit_id:uuid}/refund",
    "POST /visits/{visit_id:uuid}/refund",
    "GET /visits/{visit_id:uuid}/unlock",
    "POST /visits/{visit_id:uuid}/unlock",
    "POST /visits/{visit_id:uuid}/void",
}
CONSOLE_ENGINEERS = {
    "POST /taps/{venue:str}/{tap:str}/room",
    "GET /taps/{venue:str}/{tap:str}/calibrate",
    "POST /taps/{venue:str}/{tap:str}/calibrate",
    "POST /taps/{venue:str}/{tap:str}/calibration-code",
    "POST /taps/{venue:str}/{tap:str}/factor",
    "GET /taps/{venue:str}/{tap:str}/interval",
    "POST /taps/{venue:str}/{tap:str}/interval",
    "GET /devices",
    "GET /devices/new",
    "POST /devices/new",
    "GET /devices/accept",
    "POST /devices/accept",
    "GET /devices/rotate",
    "POST /devices/rotate",
    "POST /devices/revoke",
    "GET /prices/new",
    "POST /prices/new",
    "GET /prices/overlap",
    "GET /prices/volumes",
    "POST /prices/volumes",
    "GET /prices/{price_rule_id:uuid}",
    "POST /prices/{price_rule_id:uuid}",
    "POST /prices/{price_rule_id:uuid}/delete",
    "GET /set-up",
    "POST /set-up/tap",
    "POST /set-up/venue",
    "GET /venues/{venue_id:str}/change",
    "POST /venues/{venue_id:str}/change",
    "GET /stock/new-beverage",
    "POST /stock/new-beverage",
    "GET /stock/beverages/{beverage_id:uuid}",
    "POST /stock/beverages/{beverage_id:uuid}",
    "POST /stock/beverages/{beverage_id:uuid}/archive",
    "GET /users",
    "GET /users/new",
    "POST /users/new",
    "GET /users/{username:str}",
    "POST /users/{username:str}",
    "GET /webhooks",
    "GET /webhooks/new",
    "POST /webhooks/new",
    "GET /webhooks/{webhook_id:uuid}",
    "POST /webhooks/{webhook_id:uuid}",
    "POST /webhooks/{webhook_id:uuid}/rotate",
    "POST /webhooks/{webhook_id:uuid}/delete",
    "POST /webhooks/{webhook_id:uuid}/test",
    "POST /webhooks/{webhook_id:uuid}/replay",
    "GET /webhooks/{webhook_id:uuid}/deliveries",
    "GET /webhooks/{webhook_id:uuid}/deliveries/{delivery_id:uuid}",
    "POST /webhooks/{webhook_id:uuid}/deliveries/{delivery_id:uuid}/replay",
}
CONSOLE_EVERYBODY = {
    "GET /login",
    "POST /login",
    "GET /language/{language:str}",
    "GET /theme/{theme:str}",
    "GET /screen/{venue:str}/{tap:str}",
    "GET /screen/{venue:str}/{tap:str}/live",
    "GET /static/{file_path:path}",
    "GET /menu/{venue:str}",
    "GET /menu/{venue:str}/list",
    "GET /g/{token:str}",
    "GET /g/{token:str}/now",
    "GET /g/{token:str}/app.webmanifest",
    "POST /g/{token:str}/top-up",
    "GET /payments/back",
    "GET /test-payments/{provider_id:str}",
    "POST /test-payments/{provider_id:str}",
}
"""A tap's screen asks for its own secret instead of a login, and a guest's page has one in its address."""


@pytest.fixture(scope="module")
def app() -> Litestar:
    """The application; nothing is asked of its database."""
    return create_app(Database.nowhere())


def declared(app: Litestar, but: tuple[str, ...] = ("OPTIONS", "HEAD")) -> dict[str, object]:
    """Each route's method and path, and the access that it declares."""
    return {
        f"{method} {route.path}": handler.opt.get("access")
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if method not in but
    }


def test_every_route_declares_who_may_call_it(app: Litestar) -> None:
    undeclared = [route for route, access in declared(app).items() if not isinstance(access, Role | OpenTo)]

    assert undeclared == []


def test_head_is_open_to_whom_get_is_and_asks_for_no_stream(app: Litestar) -> None:
    found = declared(app, but=("OPTIONS",))
    heads = {route.removeprefix("HEAD "): access for route, access in found.items() if route.startswith("HEAD ")}
    gets = {route.removeprefix("GET "): access for route, access in declared(app).items() if route.startswith("GET ")}

    assert heads.items() <= gets.items()
    streams = {"/api/events", "/live", "/screen/{venue:str}/{tap:str}/live"}
    assert {path for path in gets.keys() - heads.keys() if not path.startswith("/schema")} == streams


@pytest.mark.parametrize(
    ("access", "routes"), [(Role.SHIFT_LEAD, SHIFT_LEADS | CONSOLE_SHIFT_LEADS), (Role.ENGINEER, ENGINEERS | CONSOLE_ENGINEERS)]
)
def test_what_needs_more_than_an_operator_is_what_the_rules_say(app: Litestar, access: Role, routes: set[str]) -> None:
    assert {route for route, found in declared(app).items() if found is access} == routes


def test_without_a_login_there_are_only_login_health_documentation_and_pages_made_for_it(app: Litestar) -> None:
    found = {route for route, access in declared(app).items() if access is OpenTo.EVERYBODY}

    assert {route for route in found if not route.startswith("GET /schema")} == EVERYBODY | CONSOLE_EVERYBODY


def test_repeatable_routes_that_take_or_tell_a_secret_say_so(app: Litestar) -> None:
    saying = {
        word: {
            route.path
            for route in app.routes
            if isinstance(route, HTTPRoute)
            for handler, _ in route.route_handler_map.values()
            if handler.opt.get(word) and "once" in handler.parsed_fn_signature.parameters
        }
        for word in ("accepts_secret", "returns_secret")
    }

    assert saying == {
        "accepts_secret": {"/api/users", "/api/me/password"},
        "returns_secret": {
            "/api/devices",
            "/api/devices/rotate",
            "/api/taps/{venue:str}/{tap:str}/calibration-codes",
            "/api/visits/{visit_id:uuid}/guest-page",
            "/api/webhooks",
            "/api/webhooks/{webhook_id:uuid}/rotate",
        },
    }


# SYSTEM.md, "Operators": what needs an operator of all venues
OF_INSTALLATION = {
    "POST /api/venues",
    "PATCH /api/venues/{venue:str}",
    "POST /api/beverages",
    "PATCH /api/beverages/{beverage_id:uuid}",
    "POST /set-up/venue",
    "GET /venues/{venue_id:str}/change",
    "POST /venues/{venue_id:str}/change",
    "GET /prices/volumes",
    "POST /prices/volumes",
    "GET /stock/new-beverage",
    "POST /stock/new-beverage",
    "GET /stock/beverages/{beverage_id:uuid}",
    "POST /stock/beverages/{beverage_id:uuid}",
    "POST /stock/beverages/{beverage_id:uuid}/archive",
}


def test_what_belongs_to_the_installation_is_what_the_rules_say(app: Litestar) -> None:
    found = {
        f"{method} {route.path}"
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if method not in ("OPTIONS", "HEAD") and isinstance(handler.opt.get("access"), Role)
        if about_of(handler, method) is INSTALLATION
    }
    users_and_webhooks = {route for route in declared(app) if re.search(r"/(users|webhooks)\b", route)}

    assert found == OF_INSTALLATION | users_and_webhooks


def test_a_route_that_names_an_id_unknown_to_the_venue_guard_stops_the_application() -> None:
    @get("/barrels/{barrel_id:uuid}", access=OPERATOR)
    async def read_barrel(barrel_id: FromPath[UUID]) -> None:
        """One barrel."""

    with pytest.raises(RuntimeError, match=r"GET /barrels/\{barrel_id:uuid\} barrel_id"):
        require_subjects(Litestar([read_barrel]))


class Line(Struct):
    """A part of a body."""

    barrel_id: UUID


def test_an_unknown_id_in_a_part_of_a_body_stops_the_application() -> None:
    @post("/guests/{guest_id:uuid}/orders", access=OPERATOR)
    async def order(guest_id: FromPath[UUID], data: JSONBody[list[Line]]) -> None:
        """Order barrels."""

    with pytest.raises(RuntimeError, match=r"POST /guests/\{guest_id:uuid\}/orders barrel_id"):
        require_subjects(Litestar([order]))


def test_a_route_that_changes_something_without_saying_what_stops_the_application() -> None:
    @post("/clean", access=OPERATOR)
    async def clean() -> None:
        """Clean everything."""

    @post("/greet", access=OPERATOR, about=GUESTS)
    async def greet() -> None:
        """Greet the guests."""

    with pytest.raises(RuntimeError, match="POST /clean declares no `about`"):
        require_subjects(Litestar([clean, greet]))
    require_subjects(Litestar([greet]))
