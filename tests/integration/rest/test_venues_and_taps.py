"""Venues, taps, kegs and beverages over REST: what an operator sets, and what the taps are told."""

import asyncio
from uuid import UUID

from msgspec.structs import replace

from tapwire_contracts.reasons import Presence
from tapwire_core.db.engine import Database
from tapwire_core.domain.shown import Noun
from tapwire_core.services import kegs
from tapwire_core.services.nodes import note_state
from tests.rest import Rest, done, form_about, refusal, with_key
from tests.venue import KEG_ML, OPERATOR, PRICE_MINOR, Venue

TAP = "/api/taps/bar/left"


async def configs_sent(db: Database, tap: str = "bar/taps/left") -> int:
    """Take a tap's waiting configs out, and return their number."""
    gone = await db.pool.fetch("DELETE FROM command_outbox WHERE tap_path = $1 AND payload IS NULL RETURNING 1", tap)
    return len(gone)


async def another_keg(venue: Venue) -> UUID:
    """One more full keg of the same beverage."""
    return await kegs.create_keg(
        venue.db, OPERATOR, venue_id=venue.venue_id, beverage_id=venue.beverage_id, initial_volume_ml=KEG_ML
    )


async def test_a_venue_from_nothing_to_a_tap_that_may_pour(rest: Rest) -> None:
    done(await rest.engineer.post("/api/venues", json={"venue_id": "bar", "name": "Bar", "time_zone": "Europe/Berlin"}), 201)
    tap = done(await rest.engineer.post("/api/taps", json={"venue_id": "bar", "tap_id": "left", "name": "Left"}), 201)
    beverage = done(await rest.engineer.post("/api/beverages", json={"name": "Pils", "sell_price_per_liter_minor": 50000}), 201)
    new_keg = {"venue_id": "bar", "beverage_id": beverage["beverage_id"], "initial_volume_ml": 30000}
    keg = done(await rest.operator.post("/api/kegs", json=new_keg), 201)
    on_tap = done(await rest.operator.put(TAP + "/keg", json={"keg_id": keg["keg_id"]}))

    assert (tap["status"], on_tap["status"]) == ("empty", "active")
    assert (on_tap["keg_id"], on_tap["sell_price_per_liter_minor"], on_tap["currency"]) == (keg["keg_id"], 50000, "EUR")
    refusal(await rest.engineer.post("/api/taps", json={"venue_id": "bar", "tap_id": "left", "name": "Left"}), 409, "tap_exists")
    refusal(await rest.engineer.post("/api/taps", json={"venue_id": "pub", "tap_id": "left", "name": "Left"}), 404, "not_found")


async def test_the_venue_may_be_left_out_only_where_there_is_one(rest: Rest, venue: Venue) -> None:
    done(await rest.engineer.post("/api/taps", json={"tap_id": "one", "name": "One"}), 201)
    done(await rest.engineer.post("/api/venues", json={"venue_id": "pub", "name": "Pub", "time_zone": "UTC"}), 201)

    refusal(await rest.engineer.post("/api/taps", json={"tap_id": "two", "name": "Two"}), 400, "venue_required")


async def test_a_time_zone_that_does_not_exist_is_refused(rest: Rest, venue: Venue) -> None:
    refusal(await rest.engineer.patch("/api/venues/bar", json={"time_zone": "Europe/Nowhere"}), 400, "invalid")
    assert done(await rest.engineer.patch("/api/venues/bar", json={"legal_age": 16}))["legal_age"] == 16


async def test_every_change_that_a_tap_must_know_is_published_to_it(rest: Rest, venue: Venue, db: Database) -> None:
    keg_id = await another_keg(venue)
    await configs_sent(db)
    changes = [
        rest.engineer.patch(TAP, json={"max_pour_ml": 500}),
        rest.operator.patch(TAP, json={"status": "cleaning", "reason": "Monday"}),
        rest.operator.put(TAP + "/keg", json={"keg_id": str(keg_id)}),
        rest.engineer.patch(f"/api/beverages/{venue.beverage_id}", json={"sell_price_per_liter_minor": 60000}),
        rest.operator.delete(TAP + "/keg"),
        rest.operator.post("/api/venues/bar/emergency-stop", json={"on": True, "reason": "fire"}),
        rest.operator.post("/api/venues/bar/emergency-stop", json={"on": False, "reason": "no fire"}),
    ]

    for change in changes:
        before = done(await rest.operator.get(TAP))["config_revision"]
        done(await change)
        assert await configs_sent(db) == 1
        assert done(await rest.operator.get(TAP))["config_revision"] == before + 1


async def test_an_emergency_stop_names_the_taps_that_have_not_confirmed_it(rest: Rest, venue: Venue) -> None:
    other = await venue.another_tap("right")
    assert await note_state(venue.db, other.path, other.state())
    stop = "/api/venues/bar/emergency-stop"

    async def confirm() -> None:
        while not await venue.db.pool.fetchval("SELECT emergency_stop FROM venues"):
            await asyncio.sleep(0.01)
        revision = await venue.db.pool.fetchval("SELECT config_revision FROM taps WHERE tap_id = 'right'")
        assert await note_state(venue.db, other.path, replace(other.state(), config_revision=revision))

    answer, _ = await asyncio.gather(rest.operator.post(stop, json={"on": True, "reason": "fire"}), confirm())

    assert done(answer)["taps_not_confirmed"] == [{"tap": "bar/taps/left", "node_status": None}]
    shown = {tap["tap_id"]: tap["status"] for tap in done(await rest.operator.get("/api/taps"))["items"]}
    assert shown == {"left": "emergency_stop", "right": "emergency_stop"}
    gone = replace(other.state(), status=Presence.OFFLINE)
    assert await note_state(venue.db, other.path, gone)
    released = done(await rest.operator.post(stop, json={"on": False, "reason": "no fire"}))
    assert [tap["tap"] for tap in released["taps_not_confirmed"]] == ["bar/taps/left", "bar/taps/right"]


async def test_a_new_price_is_for_new_pours(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)
    path = f"/api/beverages/{venue.beverage_id}"

    done(await rest.engineer.patch(path, json={"sell_price_per_liter_minor": 1000_00}))

    await venue.report(grant, 100)
    assert await venue.balance(ann) == (50_00, 0)
    assert (await venue.grant(ann)).max_volume_ml == 50
    refusal(await rest.engineer.patch(path, json={"sell_price_per_liter_minor": 0}), 400, "invalid")


async def test_a_tap_shows_what_a_guest_would_meet(rest: Rest, venue: Venue) -> None:
    async def status() -> str:
        return str(done(await rest.operator.get(TAP))["status"])

    ann = await venue.guest(balance_minor=100_00)
    assert await status() == "active"
    grant = await venue.grant(ann)
    assert await status() == "processing_sync"
    done(await rest.operator.patch(TAP, json={"status": "locked"}))
    assert await status() == "locked"
    done(await rest.operator.patch(TAP, json={"status": "active"}))
    await venue.report(grant, 100)
    done(await rest.operator.delete(TAP + "/keg"))
    assert await status() == "empty"


async def test_stopping_a_tap_stops_its_pour_which_settles_as_reported(rest: Rest, venue: Venue) -> None:
    grant = await venue.grant(await venue.guest(balance_minor=100_00))

    stopped = done(await rest.operator.post(TAP + "/stop", json={"reason": "spilling"}))

    assert stopped == {"pour_id": str(grant.pour_id)}
    assert (await venue.report(grant, 100)).outcome == "pending_updated_to_synced"
    assert done(await rest.operator.post(TAP + "/stop", json={"reason": "again"})) == {"pour_id": None}


async def test_kegs_are_suggested_first_in_first_out_and_keep_their_volume(rest: Rest, venue: Venue) -> None:
    suggest = f"/api/kegs/suggest?venue_id=bar&beverage_id={venue.beverage_id}"
    refusal(await rest.operator.get(suggest), 404, "not_found")
    second, third = await another_keg(venue), await another_keg(venue)
    await venue.report(await venue.grant(await venue.guest(balance_minor=500_00)), 400)

    assert done(await rest.operator.get(suggest))["keg_id"] == str(second)
    done(await rest.operator.put(TAP + "/keg", json={"keg_id": str(second)}))
    partly_used = done(await rest.operator.get(suggest))
    assert (partly_used["keg_id"], partly_used["book_volume_ml"]) == (str(venue.keg_id), KEG_ML - 400)
    done(await rest.operator.patch(f"/api/kegs/{venue.keg_id}", json={"status": "retired"}))
    assert done(await rest.operator.get(suggest))["keg_id"] == str(third)


async def test_a_keg_hangs_on_one_tap_only(rest: Rest, venue: Venue) -> None:
    await venue.another_tap("right")
    third = await another_keg(venue)

    problem = refusal(
        await rest.operator.put("/api/taps/bar/right/keg", json={"keg_id": str(venue.keg_id)}), 409, "keg_on_other_tap"
    )
    assert problem["tap"] == "bar/taps/left"
    refusal(await rest.operator.patch(f"/api/kegs/{venue.keg_id}", json={"status": "retired"}), 409, "keg_on_tap")
    paths = ["/api/taps/bar/left/keg", "/api/taps/bar/right/keg"]
    answers = await asyncio.gather(*(rest.operator.put(path, json={"keg_id": str(third)}) for path in paths * 3))

    assert {answer.status_code for answer in answers} == {200, 409}
    assert await venue.db.pool.fetchval("SELECT count(*) FROM taps WHERE keg_id = $1", third) == 1


async def test_operators_who_book_line_cleaning_at_once_stay_within_their_day(rest: Rest, venue: Venue) -> None:
    path = f"/api/kegs/{venue.keg_id}/stock"
    cleaning = {"kind": "line_cleaning", "volume_ml": 600, "reason": "Monday"}
    keys = [with_key() for _ in range(6)]

    answers = await asyncio.gather(*(rest.operator.post(path, json=cleaning, headers=key) for key in keys))

    assert sorted(answer.status_code for answer in answers) == [201, 201, 201, 403, 403, 403]
    booked = next(key for key, answer in zip(keys, answers, strict=True) if answer.is_success)
    assert (await rest.operator.post(path, json=cleaning, headers=booked)).status_code == 201
    assert done(await rest.operator.get(f"/api/kegs/{venue.keg_id}"))["book_volume_ml"] == KEG_ML - 1_800


async def test_stock_is_booked_out_of_a_keg_by_kind_and_role(rest: Rest, venue: Venue) -> None:
    path = f"/api/kegs/{venue.keg_id}/stock"
    cleaning = {"kind": "line_cleaning", "volume_ml": 500, "reason": "Monday"}
    correction = {"kind": "correction", "volume_ml": KEG_ML, "reason": "counted"}

    assert done(await rest.operator.post(path, json=cleaning), 201)["book_volume_ml"] == KEG_ML - 500
    refusal(await rest.operator.post(path, json={**cleaning, "volume_ml": -1}), 400, "invalid")
    refusal(await rest.operator.post(path, json={**cleaning, "volume_ml": 1_501}), 403, "role_required")
    form = {"volume_ml": "29000", "reason": "Monday", **form_about(Noun.KEG, venue.keg_id)}
    assert (await rest.operator.post(f"/stock/kegs/{venue.keg_id}/cleaning", data=form)).status_code == 403
    refusal(await rest.operator.post(path, json=correction), 403, "role_required")
    assert done(await rest.shift_lead.post(path, json=correction), 201)["book_volume_ml"] == -500
    assert len(await venue.incidents("keg_overdrawn")) == 1
    assert done(await rest.shift_lead.post(path, json={**correction, "volume_ml": -1_000}), 201)["book_volume_ml"] == 500
    await venue.books_balance()


async def test_a_beverage_is_archived_only_when_no_tap_carries_it(rest: Rest, venue: Venue) -> None:
    path = f"/api/beverages/{venue.beverage_id}"
    keg = {"beverage_id": str(venue.beverage_id), "initial_volume_ml": 1000}

    price_too = {"archived": True, "sell_price_per_liter_minor": 1}
    assert refusal(await rest.engineer.patch(path, json=price_too), 409, "beverage_on_tap")["taps"] == ["bar/taps/left"]
    (beverage,) = done(await rest.operator.get("/api/beverages"))["items"]
    assert beverage["sell_price_per_liter_minor"] == PRICE_MINOR, "a refused change changes nothing"
    done(await rest.operator.delete(TAP + "/keg"))
    assert done(await rest.engineer.patch(path, json={"archived": True}))["archived_at"] is not None
    refusal(await rest.operator.post("/api/kegs", json=keg), 409, "beverage_archived")
    assert done(await rest.operator.get("/api/beverages"))["items"] == []
    assert len(done(await rest.operator.get("/api/beverages?archived=true"))["items"]) == 1


async def test_the_reason_of_a_status_is_kept_with_the_tap(rest: Rest, venue: Venue) -> None:
    tap = done(await rest.operator.patch(TAP, json={"status": "cleaning", "reason": "Monday"}))

    assert (tap["status"], tap["status_reason"]) == ("cleaning", "Monday")
