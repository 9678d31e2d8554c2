"""Shifts over REST: what keeps one open, and what its reports say."""

import asyncio

import httpx

from tapwire_core.domain.closed_sets import Role
from tapwire_core.services import kegs, visits
from tapwire_core.services.pour_recovery import force_unlock, reconcile_pour
from tests.rest import Rest, done, refusal, with_key
from tests.venue import OPERATOR, Venue


async def close_visits(venue: Venue) -> None:
    """Close all visits."""
    for row in await venue.db.pool.fetch("SELECT visit_id FROM visits WHERE status = 'active'"):
        await visits.close_visit(venue.db, OPERATOR, row["visit_id"])


async def test_closing_names_the_visits_and_pours_that_keep_a_shift_open(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)

    problem = refusal(await rest.shift_lead.post("/api/shifts/close", json={"venue_id": "bar"}), 409, "shift_in_use")

    (visit,), (pour,) = problem["active_visits"], problem["pending_pours"]
    assert (visit["visit_id"], visit["guest_name"], visit["card_uid"]) == (str(ann.visit_id), "Ann", ann.card_uid)
    assert (pour["pour_id"], pour["visit_id"], pour["tap"]) == (str(grant.pour_id), str(ann.visit_id), "bar/taps/left")
    assert (problem["active_visit_count"], problem["pending_pour_count"], problem["listed"]) == (1, 1, 100)
    assert min(visit["age_ms"], pour["age_ms"]) >= 0
    await force_unlock(venue.db, OPERATOR, ann.visit_id, reason="the node is dead")
    await close_visits(venue)
    assert done(await rest.shift_lead.post("/api/shifts/close", json={}))["status"] == "closed"
    refusal(await rest.shift_lead.post("/api/shifts/close", json={}), 409, "shift_closed")
    refusal(await rest.operator.get("/api/shifts/current?venue_id=bar"), 404, "not_found")


async def test_a_venue_has_one_open_shift_however_many_open_it_at_once(rest: Rest, venue: Venue) -> None:
    current = done(await rest.operator.get("/api/shifts/current"))
    problem = refusal(await rest.operator.post("/api/shifts/open", json={}), 409, "shift_already_open")
    assert problem["shift_id"] == current["shift_id"]
    done(await rest.shift_lead.post("/api/shifts/close", json={}))

    answers = await asyncio.gather(*(rest.operator.post("/api/shifts/open", json={}) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5


async def test_closing_a_shift_and_opening_visits_at_once_leave_no_visit_in_a_closed_shift(rest: Rest, venue: Venue) -> None:
    await venue.guest()
    await close_visits(venue)
    rows = await venue.db.pool.fetch("SELECT guest_id FROM guests")
    guest_id = str(rows[0]["guest_id"])

    async def one(number: int) -> httpx.Response:
        if number == 2:
            return await rest.shift_lead.post("/api/shifts/close", json={})
        return await rest.operator.post(
            "/api/visits/open-and-assign-card", json={"guest_id": guest_id, "card_uid": f"04ffff{number:02x}"}
        )

    await asyncio.gather(*(one(number) for number in range(5)))

    left = await venue.db.pool.fetchval(
        "SELECT count(*) FROM visits JOIN shifts USING (shift_id) WHERE visits.status = 'active' AND shifts.status = 'closed'"
    )
    assert left == 0


async def test_a_report_keeps_sold_written_off_rejected_unattributed_and_pending_apart(rest: Rest, venue: Venue) -> None:
    sold, over, rejected, pending = [await venue.guest(balance_minor=100_00) for _ in range(4)]
    await venue.report(await venue.grant(sold), 100)
    await venue.report(await venue.grant(over), 210)
    await venue.report(await venue.grant(rejected), 300)
    await venue.db.pool.execute("UPDATE taps SET status = 'active'")
    await kegs.book_line_cleaning(venue.db, OPERATOR, Role.OPERATOR, venue.keg_id, 40, "Monday")
    await venue.grant(pending)
    refund = {"amount_minor": 20_00, "method": "card", "reason": "x"}
    done(await rest.shift_lead.post(f"/api/guests/{sold.guest_id}/refunds", json=refund, headers=with_key()), 201)

    shift_id = done(await rest.operator.get("/api/shifts/current"))["shift_id"]
    report = done(await rest.operator.get(f"/api/shifts/{shift_id}/reports/x"))

    expected = {
        "flowed_ml": 650,
        "pours": 2,
        "sold_ml": 300,
        "sold_minor": 150_00,
        "written_off_ml": 10,
        "written_off_minor": 5_00,
        "rejected_pours": 1,
        "rejected_ml": 300,
        "unattributed_ml": 0,
        "corrected_ml": 0,
        "line_cleaning_ml": 40,
        "yield_loss_ml": 0,
        "spoiled_ml": 0,
        "returned_ml": 0,
        "pending_pours": 1,
        "pending_max_ml": 200,
        "pending_hold_minor": 100_00,
    }
    assert report["totals"] == expected
    assert report["by_tap"] == {"bar/taps/left": expected}
    assert report["by_beverage"] == {"Pils": expected}
    nothing = {"adjustments_minor": 0, "reversals_minor": 0, "comps_minor": 0}
    assert report["till"] == {"top_ups_minor": 400_00, "refunds_minor": 20_00, **nothing}
    assert report["by_method"]["cash"]["top_ups_minor"] == 400_00
    assert report["by_method"]["card"]["refunds_minor"] == 20_00
    assert report["by_operator"]["shift_lead"]["refunds_minor"] == 20_00


async def test_a_z_report_is_made_once_of_a_closed_shift_and_stays_as_it_was(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)
    shift_id = done(await rest.operator.get("/api/shifts/current"))["shift_id"]
    z_report = f"/api/shifts/{shift_id}/reports/z"
    refusal(await rest.shift_lead.post(z_report), 409, "shift_open")
    await reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=100, reason="seen")
    await close_visits(venue)
    done(await rest.shift_lead.post("/api/shifts/close", json={}))

    made = done(await rest.shift_lead.post(z_report), 201)
    await venue.report(grant, 150)
    refusal(await rest.shift_lead.post(z_report), 409, "z_report_made")

    assert done(await rest.operator.get(z_report)) == made
    assert (made["totals"]["sold_ml"], made["totals"]["corrected_ml"]) == (100, 0)
    after = done(await rest.operator.get(f"/api/shifts/{shift_id}/reports/x"))
    assert after["totals"] == made["totals"]


async def test_what_is_booked_after_a_shift_belongs_to_the_next(rest: Rest, venue: Venue) -> None:
    grant = await venue.grant(await venue.guest(balance_minor=100_00))
    await force_unlock(venue.db, OPERATOR, (await venue.pour(grant.pour_id))["visit_id"], reason="dead")  # type: ignore[arg-type]
    await close_visits(venue)
    first = done(await rest.shift_lead.post("/api/shifts/close", json={}))["shift_id"]

    await venue.report(grant, 150)
    second = done(await rest.operator.post("/api/shifts/open", json={}), 201)["shift_id"]
    await venue.report(grant, 160)

    async def corrected_ml(shift_id: str) -> int:
        return int(done(await rest.operator.get(f"/api/shifts/{shift_id}/reports/x"))["totals"]["corrected_ml"])

    assert (await corrected_ml(first), await corrected_ml(second)) == (0, 160)
