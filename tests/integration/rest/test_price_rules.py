"""Prices by time over REST, and what pours, taps and their screens make of them."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from tapwire_contracts.messages import PourDenied, TapConfig
from tapwire_core.db.engine import Database
from tapwire_core.domain.shown import Noun
from tapwire_core.services import beverages, kegs, taps, venues
from tapwire_core.services.books import check_books
from tapwire_core.services.nodes import note_state
from tapwire_core.services.outbox import publish_waiting
from tapwire_core.services.price_rules import publish_new_prices
from tests.rest import Rest, done, form_about, refusal, with_key
from tests.venue import OPERATOR, PRICE_MINOR, Venue

RULES = "/api/price-rules"
EVERY_DAY = [1, 2, 3, 4, 5, 6, 7]
ALWAYS: Mapping[str, Any] = {"name": "Always", "weekdays": EVERY_DAY, "from": "00:00", "to": "00:00", "percent_off": 20}


async def add(rest: Rest, venue: Venue, **fields: object) -> dict[str, Any]:
    """A rule of the venue, on all the time unless said otherwise."""
    made: dict[str, Any] = done(await rest.engineer.post(RULES, json={**ALWAYS, "venue_id": venue.venue_id, **fields}), 201)
    return made


async def published(db: Database) -> dict[str, TapConfig]:
    """Let the workers look for new prices, and take what they publish."""
    configs: dict[str, TapConfig] = {}

    async def send_command(_: str, __: str) -> None:
        raise AssertionError("nothing pours")

    async def send_config(tap: str, config: TapConfig) -> None:
        configs[tap] = config

    await publish_new_prices(db)
    while await publish_waiting(db, send_command, send_config):
        pass
    return configs


async def test_a_price_rule_from_its_making_to_its_end(rest: Rest, venue: Venue, db: Database) -> None:
    body = {
        "venue_id": "bar",
        "name": "Happy hour",
        "beverage_ids": [str(venue.beverage_id)],
        "weekdays": [5, 1, 5],
        "from": "17:00",
        "to": "19:00",
        "valid_from": "2026-12-01",
        "valid_to": "2026-12-31",
        "percent_off": 20,
    }
    made = done(await rest.engineer.post(RULES, json=body), 201)
    rule_id = made["price_rule_id"]

    assert made == {
        **body,
        "price_rule_id": rule_id,
        "weekdays": [1, 5],
        "sell_price_per_liter_minor": None,
        "currency": "EUR",
        "created_at": made["created_at"],
    }
    changes = {"sell_price_per_liter_minor": 450, "to": "02:00", "beverage_ids": None, "valid_to": None}
    changed = done(await rest.engineer.patch(f"{RULES}/{rule_id}", json=changes))
    assert changed == {**made, **changes, "percent_off": None}
    assert done(await rest.operator.get(RULES, params={"venue_id": "bar"}))["items"] == [changed]
    assert done(await rest.operator.get(RULES, params={"venue_id": "pub"}))["items"] == []

    assert (await rest.engineer.delete(f"{RULES}/{rule_id}")).status_code == 204

    assert done(await rest.operator.get(RULES))["items"] == []
    refusal(await rest.engineer.delete(f"{RULES}/{rule_id}"), 404, "not_found")
    refusal(await rest.engineer.patch(f"{RULES}/{rule_id}", json={"name": "Late"}), 404, "not_found")
    assert await db.pool.fetchval("SELECT deleted_at IS NOT NULL FROM price_rules WHERE price_rule_id = $1", UUID(rule_id))
    audited = done(await rest.operator.get("/api/audit", params={"subject": rule_id}))["items"]
    assert [entry["action"] for entry in audited] == ["price_rule_deleted", "price_rule_changed", "price_rule_created"]
    assert audited[1]["details"]["to"] == "02:00"
    assert audited[2]["details"]["percent_off"] == 20


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"percent_off": None}, "percent_off"),
        ({"sell_price_per_liter_minor": 400}, "percent_off"),
        ({"percent_off": 100}, "percent_off"),
        ({"weekdays": []}, "weekdays"),
        ({"weekdays": [0]}, "weekdays[0]"),
        ({"from": "24:00"}, "from"),
        ({"to": "7:00"}, "to"),
        ({"valid_from": "2026-12-02", "valid_to": "2026-12-01"}, "valid_to"),
        ({"valid_from": "1026-12-02"}, "valid_from"),
        ({"beverage_ids": []}, "beverage_ids"),
        ({"until": "17:00"}, "until"),
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused_and_the_field_named(
    rest: Rest, venue: Venue, change: dict[str, Any], field: str
) -> None:
    response = await rest.engineer.post(RULES, json={**ALWAYS, "venue_id": "bar", **change})

    assert response.status_code == 400
    problem = response.json()
    assert field in (problem.get("field"), *(error.get("field") for error in problem.get("errors", ()))), problem


async def test_rules_that_could_be_on_at_once_are_refused_with_the_others_id(rest: Rest, venue: Venue) -> None:
    evening = await add(rest, venue, name="Evening", **{"from": "18:00", "to": "02:00"}, weekdays=[7])
    night = {**ALWAYS, "venue_id": "bar", "name": "Night", "weekdays": [1], "from": "01:00", "to": "03:00"}

    problem = refusal(await rest.engineer.post(RULES, json=night), 409, "price_rule_overlap")

    assert problem["price_rule_id"] == evening["price_rule_id"]
    later = done(await rest.engineer.post(RULES, json={**night, "from": "02:00"}), 201)
    path = f"{RULES}/{later['price_rule_id']}"
    refusal(await rest.engineer.patch(path, json={"from": "01:59"}), 409, "price_rule_overlap")
    refusal(await rest.engineer.post(RULES, json={**night, "beverage_ids": [str(uuid4())]}), 404, "not_found")
    refusal(await rest.engineer.post(RULES, json={**night, "venue_id": "pub"}), 404, "not_found")
    done(await rest.engineer.patch(path, json={"valid_from": "2027-01-01"}))
    await venues.create_venue(venue.db, OPERATOR, venue_id="pub", name="Pub", time_zone="UTC")
    done(await rest.engineer.post(RULES, json={**night, "venue_id": "pub"}), 201)


async def test_of_two_rules_that_overlap_made_at_once_one_is_refused_and_one_key_makes_one_rule(rest: Rest, venue: Venue) -> None:
    body, key = {**ALWAYS, "venue_id": "bar"}, with_key()
    both = await asyncio.gather(*(rest.engineer.post(RULES, json=body, headers=key) for _ in range(2)))
    others = await asyncio.gather(
        *(rest.engineer.post(RULES, json={**body, "valid_from": "2030-01-01", "name": name}) for name in ("one", "two"))
    )

    assert {done(answer, 201)["price_rule_id"] for answer in both} == {both[0].json()["price_rule_id"]}
    assert [answer.status_code for answer in others] == [409, 409]


async def test_a_pour_keeps_the_price_and_the_rule_of_its_grant_whatever_becomes_of_the_rule(
    rest: Rest, venue: Venue, db: Database
) -> None:
    right = await venue.another_tap("right")
    ann, bob = await venue.guest(balance_minor=50_000), await venue.guest(balance_minor=50_000)
    rule = await add(rest, venue, percent_off=20)
    path = f"{RULES}/{rule['price_rule_id']}"
    happy_minor = (PRICE_MINOR * 80 + 50) // 100
    by_ann = await venue.grant(ann)
    done(await rest.engineer.patch(path, json={"percent_off": 50}))
    by_bob = await venue.grant(bob, right)
    assert (await rest.engineer.delete(path)).status_code == 204

    assert (await venue.report(by_ann, 500)).amount_minor == (500 * happy_minor + 500) // 1000
    assert (await venue.report(by_bob, 500, right)).amount_minor == (500 * ((PRICE_MINOR + 1) // 2) + 500) // 1000

    pours = {item["pour_id"]: item for item in done(await rest.operator.get("/api/pours"))["items"]}
    assert by_ann.display.sell_price_per_liter_minor == happy_minor
    assert pours[str(by_ann.pour_id)]["sell_price_per_liter_minor"] == happy_minor
    assert pours[str(by_ann.pour_id)]["price_rule_id"] == rule["price_rule_id"]
    late = await venue.grant(ann)
    assert late.display.sell_price_per_liter_minor == PRICE_MINOR
    assert done(await rest.operator.get(f"/api/pours/{late.pour_id}"))["price_rule_id"] is None
    await venue.report(late, 0)
    assert not await check_books(db)


async def test_the_grant_the_hold_and_the_denial_go_by_the_price_now(rest: Rest, venue: Venue) -> None:
    poor = await venue.guest(balance_minor=1)
    assert PRICE_MINOR > 1_000
    assert (await venue.denial(poor)).value == "insufficient_funds"
    await add(rest, venue, percent_off=None, sell_price_per_liter_minor=500)

    granted = await venue.grant(poor)

    assert granted.max_volume_ml == 2
    await venue.report(granted, 0)
    broke = await venue.guest()
    answer = await venue.ask(venue.tap.question(broke.card_uid))
    assert isinstance(answer, PourDenied)
    assert answer.display.sell_price_per_liter_minor == 500


async def test_an_incident_is_valued_at_the_list_price(rest: Rest, venue: Venue, db: Database) -> None:
    await add(rest, venue, percent_off=50)
    await venue.idle()
    venue.tap.odometer_ml += 1_000
    await venue.idle()

    details = await db.pool.fetchval("SELECT details FROM incidents WHERE kind = 'volume_gap'")

    assert msgspec.json.decode(details)["value_minor"] == PRICE_MINOR


async def test_a_tap_shows_its_price_now_beside_the_list_price_and_until_when(rest: Rest, venue: Venue, db: Database) -> None:
    before = done(await rest.operator.get("/api/taps/bar/left"))
    today = (await venue.today()).isoweekday()
    rule = await add(rest, venue, weekdays=[today], beverage_ids=[str(venue.beverage_id)], percent_off=30)

    now = done(await rest.operator.get("/api/taps/bar/left"))

    assert (before["sell_price_per_liter_minor"], before["price_rule"]) == (PRICE_MINOR, None)
    assert (now["list_price_per_liter_minor"], now["sell_price_per_liter_minor"]) == (PRICE_MINOR, (PRICE_MINOR * 70 + 50) // 100)
    midnight = await db.pool.fetchval("SELECT ($1::date + 1)::timestamp AT TIME ZONE 'Europe/Berlin'", await venue.today())
    assert now["price_rule"] == {
        "price_rule_id": rule["price_rule_id"],
        "name": "Always",
        "until": midnight.isoformat().replace("+00:00", "Z"),
    }
    assert done(await rest.operator.get("/api/taps"))["items"][0]["price_rule"] == now["price_rule"]
    await taps.take_keg_off(venue.db, OPERATOR, venue.tap.path)
    empty = done(await rest.operator.get("/api/taps/bar/left"))
    assert (empty["sell_price_per_liter_minor"], empty["list_price_per_liter_minor"], empty["price_rule"]) == (None, None, None)


async def test_a_rule_is_for_its_beverages_and_its_venue_by_the_clock_of_that_venue(rest: Rest, venue: Venue, db: Database) -> None:
    """Kiritimati is a day ahead of Niue, always: a rule of one weekday is on in one of the two at most."""
    stout = await beverages.create_beverage(db, OPERATOR, name="Stout", sell_price_per_liter_minor=900)
    keg_id = await kegs.create_keg(db, OPERATOR, venue_id="bar", beverage_id=stout, initial_volume_ml=30_000)
    far = await Venue.open(db, "far")
    await venues.change_venue(db, OPERATOR, "bar", time_zone="Pacific/Kiritimati")
    await venues.change_venue(db, OPERATOR, "far", time_zone="Pacific/Niue")
    there = await db.pool.fetchval("SELECT extract(isodow FROM now() AT TIME ZONE 'Pacific/Kiritimati')::int")
    await add(rest, venue, weekdays=[there], beverage_ids=[str(venue.beverage_id)])
    await add(rest, far, weekdays=[there])

    rules = {item["tap"]: item["price_rule"] for item in done(await rest.operator.get("/api/taps"))["items"]}
    await taps.put_keg(db, OPERATOR, venue.tap.path, keg_id)
    with_stout = done(await rest.operator.get("/api/taps/bar/left"))

    assert rules["bar/taps/left"] is not None
    assert rules["far/taps/left"] is None
    assert (with_stout["sell_price_per_liter_minor"], with_stout["price_rule"]) == (900, None)


async def test_a_screen_is_told_of_each_boundary_and_change_once_however_many_workers_look(
    rest: Rest, venue: Venue, db: Database
) -> None:
    """A boundary is nothing else than that another price is on than the one published: what no worker saw is made up for later."""
    left = str(venue.tap.path)
    await published(db)
    rule = await add(rest, venue)
    path = f"{RULES}/{rule['price_rule_id']}"
    found = await asyncio.gather(*(publish_new_prices(db) for _ in range(3)))
    began = await published(db)
    again = await published(db)
    today, tomorrow = await venue.today(), await venue.today() + timedelta(days=1)
    done(await rest.engineer.patch(path, json={"valid_to": str(tomorrow)}))
    ends_earlier = await published(db)
    done(await rest.engineer.patch(path, json={"name": "Happy day"}))
    renamed = await published(db)
    await db.pool.execute("UPDATE price_rules SET valid_to = $1, valid_from = $1", today - timedelta(days=1))
    ended = await published(db)

    assert sum(found) == 1
    assert (began[left].sell_price_per_liter_minor, began[left].list_price_per_liter_minor) == (PRICE_MINOR * 4 // 5, PRICE_MINOR)
    is_on = began[left].price_rule
    assert is_on is not None
    assert is_on.until is None
    assert again == {}
    shown = ends_earlier[left].price_rule
    assert shown is not None
    assert shown.until is not None
    assert shown.until.strftime("%H:%M") == "00:00"
    assert ends_earlier[left].revision > began[left].revision
    is_renamed = renamed[left].price_rule
    assert is_renamed is not None
    assert is_renamed.name == "Happy day"
    assert (ended[left].sell_price_per_liter_minor, ended[left].price_rule) == (PRICE_MINOR, None)
    assert await published(db) == {}


async def test_a_display_that_was_offline_at_the_boundary_is_told_the_price_when_it_is_back(
    rest: Rest, venue: Venue, db: Database
) -> None:
    left = str(venue.tap.path)
    known = (await published(db))[left].revision
    await note_state(db, venue.tap.path, msgspec.structs.replace(venue.tap.state(), config_revision=known))
    assert left not in await published(db)
    await add(rest, venue, percent_off=50)
    assert (await published(db))[left].revision > known

    await note_state(db, venue.tap.path, msgspec.structs.replace(venue.tap.state(connection=2), config_revision=known))

    again = (await published(db))[left]
    assert (again.sell_price_per_liter_minor, again.list_price_per_liter_minor) == (PRICE_MINOR // 2, PRICE_MINOR)


async def test_only_engineers_set_prices(rest: Rest, venue: Venue) -> None:
    rule = await add(rest, venue)
    path = f"{RULES}/{rule['price_rule_id']}"

    refusal(await rest.shift_lead.post(RULES, json={**ALWAYS, "venue_id": "bar"}), 403, "role_required")
    refusal(await rest.shift_lead.patch(path, json={"name": "Mine"}), 403, "role_required")
    refusal(await rest.shift_lead.delete(path), 403, "role_required")
    refusal(await rest.nobody.get(RULES), 401, "login_required")


async def test_the_console_adds_changes_and_deletes_rules_and_says_while_typing_what_overlaps(rest: Rest, venue: Venue) -> None:
    typed = {"name": "Happy hour", "day 1": "true", "from": "17:00", "to": "19:00", "percent_off": "20"}
    console = rest.engineer
    made = await console.post("/prices/new", data={**typed, **form_about(Noun.VENUE, "bar")})
    assert made.headers.get("HX-Redirect") == "/prices", made.text
    rule_id = done(await rest.operator.get(RULES))["items"][0]["price_rule_id"]

    overlaps = await console.get("/prices/overlap", params={**typed, "name": "", "from": "18:00", "to": "20:00"})
    itself = await console.get("/prices/overlap", params={**typed, "rule": rule_id})
    unfinished = await console.get("/prices/overlap", params={"name": "Late", "from": "1"})
    assert "Happy hour" in overlaps.text
    assert "17:00–19:00" in overlaps.text
    assert (itself.text.strip(), unfinished.text.strip()) == ("", "")

    about = form_about(Noun.PRICE_RULE, rule_id)
    fixed = {**typed, "percent_off": "", "sell_price_per_liter_minor": "4,50", "valid_to": "2026-12-31"}
    changed = await console.post(f"/prices/{rule_id}", data={**fixed, f"for {venue.beverage_id}": "true", **about})
    assert changed.headers.get("HX-Redirect") == "/prices", changed.text
    now = done(await rest.operator.get(RULES))["items"][0]
    assert (now["sell_price_per_liter_minor"], now["percent_off"], now["valid_to"]) == (450, None, "2026-12-31")
    assert now["beverage_ids"] == [str(venue.beverage_id)]
    dialog = await console.get(f"/prices/{rule_id}")
    assert 'value="4.50"' in dialog.text

    page = await rest.operator.get("/prices", params={"week": "2026-12-28"})
    assert page.text.count("plan-block") == 1
    about = form_about(Noun.PRICE_RULE, rule_id)
    assert (await console.post(f"/prices/{rule_id}/delete", data=about)).status_code == 200
    assert done(await rest.operator.get(RULES))["items"] == []


async def test_a_venue_in_ounces_shows_volumes_and_prices_so_and_keeps_its_books_in_millilitres(rest: Rest, venue: Venue) -> None:
    about = form_about(Noun.VOLUMES, "bar")
    changed = await rest.engineer.post("/prices/volumes", data={"glass_ml": "473", "volume_unit": "oz", **about})
    assert changed.headers.get("HX-Redirect") == "/prices", changed.text
    shown = done(await rest.operator.get("/api/venues"))["items"][0]
    refusal(await rest.engineer.patch("/api/venues/bar", json={"glass_ml": 0}), 400, "invalid")
    refusal(await rest.engineer.patch("/api/venues/bar", json={"volume_unit": "pint"}), 400, "invalid")

    pages = [(await rest.operator.get(path)).text for path in ("/", "/stock", "/shift", "/reports")]

    assert (shown["glass_ml"], shown["volume_unit"]) == (473, "oz")
    assert "/oz" in pages[0]
    assert all("\N{NO-BREAK SPACE}oz" in page for page in pages)
    assert not any("\N{NO-BREAK SPACE}l<" in page or "\N{NO-BREAK SPACE}ml<" in page for page in pages)
    assert done(await rest.operator.get("/api/taps/bar/left"))["sell_price_per_liter_minor"] == PRICE_MINOR
