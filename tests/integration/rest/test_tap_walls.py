"""The tap wall over REST: each user's own view of a venue's taps."""

from typing import Any

from tests.rest import Rest, done, refusal
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
