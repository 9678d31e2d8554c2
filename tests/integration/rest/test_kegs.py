"""Kegs over REST: deliveries, and what becomes of a keg that comes off its tap."""

import csv
import io
from typing import Any
from uuid import uuid4

import pytest

from tapwire_core.domain.closed_sets import KegFinish, Role, TapStatus
from tapwire_core.services import kegs, shifts, taps
from tests.rest import Rest, done, refusal, with_key
from tests.venue import KEG_ML, OPERATOR, Venue

ON_TAP = "/api/taps/bar/left/keg"


async def test_a_delivery_of_ten_kegs_is_one_request_that_is_done_once(rest: Rest, venue: Venue) -> None:
    delivery = {
        "beverage_id": str(venue.beverage_id),
        "initial_volume_ml": 30_000,
        "supplier": "Brauhaus",
        "batch": "L 47",
        "cost_minor": 8_900,
        "keg_deposit_minor": 3_000,
        "count": 10,
    }
    key = with_key()

    first = done(await rest.operator.post("/api/kegs", json=delivery, headers=key), 201)
    again = done(await rest.operator.post("/api/kegs", json=delivery, headers=key), 201)

    assert again == first
    assert len({keg["keg_id"] for keg in first["items"]}) == 10
    shown = {name: first["items"][0][name] for name in ("supplier", "batch", "cost_minor", "keg_deposit_minor")}
    assert shown == {name: delivery[name] for name in shown}
    assert {(keg["tapped_at"], keg["finished_at"], keg["finish"]) for keg in first["items"]} == {(None, None, None)}
    assert await venue.audited("keg_created") == 11
    assert await venue.db.pool.fetchval("SELECT count(*) FROM kegs") == 11


async def test_a_delivery_of_one_has_items_and_a_keg_without_count_is_answered_by_itself(rest: Rest, venue: Venue) -> None:
    keg = {"beverage_id": str(venue.beverage_id), "initial_volume_ml": 30_000}

    alone = done(await rest.operator.post("/api/kegs", json=keg), 201)
    of_one = done(await rest.operator.post("/api/kegs", json={**keg, "count": 1}), 201)

    assert alone["cost_minor"] is None
    assert [list(one) for one in of_one["items"]] == [list(alone)]
    for count in (0, 201):
        refusal(await rest.operator.post("/api/kegs", json={**keg, "count": count}), 400, "invalid")
    refusal(await rest.operator.post("/api/kegs", json={**keg, "cost_minor": -1}), 400, "invalid")


async def test_putting_the_next_keg_on_says_what_became_of_the_last_one(rest: Rest, venue: Venue) -> None:
    await kegs.correct_stock(venue.db, OPERATOR, venue.keg_id, KEG_ML - 1_000, "poured elsewhere")
    fresh = await kegs.create_keg(venue.db, OPERATOR, beverage_id=venue.beverage_id, initial_volume_ml=KEG_ML)
    body = {"keg_id": str(fresh), "finish": "kicked", "expected_keg_id": str(venue.keg_id)}

    tap = done(await rest.operator.put(ON_TAP, json=body))
    again = done(await rest.operator.put(ON_TAP, json=body))

    assert (tap["keg_id"], again["keg_id"]) == (str(fresh), str(fresh))
    last = done(await rest.operator.get(f"/api/kegs/{venue.keg_id}"))
    assert (last["finish"], last["status"], last["book_volume_ml"]) == ("kicked", "retired", 0)
    assert last["tapped_at"] is not None
    assert last["finished_at"] is not None
    refusal(await rest.operator.patch(f"/api/kegs/{venue.keg_id}", json={"status": "in_stock"}), 409, "keg_finished")
    (entry,) = done(await rest.operator.get("/api/audit/", params={"action": "keg_taken_off"}))["items"]
    assert entry["details"] == {"finish": "kicked", "reason": None, "left_ml": 1_000}
    assert entry["venue_id"] == "bar"


async def test_taking_a_keg_off_says_why_in_the_query(rest: Rest, venue: Venue) -> None:
    other = {"finish": "returned", "expected_keg_id": str(uuid4())}
    refusal(await rest.operator.delete(ON_TAP, params=other), 409, "changed_meanwhile")
    refusal(await rest.operator.delete(ON_TAP, params={"finish": "drunk"}), 400, "invalid")

    asked = {"finish": "returned", "reason": "wrong delivery", "expected_keg_id": str(venue.keg_id)}
    assert done(await rest.operator.delete(ON_TAP, params=asked))["keg_id"] is None

    refusal(await rest.operator.delete(ON_TAP, params=asked), 409, "no_keg")
    refusal(await rest.operator.delete(ON_TAP), 409, "no_keg")
    kept = done(await rest.operator.get(f"/api/kegs/{venue.keg_id}"))
    assert (kept["finish"], kept["book_volume_ml"]) == ("returned", 0)


@pytest.mark.parametrize("finish", ["kicked", "spoiled"])
async def test_a_keg_that_is_not_low_is_finished_by_a_shift_lead_with_a_reason(rest: Rest, venue: Venue, finish: str) -> None:
    await kegs.correct_stock(venue.db, OPERATOR, venue.keg_id, KEG_ML - 10_000, "poured elsewhere")
    for client, asked in (
        (rest.operator, {"finish": finish, "reason": "foam"}),
        (rest.shift_lead, {"finish": finish}),
    ):
        problem = refusal(await client.delete(ON_TAP, params=asked), 403, "keg_not_low")
        assert problem["left_ml"] == 10_000
    done(await rest.engineer.patch("/api/venues/bar", json={"keg_low_percent": 20}))

    done(await rest.operator.delete(ON_TAP, params={"finish": finish}))

    assert await venue.keg_ml() == 0


async def test_a_shift_lead_finishes_a_full_keg_with_a_reason(rest: Rest, venue: Venue) -> None:
    done(await rest.shift_lead.delete(ON_TAP, params={"finish": "spoiled", "reason": "sour"}))

    shift = done(await rest.operator.get("/api/shifts/current", params={"venue_id": "bar"}))
    totals = done(await rest.shift_lead.get(f"/api/shifts/{shift['shift_id']}/reports/x"))["totals"]
    assert (totals["spoiled_ml"], totals["yield_loss_ml"], totals["returned_ml"]) == (KEG_ML, 0, 0)
    assert totals["flowed_ml"] == KEG_ML


async def test_x_and_z_have_what_finished_kegs_had_left(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=1_000_000)
    await venue.report(await venue.grant(ann), 500)
    shift = done(await rest.operator.get("/api/shifts/current", params={"venue_id": "bar"}))
    for how in ("kicked", "returned"):
        fresh = await kegs.create_keg(venue.db, OPERATOR, beverage_id=venue.beverage_id, initial_volume_ml=20_000)
        body = {"keg_id": str(fresh), "finish": how, "reason": "as seen"}
        done(await rest.shift_lead.put(ON_TAP, json=body))
    await venue.db.pool.execute("UPDATE visits SET status = 'closed', closed_at = now()")
    await shifts.close_shift(venue.db, OPERATOR, "bar")

    z = done(await rest.shift_lead.post(f"/api/shifts/{shift['shift_id']}/reports/z"), 201)

    totals = z["totals"]
    assert (totals["sold_ml"], totals["yield_loss_ml"], totals["returned_ml"]) == (500, KEG_ML - 500, 20_000)
    assert totals["flowed_ml"] == KEG_ML + 20_000
    assert z["by_tap"]["bar/taps/left"]["returned_ml"] == 20_000
    assert z["by_beverage"]["Pils"]["yield_loss_ml"] == KEG_ML - 500


async def test_of_two_operators_who_change_the_same_keg_one_is_refused(rest: Rest, venue: Venue) -> None:
    ours, theirs = [
        await kegs.create_keg(venue.db, OPERATOR, beverage_id=venue.beverage_id, initial_volume_ml=KEG_ML) for _ in range(2)
    ]
    await taps.put_keg(venue.db, OPERATOR, venue.tap.path, theirs, finish=None, role=Role.OPERATOR)

    body = {"keg_id": str(ours), "finish": "returned", "expected_keg_id": str(venue.keg_id)}
    problem = refusal(await rest.operator.put(ON_TAP, json=body), 409, "changed_meanwhile")

    assert problem["keg_id"] == str(theirs)
    assert await venue.keg_ml() == KEG_ML


async def report_of_today(rest: Rest, venue: Venue, **asked: str) -> dict[str, Any]:
    """The keg report of today."""
    day = str(await venue.today())
    found: dict[str, Any] = done(await rest.operator.get("/api/reports/kegs", params={"from": day, "to": day, **asked}))
    return found


async def test_the_keg_report_says_what_a_kicked_keg_gave_cost_and_brought(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=10_000_000)
    fresh = await kegs.create_keg(
        venue.db,
        OPERATOR,
        beverage_id=venue.beverage_id,
        initial_volume_ml=1_000,
        delivery=kegs.Delivery(supplier="Brauhaus", cost_minor=12_000),
    )
    await taps.put_keg(venue.db, OPERATOR, venue.tap.path, fresh)
    await venue.report(await venue.grant(ann), 875)
    await kegs.book_line_cleaning(venue.db, OPERATOR, Role.OPERATOR, fresh, 25, "line")
    await taps.take_keg_off(venue.db, OPERATOR, venue.tap.path, finish=KegFinish.KICKED)

    report = await report_of_today(rest, venue)

    kept, kicked = report["items"]
    assert kicked["keg_id"] == str(fresh)
    volumes = {
        name: kicked[name] for name in ("initial_volume_ml", "book_volume_ml", "sold_ml", "line_cleaning_ml", "yield_loss_ml")
    }
    assert volumes == {
        "initial_volume_ml": 1_000,
        "book_volume_ml": 0,
        "sold_ml": 875,
        "line_cleaning_ml": 25,
        "yield_loss_ml": 100,
    }
    assert (kicked["yield_percent"], kicked["finish"], kicked["supplier"]) == (87.5, "kicked", "Brauhaus")
    assert (kicked["revenue_minor"], kicked["cost_minor"], kicked["margin_minor"]) == (43_750, 12_000, 31_750)
    assert (kept["yield_percent"], kept["finish"], kept["margin_minor"]) == (None, "swapped", None)
    (pils,) = report["beverages"]
    assert (pils["kegs"], pils["finished_kegs"], pils["sold_ml"], pils["yield_percent"]) == (2, 1, 875, 87.5)
    assert (pils["cost_minor"], pils["margin_minor"], pils["revenue_minor"]) == (None, None, 43_750)


async def test_what_left_a_keg_adds_up_in_the_keg_report(rest: Rest, venue: Venue) -> None:
    poor = await venue.guest(balance_minor=1_000)
    await venue.report(await venue.grant(poor), 600, duration_ms=20_000)
    await kegs.correct_stock(venue.db, OPERATOR, venue.keg_id, 70, "recounted")
    rich = await venue.guest(balance_minor=10_000_000)
    await taps.change_tap(venue.db, OPERATOR, venue.tap.path, status=TapStatus.ACTIVE)
    await venue.report(await venue.grant(rich), 300)

    (keg,) = (await report_of_today(rest, venue))["items"]

    assert keg["rejected_ml"] == 600
    gone = sum(value for name, value in keg.items() if name.endswith("_ml") and name not in ("initial_volume_ml", "book_volume_ml"))
    assert gone == keg["initial_volume_ml"] - keg["book_volume_ml"] == 970


async def test_the_keg_report_as_csv_has_a_row_for_each_keg_or_beverage(rest: Rest, venue: Venue) -> None:
    day = str(await venue.today())
    tables = {}
    for by in ("keg", "beverage"):
        asked = {"from": day, "to": day, "by": by}
        answer = await rest.operator.get("/api/reports/kegs", params=asked, headers={"Accept": "text/csv"})
        assert answer.headers["content-type"].startswith("text/csv")
        tables[by] = list(csv.DictReader(io.StringIO(answer.text)))
    (keg,), (beverage,) = tables["keg"], tables["beverage"]
    assert (keg["keg_id"], keg["initial_volume_ml"], keg["yield_percent"], keg["currency"]) == (
        str(venue.keg_id),
        str(KEG_ML),
        "",
        "EUR",
    )
    assert (beverage["beverage"], beverage["kegs"]) == ("Pils", "1")


async def test_a_keg_that_was_finished_before_the_period_is_not_in_its_report(rest: Rest, venue: Venue) -> None:
    await taps.take_keg_off(venue.db, OPERATOR, venue.tap.path, finish=KegFinish.RETURNED)
    await venue.db.pool.execute(
        "UPDATE kegs SET tapped_at = tapped_at - interval '9 days', finished_at = finished_at - interval '8 days'"
    )
    await venue.db.pool.execute("UPDATE kegs SET created_at = created_at - interval '9 days'")

    assert [keg["finish"] for keg in (await report_of_today(rest, venue))["items"]] == ["returned"]  # its stock moved today
    tomorrow = await rest.operator.get("/api/reports/kegs", params={"from": "2024-01-01", "to": "2024-01-02"})
    assert done(tomorrow)["items"] == []


async def test_a_kegs_book_volume_over_time_has_few_points_and_the_last_one(rest: Rest, venue: Venue) -> None:
    await venue.db.pool.execute(
        """INSERT INTO stock_movements (keg_id, kind, volume_ml, venue_id, actor)
           SELECT $1, 'correction', 10, 'bar', 'somebody' FROM generate_series(1, 450)""",
        venue.keg_id,
    )
    await venue.db.pool.execute("UPDATE kegs SET book_volume_ml = book_volume_ml - 4500")

    volumes = done(await rest.operator.get(f"/api/kegs/{venue.keg_id}/volumes"))

    points = [point["book_volume_ml"] for point in volumes["items"]]
    assert 100 < len(points) <= 200
    assert points == sorted(points, reverse=True)
    assert points[-1] == KEG_ML - 4_500
    as_text = await rest.operator.get(f"/api/kegs/{venue.keg_id}/volumes", headers={"Accept": "text/csv"})
    assert as_text.text.splitlines()[0] == "at,book_volume_ml"
    assert len(as_text.text.splitlines()) == len(points) + 1
