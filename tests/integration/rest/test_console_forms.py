"""Forms of the console act on what their page showed, or are refused."""

import functools
import json
import re
from collections.abc import Mapping
from html import unescape
from typing import Any

import httpx
from litestar.routes import HTTPRoute

from tapwire_admin.app import create_app
from tapwire_admin.console.field_labels import FORM_FIELDS
from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import Role
from tapwire_core.domain.shown import Noun
from tapwire_core.services import beverages, kegs, shifts, taps, venues
from tests.integration.rest.test_console_users import in_browser, shown_in
from tests.rest import Rest, form_about, log_in
from tests.venue import OPERATOR, Venue

MAKES_NEW = {
    "/check-in/new-guest",
    "/stock/new-beverage",
    "/users/new",
    "/webhooks/new",
    "/set-up/venue",
}
"""Forms that add something and change nothing that a page shows."""
OWN = {"/login", "/logout", "/venue", "/me/password", "/g/{token:str}/top-up", "/test-payments/{provider_id:str}"}
"""Forms about the sender alone, an operator or a guest; `/venue` chooses what the next page shows."""
NAMES_ALL = {
    "/attention/{incident_id:uuid}/claim",
    "/shift/{shift_id:uuid}/z",
    "/visits/{visit_id:uuid}/top-up",
    "/visits/{visit_id:uuid}/refund",
    "/guests/{guest_id:uuid}/comp",
    "/guests/{guest_id:uuid}/top-ups/{movement_id:int}/reverse",
    "/webhooks/{webhook_id:uuid}/deliveries/{delivery_id:uuid}/replay",
}
"""Forms whose address names all that they act on, and whose use case refuses by itself what has ended meanwhile."""

NOBODY = "00000000-0000-4000-8000-000000000000"


class Tab:
    """A tab of a browser, which keeps what its page showed."""

    def __init__(self, rest: Rest, token: str, venue_id: str = "bar") -> None:
        self.client, self.token, self.venue_id = rest.nobody, token, venue_id

    def headers(self, chosen: str | None = None) -> dict[str, str]:
        """The fields of a request; another tab may have chosen another venue."""
        headers = in_browser(self.token)
        return {**headers, "Cookie": f"{headers['Cookie']}; tapwire_venue={chosen or self.venue_id}"}

    async def see(self, path: str) -> str:
        """The page's or dialog's first shown thing, as its forms send it."""
        page = await self.client.get(path, headers=self.headers())
        assert page.status_code == 200, page.text
        return shown_in(page)

    async def send(self, path: str, shown: str, chosen: str | None = None, **fields: str) -> httpx.Response:
        """Send a form."""
        return await self.client.post(path, data={"shown": shown, **fields}, headers=self.headers(chosen))


async def engineer(rest: Rest, db: Database, venue_id: str = "bar") -> Tab:
    return Tab(rest, await log_in(db, Role.ENGINEER), venue_id)


@functools.cache
def console_forms() -> Mapping[str, Any]:
    app = create_app(Database.nowhere())
    routes = [route for route in app.routes if isinstance(route, HTTPRoute) and not route.path.startswith("/api")]
    return {
        route.path_format_original if hasattr(route, "path_format_original") else route.path: handler
        for route in routes
        for handler in route.route_handlers
        if "POST" in handler.http_methods
    }


def test_every_form_says_what_its_page_shows_or_why_it_need_not() -> None:
    forms = console_forms()

    silent = {path for path, handler in forms.items() if handler.opt.get("shows") is None}

    assert len(forms) > 40
    assert silent == MAKES_NEW | OWN | NAMES_ALL


async def test_a_form_that_lacks_what_its_page_showed_is_refused(rest: Rest, db: Database, venue: Venue) -> None:
    tab = await engineer(rest, db)
    guest = await venue.guest()
    paths = {
        "guest_id:uuid": str(guest.guest_id),
        "venue:str": "bar",
        "tap:str": "left",
        "username:str": "operator",
        "card_uid:str": guest.card_uid,
        "action:str": "lost",
    }
    for path, handler in console_forms().items():
        if handler.opt.get("shows") is None:
            continue
        address = re.sub(r"\{([^}]+)\}", lambda part: paths.get(part[1], "00000000-0000-4000-8000-000000000000"), path)
        for lacking in ("", "{}", '{"noun":"venue","key":"bar"}'):
            answer = await tab.send(address, lacking)
            assert answer.status_code == 400, (path, answer.status_code, answer.text)
            assert "page_out_of_date" in answer.text, path


async def test_a_page_closes_the_shift_of_the_venue_that_it_showed(rest: Rest, db: Database, venue: Venue) -> None:
    await venues.create_venue(db, OPERATOR, venue_id="station", name="Station", time_zone="Europe/Berlin")
    await shifts.open_shift(db, OPERATOR, "station")
    tab = await engineer(rest, db)
    shown = await tab.see("/shift/close")

    answer = await tab.send("/shift/close", shown, chosen="station")

    assert answer.status_code == 200
    assert await db.pool.fetch("SELECT venue_id, status FROM shifts ORDER BY venue_id") == [("bar", "closed"), ("station", "open")]
    assert (await tab.send("/shift/close", shown)).status_code == 409


async def test_an_emergency_stop_stops_the_venue_that_it_showed_and_ends_only_the_stop_that_it_showed(
    rest: Rest, db: Database, venue: Venue
) -> None:
    await venues.create_venue(db, OPERATOR, venue_id="station", name="Station", time_zone="Europe/Berlin")
    tab = await engineer(rest, db)
    await tab.send("/emergency", await tab.see("/emergency"), chosen="station", on="true", reason="drill")
    assert await db.pool.fetchval("SELECT venue_id FROM venues WHERE emergency_stop") == "bar"

    first = await tab.see("/emergency")
    await venues.release_venue(db, OPERATOR, "bar", "over")
    await venues.stop_venue(db, OPERATOR, "bar", "drill")
    answer = await tab.send("/emergency", first, on="false", reason="over")

    assert (answer.status_code, "changed_meanwhile" in answer.text) == (409, True)
    assert await db.pool.fetchval("SELECT emergency_stop FROM venues WHERE venue_id = 'bar'")


async def test_two_people_edit_one_beverage_and_neither_undoes_the_other(rest: Rest, db: Database, venue: Venue) -> None:
    tab = await engineer(rest, db)
    beverage_id = await beverages.create_beverage(db, OPERATOR, name="Pils", sell_price_per_liter_minor=700)
    path = f"/stock/beverages/{beverage_id}"
    shown = await tab.see(path)
    await beverages.change_beverage(db, OPERATOR, beverage_id, sell_price_per_liter_minor=800)

    styled = await tab.send(path, shown, name="Pils", sell_price_per_liter_minor="7.00", style="pilsner")
    priced = await tab.send(path, shown, name="Pils", sell_price_per_liter_minor="7.50")

    assert styled.status_code == 200
    found = await db.pool.fetchrow("SELECT style, sell_price_per_liter_minor FROM beverages WHERE beverage_id = $1", beverage_id)
    assert found == ("pilsner", 800)
    assert priced.status_code == 409
    assert "€7.00" in priced.text
    assert "€8.00" in priced.text


async def test_a_keg_that_a_colleague_connected_meanwhile_stays_on(rest: Rest, db: Database, venue: Venue) -> None:
    tab, path = await engineer(rest, db), "/taps/bar/left"
    shown = await tab.see(f"{path}/actions")
    beverage_id = await db.pool.fetchval("SELECT beverage_id FROM beverages LIMIT 1")
    keg_id = await kegs.create_keg(db, OPERATOR, venue_id="bar", beverage_id=beverage_id, initial_volume_ml=30_000)
    await taps.put_keg(db, OPERATOR, venue.tap.path, keg_id)

    answer = await tab.send(f"{path}/keg-off", shown)

    assert answer.status_code == 409
    assert await db.pool.fetchval("SELECT keg_id FROM taps WHERE tap_path = $1", str(venue.tap.path)) == keg_id
    tampered = json.dumps({**json.loads(shown), "key": "bar/taps/other"})
    assert (await tab.send(f"{path}/keg-off", tampered)).status_code == 400


async def test_a_page_keeps_its_venue_when_another_tab_chooses_one(rest: Rest, db: Database, venue: Venue) -> None:
    await venues.create_venue(db, OPERATOR, venue_id="station", name="Station", time_zone="Europe/Berlin")
    tab = await engineer(rest, db)

    part = await rest.nobody.get("/parts/shift", headers={**tab.headers("station"), "X-Tapwire-Venue": "bar"})

    assert "Open since" in part.text


async def test_every_page_and_dialog_with_a_form_says_what_it_shows(rest: Rest, db: Database, venue: Venue) -> None:
    tab, guest = await engineer(rest, db), await venue.guest(balance_minor=10_00)
    visit_id = await db.pool.fetchval("SELECT visit_id FROM visits WHERE guest_id = $1", guest.guest_id)
    await venue.grant(guest)
    webhook = {"url": "https://books.example/tapwire", "event_types": ["shift.closed"]}
    webhook_id = (await rest.engineer.post("/api/webhooks", json=webhook)).json()["webhook_id"]
    of_guest = [f"/guests/{guest.guest_id}{rest}" for rest in ("", "/change", "/adjust")]
    of_visit = [f"/visits/{visit_id}/{dialog}" for dialog in ("card", "lost", "close", "rearm", "alcohol", "reconcile", "unlock")]
    of_tap = [f"/taps/bar/left/{dialog}" for dialog in ("actions", "stop")]
    others = ["/check-in", "/stock/new-keg", "/devices/new", "/devices/accept", "/emergency", "/shift/close"]
    others += ["/users/operator", "/venues/bar/change"]
    things = [f"/cards?card_uid={guest.card_uid}", f"/stock/kegs/{venue.keg_id}", f"/stock/beverages/{venue.beverage_id}"]

    for path in (*of_guest, *of_visit, *of_tap, *others, *things, f"/webhooks/{webhook_id}"):
        assert json.loads(await tab.see(path))["key"], path


async def test_every_form_explains_a_wrong_value_in_plain_words(rest: Rest, db: Database, venue: Venue) -> None:
    guest = await venue.guest(balance_minor=10_00)
    ids = {"guest_id": guest.guest_id, "visit_id": guest.visit_id, "keg_id": venue.keg_id, "beverage_id": venue.beverage_id}
    others = {"venue": "bar", "tap": "left", "username": "operator", "card_uid": guest.card_uid, "action": "lost"}
    fixed = {Noun.TAP: "bar/taps/left", Noun.VENUE: "bar", Noun.EMERGENCY_STOP: "bar"}
    fixed |= {Noun.USER: "operator", Noun.CARD: guest.card_uid}
    named = {Noun.BALANCE: guest.guest_id, **{Noun(name.removesuffix("_id")): known for name, known in ids.items()}}
    browser = in_browser(await log_in(db, Role.ENGINEER))
    choices = {"method": "cash", "resolution": "charged", "role": "operator", "reason": "x", "comment": "x", "name": "x"}
    choices |= {"first_name": "x", "beverage_id": str(venue.beverage_id), "status": "retired"}
    explained = set()
    for path, handler in console_forms().items():
        if path in OWN:
            continue
        address = re.sub(r"\{(\w+):\w+\}", lambda part: str((ids | others).get(part[1], NOBODY)), path)
        noun = handler.opt.get("shows")
        shown = form_about(noun, (fixed | named).get(noun, NOBODY)) if noun else {}
        for wrong, language in (("abc", "en"), ("-5", "ru"), ("99999999999", "en"), ("", "ru")):
            headers = browser | {"Cookie": f"{browser['Cookie']}; tapwire_language={language}"}
            typed = dict.fromkeys(FORM_FIELDS, wrong) | ({} if wrong == "" else choices) | shown
            answer = await rest.nobody.post(address, data=typed, headers=headers)
            text = unescape(answer.text)
            assert answer.status_code < 500, (path, wrong, text)
            assert answer.headers.get("HX-Redirect") != "/login", path
            raw = re.search(r"Expected `|`\$|regex|RFC3339|[a-z]_(minor|ml|id|liter|date)\b(?!\")", text)
            assert raw is None, (path, wrong, raw, text)
            if 'data-refused="invalid"' in text:
                explained.add(path)
                assert "<p>" in text, (path, wrong, text)
    assert explained > {"/visits/{visit_id:uuid}/top-up", "/visits/{visit_id:uuid}/refund", "/guests/{guest_id:uuid}/adjust"}
    assert explained > {"/stock/new-keg", "/stock/new-beverage", "/stock/kegs/{keg_id:uuid}/correction", "/set-up/venue"}


async def test_who_adds_a_venue_goes_on_with_it(rest: Rest, db: Database, venue: Venue) -> None:
    tab = await engineer(rest, db)

    added = await tab.send("/set-up/venue", "", venue_id="annex", name="The Annex", time_zone="Europe/Berlin")

    assert (added.status_code, added.headers["HX-Redirect"]) == (200, "/set-up")
    assert added.cookies["tapwire_venue"] == "annex"
