"""Search: people by name in any order, number in any spelling, or card; one search over everything."""

import re
from typing import Any
from uuid import uuid4

from tapwire_core.db.engine import Database
from tapwire_core.db.search_index import fill_search_index
from tapwire_core.db.views.search import search_everything
from tapwire_core.services.devices import add_device
from tapwire_core.services.guests import change_guest
from tests.rest import Rest, done
from tests.venue import OPERATOR, Venue

SOFIA = {"first_name": "Sofía", "last_name": "Ibáñez O'Neil", "phone": "+34 612 55 01 09", "age_checked": True}
SPELLINGS = (
    "Sofía Ib",
    "Ibáñez Sofía",
    "ibanez",
    "SOF",
    "oneil",
    "o'neil sofia",
    "612 55 01 09",
    "34612550109",
    "+34-612-55",
    "5501",
)


async def names(rest: Rest, search: str) -> list[str]:
    """First names of the guests that a search lists."""
    found = done(await rest.operator.get("/api/guests", params={"search": search}))["items"]
    return [guest["first_name"] for guest in found]


async def test_a_guest_is_found_by_any_beginning_and_any_spelling(rest: Rest, venue: Venue) -> None:
    sofia = done(await rest.operator.post("/api/guests", json=SOFIA), 201)
    done(await rest.operator.post(f"/api/guests/{sofia['guest_id']}/cards", json={"card_uid": "04a1b2c3"}), 201)
    done(await rest.operator.post("/api/guests", json={"first_name": "Bob", "phone": "0151 234"}), 201)

    for search in (*SPELLINGS, "04 A1:B2", "04a1b2c3"):
        assert await names(rest, search) == ["Sofía"], search
    for search in ("fia", "Sofía Bob", "613 55", "!!", "a1b2c3", "'", "\\", "%"):
        assert await names(rest, search) == [], search
    assert await names(rest, "+49 151 234") == await names(rest, "0151-234") == await names(rest, "151234") == ["Bob"]


async def test_a_changed_name_is_found_by_the_new_one_alone(rest: Rest, venue: Venue) -> None:
    sofia = done(await rest.operator.post("/api/guests", json=SOFIA), 201)
    await change_guest(venue.db, OPERATOR, sofia["guest_id"], first_name="Zoë", phone=None)

    assert (await names(rest, "zoe"), await names(rest, "sofia"), await names(rest, "34612")) == (["Zoë"], [], [])


async def test_one_search_finds_people_cards_visits_taps_and_kegs(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest()

    async def search(q: str) -> dict[str, Any]:
        found = done(await rest.operator.get("/api/search", params={"q": q}))
        return {kind: results["items"] for kind, results in found.items()}

    by_card = await search(ann.card_uid[:6])
    by_beverage = await search("pil")
    by_tap = await search("left")
    by_id = await search(str(venue.keg_id))

    assert [card["card_uid"] for card in by_card["cards"]] == [ann.card_uid]
    assert [guest["guest_id"] for guest in by_card["guests"]] == [str(ann.guest_id)]
    assert [visit["card_uid"] for visit in by_card["visits"]] == [ann.card_uid]
    assert [keg["keg_id"] for keg in by_beverage["kegs"]] == [str(venue.keg_id)]
    assert [tap["tap"] for tap in by_beverage["taps"]] == [tap["tap"] for tap in by_tap["taps"]] == ["bar/taps/left"]
    assert [keg["keg_id"] for keg in by_id["kegs"]] == [str(venue.keg_id)]


async def test_among_five_thousand_guests_the_search_shows_the_first_and_counts_the_others(
    db: Database, owner_db: Database
) -> None:
    firsts, lasts = ("Maria", "João", "Ana", "Rui", "Inês"), ("Silva", "Santos", "Ferreira", "Pereira", "Costa")
    rows = [(uuid4(), firsts[n % 5], lasts[n // 5 % 5], f"+351 9{n:08}") for n in range(5_000)]
    await db.pool.copy_records_to_table("guests", records=rows, columns=["guest_id", "first_name", "last_name", "phone"])
    async with db.engine.begin() as connection:
        await connection.run_sync(fill_search_index)
    await owner_db.pool.execute("ANALYZE")

    found = await search_everything(db, "silva mar")
    assert (len(found.guests.items), found.guests.more) == (6, 194)


async def test_a_guest_whose_name_is_typed_whole_is_shown_before_those_whose_name_begins_so(rest: Rest, venue: Venue) -> None:
    for name in ("Al", *(f"Al{letter}" for letter in "abcdefghi")):
        guest = done(await rest.operator.post("/api/guests", json={"first_name": name, "age_checked": True}), 201)
        done(await rest.operator.post("/api/visits", json={"venue_id": "bar", "guest_id": guest["guest_id"]}), 201)
    opened = "INSERT INTO incidents (incident_id, kind, cause, venue_id) VALUES ($1, 'keg_overdrawn', '', 'bar')"
    incident_id = uuid4()
    await venue.db.pool.execute(opened, incident_id)

    oldest = done(await rest.operator.get("/api/guests", params={"search": "al", "sort": "asc"}))["items"]

    assert (await names(rest, "al"))[:2] == ["Al", "Ali"]
    assert [guest["first_name"] for guest in oldest][:2] == ["Al", "Ala"]
    assert await shows(rest, "/check-in/guests?search=al", "Al")
    assert await shows(rest, f"/attention/{incident_id}/visits?search=al", "Al")


async def test_a_beverage_whose_word_is_typed_whole_is_shown_before_those_that_begin_so(rest: Rest, venue: Venue) -> None:
    for name in (*(f"Amber 8{number}" for number in range(9)), "Zesty Amber 8"):
        sold = {"name": name, "sell_price_per_liter_minor": 500}
        beverage = done(await rest.engineer.post("/api/beverages", json=sold), 201)
        keg = {"venue_id": "bar", "beverage_id": beverage["beverage_id"], "initial_volume_ml": 30_000}
        done(await rest.engineer.post("/api/kegs", json=keg), 201)

    everything = done(await rest.operator.get("/api/search", params={"q": "amber 8", "limit": 1}))

    assert everything["kegs"]["items"][0]["beverage_name"] == "Zesty Amber 8"
    assert await shows(rest, "/stock/new-keg/beverages?search=amber 8", "Zesty Amber 8")
    assert await shows(rest, "/taps/bar/left/kegs?search=amber 8", "Zesty Amber 8")


async def test_a_venue_and_a_reader_that_are_typed_whole_are_shown_before_those_that_begin_so(rest: Rest, venue: Venue) -> None:
    for number in (*range(10, 19), 1):
        named = {"venue_id": f"v{number:02}" if number > 1 else "zesty", "name": f"Tent {number}", "time_zone": "UTC"}
        done(await rest.engineer.post("/api/venues", json=named), 201)
        await add_device(venue.db, OPERATOR, f"bar/readers/desk-{number}")

    assert await shows(rest, "/parts/venues?search=tent 1", "Tent 1")
    assert await shows(rest, "/check-in/readers?search=desk-1", "desk-1")
    assert await shows(rest, "/check-in/readers?search=1", "desk-1")


async def shows(rest: Rest, part: str, text: str) -> bool:
    """True if a part of the console has this text for itself, among what it shows of many."""
    shown = await rest.engineer.get(part, headers={"Cookie": "tapwire_venue=bar"})
    assert shown.status_code == 200, shown.text
    return re.search(rf">\s*{text}\s*<", shown.text) is not None
