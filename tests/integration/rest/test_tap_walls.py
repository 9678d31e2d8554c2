"""The tap wall: each user's own view of a venue's taps."""

from typing import Any

from tapwire_core.domain.shown import Noun
from tests.rest import Rest, done, form_about, refusal
from tests.venue import Venue

WALL = "/api/venues/bar/tap-wall"


async def add_taps(rest: Rest, *tap_ids: str) -> None:
    """More taps of the bar."""
    for tap_id in tap_ids:
        done(
            await rest.engineer.post("/api/taps", json={"venue_id": "bar", "tap_id": tap_id, "name": tap_id, "room": "Cellar"}), 201
        )


async def test_each_user_has_an_order_of_their_own_and_new_taps_follow_it(rest: Rest, venue: Venue) -> None:
    before: dict[str, Any] = done(await rest.operator.get(WALL))
    await add_taps(rest, "t-10", "t-2")

    by_number = done(await rest.operator.get(WALL))
    assert by_number == {
        "venue_id": "bar",
        "sort_by": "number",
        "tap_ids": sorted([*before["tap_ids"], "t-2", "t-10"], key=lambda one: (not one.startswith("l"), one == "t-10")),
        "by_room": False,
        "needs_something": False,
    }
    wanted = {"sort_by": "own", "tap_ids": ["t-10", "t-2"], "by_room": True, "needs_something": True}
    mine = done(await rest.operator.put(WALL, json=wanted))
    assert mine == {**by_number, **wanted, "tap_ids": ["t-10", "t-2", *before["tap_ids"]]}
    assert done(await rest.engineer.get(WALL)) == by_number

    done(await rest.operator.put(WALL, json={"sort_by": "number"}))
    assert done(await rest.operator.put(WALL, json={"sort_by": "own"}))["tap_ids"] == mine["tap_ids"]
    assert done(await rest.operator.get("/api/taps/bar/t-2"))["room"] == "Cellar"
    done(await rest.engineer.patch("/api/taps/bar/t-2", json={"room": None}))
    assert done(await rest.operator.get("/api/taps/bar/t-2"))["room"] is None


async def test_an_order_has_each_tap_of_the_venue_once(rest: Rest, venue: Venue) -> None:
    await add_taps(rest, "t-2")

    refusal(await rest.operator.put(WALL, json={"sort_by": "own", "tap_ids": ["t-2", "t-2"]}), 400, "invalid")
    refusal(await rest.operator.put(WALL, json={"sort_by": "own", "tap_ids": ["nowhere"]}), 404, "not_found")
    refusal(await rest.operator.put("/api/venues/pub/tap-wall", json={}), 404, "not_found")
    refusal(await rest.operator.get("/api/venues/pub/tap-wall"), 404, "not_found")


async def test_the_tap_wall_is_each_users_own_and_its_form_remembers_it(rest: Rest, venue: Venue) -> None:
    await venue.another_tap("t-10")
    await venue.another_tap("t-2")
    done(await rest.engineer.patch("/api/taps/bar/t-2", json={"room": "Cellar"}))

    def order(text: str) -> list[str]:
        return [part.split('"')[0] for part in text.split('data-id="')[1:]]

    wall = (await rest.operator.get("/wall")).text
    assert order(wall) == ["left", "t-2", "t-10"]
    assert wall.count('data-live="phase">No device yet</span>') == 3
    about = form_about(Noun.VENUE, "bar")
    moved = await rest.operator.post("/wall", data={**about, "sort_by": "own", "tap_ids": "t-10,left,t-2"})
    assert moved.status_code == 200
    assert "HX-Redirect" not in moved.headers
    assert order((await rest.operator.get("/wall")).text) == ["t-10", "left", "t-2"]
    assert order((await rest.engineer.get("/wall")).text) == ["left", "t-2", "t-10"]

    by_room = await rest.operator.post("/wall", data={**about, "sort_by": "own", "by_room": "true", "needs_something": "true"})
    assert by_room.headers["HX-Redirect"] == "/wall"
    page = (await rest.operator.get("/wall")).text
    assert order(page) == ["t-2", "t-10", "left"]
    assert "<h2>Cellar</h2>" in page
    assert "data-only-needing" in page
    part = await rest.operator.get("/parts/wall", params={"tap": ["bar/taps/t-2"]})
    assert order(part.text) == ["t-2"]
    assert "data-needs" in part.text  # its node was never there
