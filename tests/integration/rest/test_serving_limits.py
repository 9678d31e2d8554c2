"""Serving limits and ages over REST: settings, what a visit shows, and what staff can do about them."""

from datetime import timedelta
from typing import Any

import pytest

from tapwire_core.services import guests
from tapwire_core.services.devices import add_device
from tests.rest import Rest, done, refusal, with_key
from tests.venue import OPERATOR, Venue

OPEN = "/api/visits/open-and-assign-card"
VOLUME = {"measure": "volume", "limit_ml": 946, "window_minutes": None}


@pytest.mark.parametrize(
    "limit", [VOLUME, {"measure": "ethanol", "limit_mg": 40_000, "window_minutes": 240}, {"measure": "volume", "limit_ml": 1}]
)
async def test_a_venue_shows_the_limit_that_it_was_given_and_loses_it_again(
    rest: Rest, venue: Venue, limit: dict[str, Any]
) -> None:
    changed = done(await rest.engineer.patch("/api/venues/bar", json={"serving_limit": limit, "minors_allowed": True}))

    assert changed["serving_limit"] == {"window_minutes": None} | limit
    assert changed["minors_allowed"] is True
    without = done(await rest.engineer.patch("/api/venues/bar", json={"serving_limit": None}))
    assert (without["serving_limit"], without["minors_allowed"]) == (None, True)
    made = {"venue_id": "pub", "name": "Pub", "time_zone": "Europe/Berlin", "serving_limit": limit}
    assert done(await rest.engineer.post("/api/venues", json=made), 201)["serving_limit"] == changed["serving_limit"]


@pytest.mark.parametrize(
    ("limit", "field"),
    [
        ({"measure": "volume", "limit_mg": 5}, "serving_limit"),
        ({"measure": "volume", "limit_ml": 0}, "serving_limit.limit_ml"),
        ({"measure": "glasses", "limit_ml": 5}, "serving_limit"),
        ({"measure": "volume", "limit_ml": 5, "limit_mg": 5}, "serving_limit"),
        ({"measure": "ethanol", "limit_mg": 5, "window_minutes": 0}, "serving_limit.window_minutes"),
        ({"limit_ml": 5}, "serving_limit"),
    ],
)
async def test_a_limit_that_is_none_is_unreadable(rest: Rest, venue: Venue, limit: dict[str, Any], field: str) -> None:
    problem = refusal(await rest.engineer.patch("/api/venues/bar", json={"serving_limit": limit}), 400, "invalid")

    assert str(problem["field"]).startswith(field)


async def test_a_guest_at_the_limit_is_refused_and_goes_on_after_a_rearm(rest: Rest, venue: Venue) -> None:
    done(await rest.engineer.patch("/api/venues/bar", json={"serving_limit": VOLUME}))
    ann = await venue.guest(balance_minor=2_000_00)
    at, token = f"/api/visits/{ann.visit_id}", {"X-Internal-Token": (await add_device(venue.db, OPERATOR, "bar/taps/left")).secret}
    ask = ("/api/visits/authorize-pour", {"card_uid": ann.card_uid})
    grant = done(await rest.nobody.post(ask[0], json=ask[1], headers=token))
    assert (grant["max_volume_ml"], grant["display"]["allowance_left_ml"]) == (946, 946)
    poured = {"pour_id": grant["pour_id"], "card_uid": ann.card_uid, "volume_ml": 946, "duration_ms": 60_000}
    done(await rest.nobody.post("/api/sync/pours", json={"pours": [poured]}, headers=token))

    refused = await rest.nobody.post(ask[0], json=ask[1], headers=token)
    shown = done(await rest.operator.get(at))
    rearmed = done(await rest.operator.post(at + "/rearm", json={"reason": "she is fine"}, headers=with_key()))

    assert (refused.status_code, refused.json()["detail"]["reason"]) == (403, "serving_limit_reached")
    assert shown["allowance"] == {"measure": "volume", "limit": 946, "used": 946, "left": 0, "resets_at": None}
    assert (rearmed["allowance"]["used"], rearmed["allowance"]["left"]) == (0, 946)
    entry = done(await rest.operator.get("/api/audit", params={"action": "serving_limit_rearmed"}))["items"][0]
    assert entry["details"]["used"] == 946
    assert (entry["details"]["reason"], entry["actor"]) == ("she is fine", "operator")


async def test_what_can_not_be_rearmed_says_why(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest()
    at = f"/api/visits/{ann.visit_id}"

    refusal(await rest.operator.post(at + "/rearm", json={"reason": "why not"}), 409, "no_serving_limit")
    refusal(await rest.operator.post(at + "/rearm", json={}), 400, "invalid")
    done(await rest.operator.post(at + "/close"))
    refusal(await rest.operator.post(at + "/rearm", json={"reason": "late"}), 409, "visit_not_active")
    refusal(await rest.operator.post(at + "/alcohol", json={"allowed": False, "reason": "late"}), 409, "visit_not_active")


async def test_more_patrons_need_a_reason_and_a_second_click_with_others_is_another_visit(rest: Rest, venue: Venue) -> None:
    done(await rest.engineer.patch("/api/venues/bar", json={"serving_limit": VOLUME}))
    ann = await venue.guest()
    done(await rest.operator.post(f"/api/visits/{ann.visit_id}/close"))
    group = {"guest_id": str(ann.guest_id), "card_uid": ann.card_uid, "patrons": 4}

    problem = refusal(await rest.operator.post(OPEN, json=group), 400, "reason_required")
    opened = done(await rest.operator.post(OPEN, json=group | {"reason": "friends came"}), 201)
    again = done(await rest.operator.post(OPEN, json=group | {"reason": "friends came"}), 201)

    assert problem["field"] == "reason"
    assert again == opened
    assert (opened["visit"]["patrons"], opened["visit"]["allowance"]["limit"]) == (4, 4 * 946)
    refusal(await rest.operator.post(OPEN, json=group | {"patrons": 2}), 409, "visit_already_active")
    assert refusal(await rest.operator.post(OPEN, json=group | {"patrons": 21}), 400, "invalid")["field"] == "patrons"


async def test_a_minor_is_let_in_without_alcohol_and_never_gets_any(rest: Rest, venue: Venue) -> None:
    young = (await venue.today()) - timedelta(days=15 * 365)
    tim = await guests.create_guest(venue.db, OPERATOR, first_name="Tim", birth_date=young)
    wanted = {"guest_id": str(tim), "card_uid": "04a1b2c3"}
    refusal(await rest.operator.post(OPEN, json=wanted | {"alcohol_allowed": False}), 409, "guest_underage")
    done(await rest.engineer.patch("/api/venues/bar", json={"minors_allowed": True}))

    refusal(await rest.operator.post(OPEN, json=wanted | {"alcohol_allowed": True}), 409, "guest_underage")
    opened = done(await rest.operator.post(OPEN, json=wanted | {"alcohol_allowed": False}), 201)["visit"]

    assert opened["alcohol_allowed"] is False
    at = f"/api/visits/{opened['visit_id']}/alcohol"
    refusal(await rest.operator.post(at, json={"allowed": True, "reason": "he says so"}), 409, "guest_underage")
    ann = await venue.guest()
    taken = done(await rest.operator.post(f"/api/visits/{ann.visit_id}/alcohol", json={"allowed": False, "reason": "drives"}))
    assert taken["alcohol_allowed"] is False


async def test_a_strength_has_at_most_two_decimals(rest: Rest, venue: Venue) -> None:
    at = f"/api/beverages/{venue.beverage_id}"

    assert refusal(await rest.engineer.patch(at, json={"abv": 4.955}), 400, "invalid")["field"] == "abv"
    assert [done(await rest.engineer.patch(at, json={"abv": abv}))["abv"] for abv in (4.95, 0.07, 100, 0, None)] == [
        4.95,
        0.07,
        100,
        0,
        None,
    ]
