"""Check-out and receipt over REST."""

import asyncio
import json
from typing import Any
from uuid import UUID

from tapwire_core.db.engine import Database
from tapwire_core.db.views.event_stream import newest_audit_id, read_audit
from tapwire_core.db.views.webhooks import make_events
from tapwire_core.services import cards, pour_recovery, visits
from tests.integration.rest.check_outs import CASH, KEEP, adds_up, pour
from tests.rest import Rest, done, refusal, with_key
from tests.venue import OPERATOR, Guest, Venue


async def rows_of(db: Database) -> list[tuple[str, str, int]]:
    statement = "SELECT debit_account, credit_account, amount_minor FROM money_movements ORDER BY movement_id"
    return [tuple(row) for row in await db.pool.fetch(statement)]


async def test_a_check_out_pays_out_frees_the_card_and_closes_in_one_request(rest: Rest, venue: Venue, deposits: None) -> None:
    ann = await venue.guest(balance_minor=100_00)
    await pour(venue, ann, 100)
    at = f"/api/visits/{ann.visit_id}"

    receipt = done(await rest.shift_lead.post(at + "/check-out", json=CASH, headers=with_key()))

    assert (receipt["opening_balance_minor"], receipt["poured_minor"], receipt["paid_out_minor"]) == (100_00, 50_00, 50_00)
    assert (receipt["deposit_minor"], receipt["refunds_minor"], receipt["balance_minor"]) == (0, 0, 0)
    assert [(p["beverage"], p["volume_ml"], p["amount_minor"]) for p in receipt["pours"]] == [("Pils", 100, 50_00)]
    assert adds_up(receipt)
    card = done(await rest.operator.get(f"/api/cards/{ann.card_uid}"))
    assert (card["status"], card["guest_id"], card["deposit_minor"]) == ("available", None, 0)
    visit = done(await rest.operator.get(at))
    assert (visit["status"], visit["available_minor"], visit["checked_out_at"] is not None) == ("closed", 0, True)
    assert done(await rest.operator.get(at + "/receipt")) == receipt
    (entry,) = done(await rest.operator.get("/api/audit", params={"action": "visit_checked_out"}))["items"]
    assert (entry["details"]["paid_out_minor"], entry["venue_id"]) == (50_00, "bar")
    bob = await venue.guest(balance_minor=10_00, card_uid=ann.card_uid)
    assert bob.card_uid == ann.card_uid, "the card is free for the next guest"
    await venue.books_balance()


async def test_the_same_again_is_the_same_answer_and_another_body_is_refused(rest: Rest, venue: Venue, deposits: None) -> None:
    ann = await venue.guest(balance_minor=20_00)
    at = f"/api/visits/{ann.visit_id}/check-out"

    both = await asyncio.gather(*(rest.shift_lead.post(at, json=CASH) for _ in range(2)))
    booked = await rows_of(venue.db)
    again = done(await rest.shift_lead.post(at, json=CASH))

    assert [done(answer) for answer in both] == [again, again]
    assert await rows_of(venue.db) == booked
    assert booked[-2:] == [("deposit", "guest", 5_00), ("guest", "cash", 20_00)]
    refusal(await rest.shift_lead.post(at, json=KEEP), 409, "already_checked_out")


async def test_what_is_kept_stays_on_the_account_and_a_card_that_stays_away_forfeits_its_deposit(
    rest: Rest, venue: Venue, deposits: None
) -> None:
    ann = await venue.guest(balance_minor=20_00)
    at = f"/api/visits/{ann.visit_id}/check-out"

    receipt = done(await rest.operator.post(at, json={"payout": None, "card_returned": False}))

    assert (receipt["deposit_minor"], receipt["paid_out_minor"], receipt["balance_minor"]) == (5_00, 0, 15_00)
    assert (await rows_of(venue.db))[-1] == ("deposit", "deposit_forfeited", 5_00)
    card = done(await rest.operator.get(f"/api/cards/{ann.card_uid}"))
    assert (card["status"], card["guest_id"], card["deposit_minor"]) == ("bound", str(ann.guest_id), 0)


async def test_nothing_is_done_while_a_pour_is_pending_or_the_card_can_not_be_returned(
    rest: Rest, venue: Venue, deposits: None
) -> None:
    ann = await venue.guest(balance_minor=100_00)
    at = f"/api/visits/{ann.visit_id}/check-out"
    booked = await rows_of(venue.db)
    grant = await venue.grant(ann)

    pending = refusal(await rest.shift_lead.post(at, json=CASH), 409, "pour_pending")
    await venue.report(grant, 0)
    await cards.report_card_lost(venue.db, OPERATOR, ann.card_uid, "gone")
    refusal(await rest.shift_lead.post(at, json=CASH), 409, "card_not_returnable")
    bare = await venue.guest(balance_minor=5_00)
    await venue.db.pool.execute("UPDATE visits SET card_uid = NULL WHERE visit_id = $1", bare.visit_id)
    refusal(await rest.shift_lead.post(f"/api/visits/{bare.visit_id}/check-out", json=KEEP), 409, "card_not_returnable")

    assert pending["pour_ids"] == [str(grant.pour_id)]
    assert (await rows_of(venue.db))[: len(booked)] == booked
    assert done(await rest.operator.get(f"/api/visits/{ann.visit_id}"))["status"] == "active"
    done(await rest.shift_lead.post(at, json=CASH | {"card_returned": False}))
    assert ("deposit", "deposit_forfeited", 5_00) in await rows_of(venue.db), "a lost card's deposit stays with the house"


async def test_unpaid_beer_is_named_and_a_shift_lead_passes_with_a_reason(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=10_00)
    grant = await venue.grant(ann)
    assert (await venue.report(grant, 500)).outcome == "rejected_insufficient_funds"
    at = f"/api/visits/{ann.visit_id}/check-out"
    despite = KEEP | {"despite_incidents": True, "reason": "will come back to pay"}

    problem = refusal(await rest.operator.post(at, json=KEEP), 409, "incident_open")
    refusal(await rest.operator.post(at, json=despite), 403, "role_required")
    refusal(await rest.shift_lead.post(at, json=KEEP | {"despite_incidents": True}), 400, "reason_required")

    (incident,) = await venue.incidents("rejected_insufficient_funds")
    assert problem["incidents"] == [
        {"incident_id": str(incident["incident_id"]), "kind": "rejected_insufficient_funds", "amount_minor": 250_00}
    ]
    assert problem["amount_minor"] == 250_00
    receipt = done(await rest.shift_lead.post(at, json=despite))
    assert [(p["volume_ml"], p["amount_minor"]) for p in receipt["pours"]] == [(500, 0)]


async def test_a_receipt_is_frozen_when_the_visit_is_closed(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=10_00)
    at, account = f"/api/visits/{ann.visit_id}", f"/api/guests/{ann.guest_id}"
    top_up = {"amount_minor": 30_00, "method": "card"}
    done(await rest.operator.post(account + "/top-ups", json=top_up, headers=with_key()), 201)
    back = {"amount_minor": 5_00, "method": "cash", "reason": "asked for it"}
    done(await rest.shift_lead.post(account + "/refunds", json=back, headers=with_key()), 201)
    await pour(venue, ann, 10)
    live = done(await rest.operator.get(at + "/receipt"))
    done(await rest.operator.post(at + "/close"))

    frozen = done(await rest.operator.get(at + "/receipt"))
    done(await rest.operator.post(account + "/top-ups", json=top_up, headers=with_key()), 201)
    done(await rest.engineer.patch(f"/api/beverages/{venue.beverage_id}", json={"name": "Lager"}))

    assert frozen | {"closed_at": None} == live
    sums = [frozen[f"{name}_minor"] for name in ("opening_balance", "top_ups", "refunds", "poured", "balance")]
    assert sums == [10_00, 30_00, 5_00, 5_00, 30_00]
    assert adds_up(frozen)
    assert done(await rest.operator.get(at + "/receipt")) == frozen, "what comes later is on no receipt of before"
    refusal(await rest.shift_lead.post(at + "/check-out", json=KEEP), 409, "visit_not_active")
    table = (await rest.operator.get(at + "/receipt", headers={"Accept": "text/csv"})).text.splitlines()
    assert table[0].startswith("part,name,volume_ml")
    assert "sum,balance_minor,,,3000,,EUR" in table


async def end_with_shift(venue: Venue, visit_id: UUID) -> None:
    """As `end_visits` closes a visit."""
    await visits.close_visit(venue.db, OPERATOR, visit_id)
    await venue.db.pool.execute(
        "UPDATE visits SET ended_by_shift_id = (SELECT shift_id FROM shifts LIMIT 1) WHERE visit_id = $1", visit_id
    )


async def test_a_visit_that_ended_with_its_shift_is_checked_out_once_while_its_guest_is_away(
    rest: Rest, venue: Venue, deposits: None
) -> None:
    ann = await venue.guest(balance_minor=30_00)
    at = f"/api/visits/{ann.visit_id}/check-out"
    await end_with_shift(venue, ann.visit_id)
    back = await visits.open_visit(venue.db, OPERATOR, "bar", ann.guest_id)

    problem = refusal(await rest.shift_lead.post(at, json=CASH), 409, "visit_already_active")
    await visits.close_visit(venue.db, OPERATOR, back)
    receipt = done(await rest.shift_lead.post(at, json=CASH))

    assert problem["visit_id"] == str(back)
    assert (receipt["paid_out_minor"], receipt["balance_minor"], adds_up(receipt)) == (30_00, 0, True)
    assert done(await rest.shift_lead.post(at, json=CASH)) == receipt
    refusal(await rest.shift_lead.post(at, json=KEEP), 409, "already_checked_out")
    assert await venue.audited("visit_closed") == 2


async def test_a_late_check_out_lists_the_pours_of_what_came_between_as_far_as_the_reader_has_their_venue(
    rest: Rest, venue: Venue
) -> None:
    cafe = await Venue.open(venue.db, "cafe", price_minor=1_000_00)
    ann = await venue.guest(balance_minor=300_00)
    await pour(venue, ann, 10)
    await end_with_shift(venue, ann.visit_id)
    for place, volume_ml in ((venue, 20), (cafe, 30)):
        opened = await visits.open_and_assign_card(venue.db, OPERATOR, place.venue_id, ann.guest_id, ann.card_uid)
        await place.report(await place.grant(ann), volume_ml)
        await visits.close_visit(venue.db, OPERATOR, opened.visit_id)
    at = f"/api/visits/{ann.visit_id}"
    before = done(await rest.operator.get(at + "/receipt"))

    receipt = done(await rest.shift_lead.post(at + "/check-out", json=CASH))

    assert [one["amount_minor"] for one in before["pours"]] == [5_00], "what the guest was told at the close"
    assert [one["amount_minor"] for one in receipt["pours"]] == [5_00, 10_00, 30_00]
    assert (receipt["paid_out_minor"], receipt["balance_minor"], adds_up(receipt)) == (255_00, 0, True)
    done(await rest.engineer.patch("/api/users/operator", json={"venues": ["bar"]}))
    of_bar = done(await rest.operator.get(at + "/receipt"))
    assert [one["amount_minor"] for one in of_bar["pours"]] == [5_00, 10_00]
    assert of_bar | {"pours": receipt["pours"]} == receipt, "of another venue the sums alone"


async def test_an_operator_pays_out_up_to_the_limit_of_the_venue_and_house_credit_stays(
    rest: Rest, venue: Venue, deposits: None
) -> None:
    ann = await venue.guest(balance_minor=20_00)
    at, account = f"/api/visits/{ann.visit_id}/check-out", f"/api/guests/{ann.guest_id}"
    comp = {"amount_minor": 3_00, "reason": "for the wait"}
    done(await rest.shift_lead.post(account + "/comps", json=comp, headers=with_key()), 201)
    done(await rest.engineer.patch("/api/venues/bar", json={"operator_refund_limit_minor": 19_99}))

    problem = refusal(await rest.operator.post(at, json=CASH), 403, "refund_limit")
    done(await rest.engineer.patch("/api/venues/bar", json={"operator_refund_limit_minor": 20_00}))
    receipt = done(await rest.operator.post(at, json=CASH))

    assert problem["limit_minor"] == 19_99
    assert (receipt["paid_out_minor"], receipt["comps_minor"], receipt["balance_minor"]) == (20_00, 3_00, 3_00)
    assert adds_up(receipt)


async def test_a_forfeited_deposit_is_taken_from_house_credit_first(rest: Rest, venue: Venue, deposits: None) -> None:
    ann = await venue.guest(balance_minor=10_00)
    at, account = f"/api/visits/{ann.visit_id}/check-out", f"/api/guests/{ann.guest_id}"
    comp = {"amount_minor": 4_00, "reason": "for the wait"}
    done(await rest.shift_lead.post(account + "/comps", json=comp, headers=with_key()), 201)

    receipt = done(await rest.shift_lead.post(at, json=CASH | {"card_returned": False}))

    assert (receipt["paid_out_minor"], receipt["deposit_minor"], receipt["balance_minor"]) == (9_00, 5_00, 0)
    await venue.books_balance()


async def test_a_receipt_states_the_tax_of_each_rate(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=500_00)
    done(await rest.engineer.patch(f"/api/beverages/{venue.beverage_id}", json={"tax_rate_bp": 1_900}))
    await pour(venue, ann, 119)
    done(await rest.engineer.patch(f"/api/beverages/{venue.beverage_id}", json={"tax_rate_bp": None}))
    await pour(venue, ann, 10)

    receipt = done(await rest.operator.get(f"/api/visits/{ann.visit_id}/receipt"))

    assert receipt["tax"] == [
        {"tax_rate_bp": 1_900, "gross_minor": 59_50, "net_minor": 50_00, "tax_minor": 9_50},
        {"tax_rate_bp": None, "gross_minor": 5_00, "net_minor": None, "tax_minor": None},
    ]


async def test_webhooks_tell_of_visits_deposits_and_the_check_out(rest: Rest, venue: Venue, deposits: None) -> None:
    ann = await venue.guest(balance_minor=20_00)
    bob = await venue.guest(balance_minor=8_00)
    done(await rest.shift_lead.post(f"/api/visits/{ann.visit_id}/check-out", json=CASH | {"reason": "Ann has to go"}))
    gone = KEEP | {"card_returned": False}
    done(await rest.operator.post(f"/api/visits/{bob.visit_id}/check-out", json=gone))
    entries = await read_audit(venue.db, 0, await newest_audit_id(venue.db))
    wanted = {"visit.opened", "visit.closed", "deposit.booked", "refund.booked"}

    told = [json.loads(event.payload) for event in await make_events(venue.db, entries, wanted)]

    def of(guest: Guest, kind: str, *fields: str) -> list[tuple[Any, ...]]:
        events = (event for event in told if event["type"] == kind and event["data"]["guest_id"] == str(guest.guest_id))
        return [(event["venue_id"], *(event["data"][field] for field in fields)) for event in events]

    assert of(ann, "visit.opened", "visit_id", "card_uid", "opened_by") == [("bar", str(ann.visit_id), ann.card_uid, OPERATOR.name)]
    deposit = ("kind", "amount_minor", "balance_minor", "currency")
    assert of(ann, "deposit.booked", *deposit) == [
        ("bar", "deposit_taken", -5_00, 15_00, "EUR"),
        ("bar", "deposit_returned", 5_00, 20_00, "EUR"),
    ]
    assert of(bob, "deposit.booked", *deposit)[1:] == [("bar", "deposit_forfeited", 0, 3_00, "EUR")]
    assert of(ann, "refund.booked", "amount_minor", "balance_minor", "method") == [("bar", -20_00, 0, "cash")]
    closed = ("status", "closed_by", "card_returned", "payout_method", "paid_out_minor", "currency")
    assert of(ann, "visit.closed", *closed) == [("bar", "closed", "shift_lead", True, "cash", 20_00, "EUR")]
    assert of(bob, "visit.closed", *closed) == [("bar", "closed", "operator", False, None, 0, "EUR")]
    assert all(event["data"]["checked_out_at"] for event in told if event["type"] == "visit.closed")
    assert "Ann" not in str(told)


async def test_an_incident_is_resolved_while_its_guest_leaves_and_after(rest: Rest, venue: Venue) -> None:
    """What comes to light when the guest has left is a loss where nothing is left to charge, and no receipt changes."""
    ann = await venue.guest(balance_minor=100_00)
    at = f"/api/visits/{ann.visit_id}"
    late = await venue.grant(ann)
    await pour_recovery.reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=100, reason="no report")
    rejected = await venue.grant(ann)
    assert (await venue.report(rejected, 400)).outcome == "rejected_insufficient_funds"
    (unpaid,) = await venue.incidents("rejected_insufficient_funds")
    written_off = {"resolution": "written_off", "comment": "the valve stuck"}
    resolve = "/api/incidents/{}/resolve"

    leaving, resolved = await asyncio.gather(
        rest.shift_lead.post(at + "/check-out", json=CASH),
        rest.shift_lead.post(resolve.format(unpaid["incident_id"]), json=written_off),
    )
    done(resolved)
    if leaving.status_code != 200:
        refusal(leaving, 409, "incident_open")
    receipt = done(await rest.shift_lead.post(at + "/check-out", json=CASH))
    await venue.report(late, 130)
    (mismatch,) = await venue.incidents("late_mismatch")
    path = resolve.format(mismatch["incident_id"])
    charge = {"resolution": "charged", "comment": "it was more", "amount_minor": 15_00}
    done(await rest.shift_lead.post(path, json=charge))

    assert (receipt["paid_out_minor"], receipt["balance_minor"], adds_up(receipt)) == (50_00, 0, True)
    assert done(await rest.operator.get(at + "/receipt")) == receipt
    assert (await rows_of(venue.db))[-1] == ("overpour_loss", "sales", 15_00), "nothing is left to charge"
    assert await venue.balance(ann) == (0, 0)
    await venue.books_balance()
