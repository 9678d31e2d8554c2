"""An operator with `venues` finds nothing of another venue: on no route, page or stream."""

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import time
from uuid import UUID, uuid4

import httpx
import pytest
from litestar.routes import HTTPRoute

from tapwire_admin.access.venue_guard import INSTALLATION, THING_OF, about_of
from tapwire_admin.live import Live
from tapwire_contracts.codec import encode
from tapwire_contracts.messages import PourProgress
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Incident, User
from tapwire_core.db.writes.sessions import open_session
from tapwire_core.domain.calibrations import Measurement
from tapwire_core.domain.closed_sets import CleaningKind, Role
from tapwire_core.domain.shown import Noun
from tapwire_core.services import devices, money, price_rules, users, visits
from tapwire_core.services.calibrations import calibrate_tap
from tapwire_core.services.cleanings import record_cleaning
from tapwire_core.services.price_rules import PriceRuleFields
from tapwire_core.services.sessions import hash_token
from tapwire_core.services.venues import change_venue
from tests.integration.rest.test_event_stream import Event, _events, serving
from tests.rest import Rest, application, asgi, done, form_about, refusal, with_key
from tests.venue import OPERATOR, Guest, Venue

OTHER = "zanzibar9"
OTHER_NAME = "Zanzibar Lounge"
OTHER_RULE = "Zanzi hour"
OTHER_REASON = "zanzibar spill"
STREAMS = {"/api/events", "/live"}
UNKNOWN = UUID(int=7)
QUERIES = {
    "/api/reports/sales": "from={today}&to={today}&by=tap",
    "/api/search": "q=left",
    "/api/kegs/suggest": "beverage_id={beverage_id}",
    "/parts/taps": "tap=bar/taps/left",
    "/devices/rotate": "path=bar/taps/left",
    "/reports/sales.csv": "from={today}&to={today}",
    "/cards": "card_uid={card_uid}",
    "/search/card": "card_uid={card_uid}",
    "/search": "q=left",
    "/parts/search": "q=left",
    "/prices/overlap": "from=17:00&to=18:00&day+1=true&percent_off=10",
}
"""What a route needs in its query to answer."""


@dataclass(frozen=True)
class Things:
    """One of each kind of thing, by the name of the parameter that names it."""

    ids: dict[str, str]

    def path(self, route: str) -> str:
        """The route's address with these things."""
        return re.sub(r"{(\w+)(:\w+)?}", lambda found: self.ids[found[1]], route)


@dataclass(frozen=True)
class Places:
    """Two venues, and an engineer of the first alone. `abroad`: the shared guest and card that are at the other venue now."""

    here: Things
    abroad: Things
    there: Things
    marks: frozenset[str]
    client: httpx.AsyncClient
    venue: Venue
    other: Venue
    ann: Guest
    zoe: Guest

    def foreign(self, answer: httpx.Response) -> set[str]:
        """What an answer says of the other venue beyond what the request itself named."""
        asked = str(answer.request.url)
        return {mark for mark in self.marks if mark in answer.text + str(answer.headers) and mark not in asked}


async def open_client(db: Database, username: str, venues: list[str] | None, role: Role = Role.ENGINEER) -> httpx.AsyncClient:
    """A client of a new user."""
    token = secrets.token_urlsafe()
    async with db.transaction() as store:
        await store.insert(User, username=username, role=role.value, password_hash="none", venues=venues)
        await open_session(store, username, hash_token(token), 1)
    transport = httpx.ASGITransport(app=asgi(application()), raise_app_exceptions=False)
    return httpx.AsyncClient(
        transport=transport, base_url="http://tapwire", headers={"Authorization": f"Bearer {token}", "Accept": "text/html,*/*"}
    )


async def furnish(db: Database, venue: Venue, guest: Guest, name: str, reason: str) -> dict[str, str]:
    """Let a venue have one of each kind of thing."""
    settled = await venue.grant(guest)
    await venue.report(settled, volume_ml=300)
    pending = await venue.grant(guest)
    incident_id = uuid4()
    async with db.transaction() as store:
        place = {"venue_id": venue.venue_id, "tap_path": str(venue.tap.path)}
        await store.insert(
            Incident, incident_id=incident_id, kind="volume_gap", cause=reason, details={"why": reason, "volume_ml": 9}, **place
        )
    await record_cleaning(db, OPERATOR, venue.tap.path, CleaningKind.RINSE, reason)
    await calibrate_tap(db, OPERATOR, venue.tap.path, Measurement(1_000, 1_000, 450), reason)
    hours: PriceRuleFields = {"from_time": time(17), "to_time": time(18), "weekdays": [1], "percent_off": 10}
    hours |= {"name": name, "beverage_ids": None}
    rule_id = await price_rules.create_price_rule(db, OPERATOR, venue.venue_id, **hours)
    await devices.add_device(db, OPERATOR, str(venue.tap.path))
    await devices.add_device(db, OPERATOR, f"{venue.venue_id}/readers/desk")
    shift_id = await db.pool.fetchval("SELECT shift_id FROM shifts WHERE venue_id = $1", venue.venue_id)
    movement_id = await db.pool.fetchval("SELECT max(movement_id) FROM money_movements WHERE venue_id = $1", venue.venue_id)
    return {
        "venue": venue.venue_id,
        "venue_id": venue.venue_id,
        "tap": "left",
        "visit_id": str(guest.visit_id),
        "pour_id": str(settled.pour_id),
        "pending": str(pending.pour_id),
        "keg_id": str(venue.keg_id),
        "incident_id": str(incident_id),
        "price_rule_id": str(rule_id),
        "shift_id": str(shift_id),
        "movement_id": str(movement_id),
        "guest_id": str(guest.guest_id),
        "card_uid": guest.card_uid,
        "beverage_id": str(venue.beverage_id),
        "webhook_id": str(UNKNOWN),
        "delivery_id": str(UNKNOWN),
        "username": "eva",
        "action": "lost",
        "today": str(await venue.today()),
    }


@pytest.fixture
async def places(rest: Rest, venue: Venue) -> AsyncIterator[Places]:
    """Two venues with one of everything each, and guests who go to both."""
    db = venue.db
    other = await Venue.open(db, OTHER)
    await change_venue(db, OPERATOR, OTHER, name=OTHER_NAME)
    ann = await other.guest(balance_minor=1000_00, card_uid="04aa0001")
    await other.report(await other.grant(ann), volume_ml=200)
    earlier = await db.pool.fetchval("SELECT pour_id FROM pours WHERE guest_id = $1", ann.guest_id)
    await visits.close_visit(db, OPERATOR, ann.visit_id)
    here = await visits.open_and_assign_card(db, OPERATOR, "bar", ann.guest_id, ann.card_uid)
    zoe = await other.guest(balance_minor=1000_00, card_uid="04bb0002")
    await money.adjust(db, OPERATOR, zoe.guest_id, 5, OTHER_REASON)
    own = await furnish(db, venue, Guest(ann.guest_id, here.visit_id, ann.card_uid), "Happy hour", "spill")
    theirs = await furnish(db, other, zoe, OTHER_RULE, OTHER_REASON)
    names = ("visit_id", "pour_id", "pending", "keg_id", "incident_id", "price_rule_id", "shift_id")
    marks = {OTHER, OTHER_NAME, OTHER_RULE, OTHER_REASON, str(ann.visit_id), str(earlier), *(theirs[name] for name in names)}
    async with await open_client(db, "eva", ["bar"]) as client:
        abroad = own | {name: theirs[name] for name in ("guest_id", "card_uid")}
        yield Places(Things(own), Things(abroad), Things(theirs), frozenset(marks), client, venue, other, ann, zoe)


def routes(*methods: str) -> Iterator[tuple[str, str, bool]]:
    """Each route of operators by method and path, and whether it is about the installation."""
    for route in application().routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if method in methods and isinstance(handler.opt.get("access"), Role) and route.path not in STREAMS:
                    yield method, route.path, about_of(handler, method) is INSTALLATION


OF_WHOLE_GUESTS = {"/api/guests/{guest_id:uuid}/export", "/guests/{guest_id:uuid}/erase"}
"""Of a guest who was seen elsewhere, as this one was, they are for operators of all venues."""


async def test_all_that_can_be_read_names_nothing_of_another_venue(places: Places) -> None:
    found, answered = dict[str, set[str]](), 0
    for _, route, is_central in routes("GET"):
        for things in (places.here, places.abroad):
            query = re.sub(r"{(\w+)}", lambda named: things.ids[named[1]], QUERIES.get(route, ""))  # noqa: B023
            answer = await places.client.get(things.path(route), params=httpx.QueryParams(query))
            assert answer.status_code < 500, f"{route} {answer.text}"
            assert (answer.status_code == 403) == (is_central or route in OF_WHOLE_GUESTS), f"{route} {answer.text}"
            answered += answer.status_code == 200
            if foreign := places.foreign(answer):
                found[route] = foreign

    assert found == {}
    assert answered > 100, "the walk reaches what there is"


async def test_each_address_of_another_venues_thing_is_not_found_by_any_method(places: Places) -> None:
    wrong = dict[str, int]()
    own_names = set(THING_OF) - {"tap"}
    for method, route, is_central in routes("GET", "POST", "PATCH", "PUT", "DELETE"):
        if own_names & set(re.findall(r"{(\w+)", route)):
            answer = await places.client.request(method, places.there.path(route))
            if answer.status_code != (403 if is_central else 404):
                wrong[f"{method} {route}"] = answer.status_code
            assert places.foreign(answer) == set(), route

    assert wrong == {}


async def test_an_unknown_thing_and_another_venues_are_answered_alike(places: Places) -> None:
    for route in ("/api/visits/{}", "/api/pours/{}", "/api/kegs/{}", "/api/incidents/{}"):
        name = {"visits": "visit_id", "pours": "pour_id", "kegs": "keg_id", "incidents": "incident_id"}[route.split("/")[2]]
        hidden, unknown = places.there.ids[name], str(uuid4())
        answers = [(await places.client.get(route.format(key))).json() for key in (hidden, unknown)]
        alike = [{key: str(fact).replace(hidden, "").replace(unknown, "") for key, fact in one.items()} for one in answers]
        assert {**alike[0], "request_id": ""} == {**alike[1], "request_id": ""}


BODIES = (
    ("POST", "/api/shifts/open", {"venue_id": OTHER}),
    ("POST", "/api/shifts/close", {"venue_id": OTHER}),
    ("POST", "/api/visits", {"venue_id": OTHER, "guest_id": "{guest_id}"}),
    ("POST", "/api/visits/open-and-assign-card", {"venue_id": OTHER, "guest_id": "{guest_id}", "card_uid": "04cc0003"}),
    ("POST", "/api/taps", {"venue_id": OTHER, "tap_id": "more", "name": "More"}),
    ("POST", "/api/kegs", {"venue_id": OTHER, "beverage_id": "{beverage_id}", "initial_volume_ml": 1000}),
    ("POST", "/api/guests/{guest_id}/top-ups", {"venue_id": OTHER, "amount_minor": 1, "method": "cash"}),
    ("POST", "/api/guests/{guest_id}/refunds", {"venue_id": OTHER, "amount_minor": 1, "method": "cash", "reason": "r"}),
    ("POST", "/api/guests/{guest_id}/adjustments", {"pour_id": "{pour_id}", "amount_minor": 1, "reason": "r"}),
    ("PUT", "/api/taps/bar/left/keg", {"keg_id": "{keg_id}"}),
    (
        "POST",
        "/api/incidents/resolve",
        {"kind": "volume_gap", "tap": f"{OTHER}/taps/left", "resolution": "no_action", "comment": "c"},
    ),
    ("POST", "/api/devices", {"path": f"{OTHER}/taps/more"}),
    ("POST", "/api/devices/rotate", {"path": f"{OTHER}/taps/left"}),
    ("POST", "/api/devices/revoke", {"path": f"{OTHER}/taps/left"}),
    ("POST", "/api/devices/pairings/accept", {"code": "123456", "path": f"{OTHER}/taps/left"}),
    (
        "POST",
        "/api/price-rules",
        {"venue_id": OTHER, "name": "n", "weekdays": [1], "from": "01:00", "to": "02:00", "percent_off": 1},
    ),
)


async def test_a_body_can_name_nothing_of_another_venue(places: Places) -> None:
    for method, path, body in BODIES:
        named = json.loads(re.sub(r"{(\w+_id)}", lambda found: places.there.ids[found[1]], json.dumps(body)))
        answer = await places.client.request(method, places.there.path(path), json=named, headers=with_key())
        assert answer.status_code == 404, f"{method} {path} {answer.text}"

    assert await places.other.audited("device_rotated") == 0


async def test_a_form_can_name_nothing_of_another_venue(places: Places) -> None:
    forms = (
        ("/shift/open", form_about(Noun.VENUE, OTHER)),
        ("/emergency", {**form_about(Noun.EMERGENCY_STOP, OTHER), "on": "true", "reason": "drill"}),
        ("/devices/revoke", form_about(Noun.DEVICE, f"{OTHER}/taps/left")),
        ("/shift/close", form_about(Noun.SHIFT, places.there.ids["shift_id"])),
        ("/taps/bar/left/keg", {**form_about(Noun.TAP, "bar/taps/left"), "keg_id": places.there.ids["keg_id"]}),
        ("/venue", {"venue_id": OTHER}),
    )
    for path, form in forms:
        answer = await places.client.post(path, data=form)
        assert answer.status_code == 404, f"{path} {answer.text}"


async def test_what_belongs_to_the_installation_needs_an_operator_of_all_venues(places: Places, rest: Rest) -> None:
    refused = [
        await places.client.post("/api/beverages", json={"name": "Stout", "sell_price_per_liter_minor": 700}),
        await places.client.patch(f"/api/beverages/{places.venue.beverage_id}", json={"name": "Stout"}),
        await places.client.post("/api/users", json={"username": "eve", "role": "engineer", "password": "long enough"}),
        await places.client.patch("/api/users/eva", json={"venues": None}),
        await places.client.post("/api/venues", json={"venue_id": "new", "name": "New", "time_zone": "Europe/Berlin"}),
        await places.client.patch("/api/venues/bar", json={"name": "Bar"}),
        await places.client.post("/api/webhooks", json={"url": "https://example.com/", "event_types": ["ping"]}),
    ]

    for answer in refused:
        assert refusal(answer, 403, "all_venues_required")["venues"] == ["bar"]
    done(await places.client.get("/api/beverages"))
    done(await rest.engineer.patch("/api/venues/bar", json={"name": "Bar"}))


async def test_the_venue_may_be_left_out_by_an_operator_of_one(places: Places) -> None:
    done(await places.client.post("/api/kegs", json={"beverage_id": str(places.venue.beverage_id), "initial_volume_ml": 5}), 201)
    top_up = {"amount_minor": 1_00, "method": "cash"}
    done(await places.client.post(f"/api/guests/{places.zoe.guest_id}/top-ups", json=top_up, headers=with_key()), 201)
    shift = done(await places.client.get("/api/shifts/current"))
    today = places.here.ids["today"]
    sales = done(await places.client.get(f"/api/reports/sales?from={today}&to={today}&by=venue"))

    assert shift["venue_id"] == "bar"
    assert (sales["venue_id"], [row["key"] for row in sales["items"]]) == ("bar", ["bar"])
    assert [venue["venue_id"] for venue in done(await places.client.get("/api/venues"))["items"]] == ["bar"]


async def test_of_another_venues_movement_account_and_amount_are_seen(places: Places) -> None:
    entries = done(await places.client.get(f"/api/guests/{places.zoe.guest_id}/ledger"))["items"]

    assert {"adjustment", "top_up", "charge"} <= {entry["kind"] for entry in entries}
    assert sum(entry["amount_minor"] for entry in entries) > 0
    hidden = {entry[name] for entry in entries for name in ("venue_id", "shift_id", "pour_id", "reason", "actor", "request_id")}
    assert hidden == {None}


async def test_a_refusal_does_not_name_the_visit_at_another_venue(places: Places) -> None:
    body = {"guest_id": str(places.zoe.guest_id)}
    mine = await places.client.post("/api/visits", json=body)
    card = await places.client.post(f"/api/guests/{places.ann.guest_id}/cards", json={"card_uid": places.zoe.card_uid})

    assert mine.json()["code"] == "visit_already_active"
    assert card.json()["code"] == "bind_conflict"
    assert places.foreign(mine) | places.foreign(card) == set()
    form = await places.client.get("/cards", params={"card_uid": places.zoe.card_uid})
    assert "in_visit&#34;:true" in form.text
    assert "visit_id&#34;" not in form.text
    own = await places.client.post("/api/visits", json={"guest_id": str(places.ann.guest_id)})
    assert own.json()["visit_id"] == places.here.ids["visit_id"]


async def test_sales_without_a_venue_are_the_sums_of_all_that_the_operator_has(places: Places, rest: Rest) -> None:
    period = "from={today}&to={today}".format_map(places.here.ids)
    both = done(await rest.operator.get(f"/api/reports/sales?{period}&by=venue"))
    one = done(await rest.operator.get(f"/api/reports/sales?{period}&by=venue&venue_id={OTHER}"))
    by_day = done(await rest.operator.get(f"/api/reports/sales?{period}&by=day"))

    assert both["venue_id"] is None
    assert [row["key"] for row in both["items"]] == ["bar", OTHER]
    assert both["items"][1] == one["items"][0]
    total = [sum(row[name] for row in both["items"]) for name in ("pours", "volume_ml", "sold_minor")]
    assert total == [sum(row[name] for row in by_day["items"]) for name in ("pours", "volume_ml", "sold_minor")]
    assert total[:2] == [3, 800]


async def test_the_last_engineer_has_all_venues(places: Places, rest: Rest) -> None:
    refusal(await rest.engineer.patch("/api/users/engineer", json={"venues": ["bar"]}), 409, "last_engineer")
    refusal(await rest.engineer.patch("/api/users/operator", json={"venues": ["nowhere"]}), 404, "not_found")
    refusal(await rest.engineer.patch("/api/users/operator", json={"venues": []}), 400, "invalid")

    narrowed = done(await rest.engineer.patch("/api/users/operator", json={"venues": [OTHER, "bar"]}))

    assert narrowed["venues"] == ["bar", OTHER]
    assert done(await rest.operator.get("/api/me"))["venues"] == ["bar", OTHER]


async def test_streams_tell_nothing_of_another_venue_and_end_when_the_venues_change(places: Places) -> None:
    live = Live()
    live._set_connected(connected=True)

    def flow(venue: Venue, pour_id: str) -> None:
        progress = PourProgress(pour_id=UUID(pour_id), volume_ml=11, elapsed_ms=100)
        live.receive(venue.tap.path.topic("pour/progress"), encode(progress))

    flow(places.other, places.there.ids["pending"])
    flow(places.venue, places.here.ids["pending"])
    async with serving(places.venue.db, live) as url, asyncio.timeout(10):
        told = dict[str, list[Event]]()
        async with asyncio.TaskGroup() as tasks:
            opened = [asyncio.Event(), asyncio.Event()]
            for path, is_open in zip(sorted(STREAMS), opened, strict=True):
                tasks.create_task(read_to_end(url, path, places.client, is_open, told.setdefault(path, [])))
            for is_open in opened:
                await is_open.wait()
            flow(places.other, places.there.ids["pending"])
            await change_both(places)
            flow(places.venue, places.here.ids["pending"])
            await until_told(told, places.here.ids["visit_id"], "bar/taps/left")
            await users.change_user(places.venue.db, OPERATOR, "eva", venues=[OTHER])

    for path, events in told.items():
        text = json.dumps([event.data for event in events])
        assert {mark for mark in places.marks if mark in text} == set(), path
        assert (places.there.ids["guest_id"] in text) == (path == "/live"), "a page with a shared guest is shown anew"


async def change_both(places: Places) -> None:
    """Change something at the other venue, then here."""
    for venue, guest in ((places.other, places.zoe), (places.venue, places.ann)):
        visit_id = places.there.ids["visit_id"] if venue is places.other else places.here.ids["visit_id"]
        await visits.set_alcohol(venue.db, OPERATOR, UUID(visit_id), allowed=False, reason=f"{guest.card_uid} drives")


async def until_told(told: dict[str, list[Event]], *names: str) -> None:
    while not all(name in json.dumps([event.data for event in events]) for events in told.values() for name in names):
        await asyncio.sleep(0.02)


async def read_to_end(url: str, path: str, client: httpx.AsyncClient, is_open: asyncio.Event, events: list[Event]) -> None:
    """Read a stream until the server ends it."""
    headers = {"Authorization": client.headers["Authorization"]}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as reader, reader.stream("GET", path) as answer:
        async for event in _events(answer.aiter_lines()):
            events.append(event)
            is_open.set()


async def test_every_table_with_rows_of_venues_has_a_view_for_operators_of_some(db: Database) -> None:
    tables = await db.pool.fetch(
        """SELECT DISTINCT table_name FROM information_schema.columns
           WHERE table_schema = 'public' AND column_name IN ('venue_id', 'tap_path', 'path', 'device', 'visit_id', 'webhook_id')
           AND table_name IN (SELECT relname FROM pg_class WHERE relkind = 'r')"""
    )
    views = await db.pool.fetch("SELECT relname FROM pg_class WHERE relnamespace = 'of_venues'::regnamespace AND relkind = 'v'")

    without = {row["table_name"] for row in tables} - {row["relname"] for row in views}
    assert without == {"authorization_answers", "odometer_stretches", "tap_journals"}, "which no view for people reads"
