"""Deposits on cards, and visits that end by themselves, over REST."""

from typing import Any
from uuid import UUID

from tapwire_contracts.messages import PourDenied
from tapwire_contracts.reasons import DenyReason
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.services import cards, guests, money, visits
from tapwire_core.services.books import check_books
from tapwire_core.services.devices import add_device
from tests.rest import Rest, done, refusal, with_key
from tests.venue import OPERATOR, Venue

OPEN = "/api/visits/open-and-assign-card"


async def takes_deposits(rest: Rest, deposit_minor: int = 5_00) -> None:
    done(await rest.engineer.patch("/api/venues/bar", json={"card_deposit_minor": deposit_minor}))


async def guest_with(venue: Venue, balance_minor: int) -> UUID:
    guest_id = await guests.create_guest(venue.db, OPERATOR, first_name="Ann", age_checked=True)
    if balance_minor:
        await money.top_up(venue.db, OPERATOR, guest_id, balance_minor, PaymentMethod.CASH, venue.venue_id)
    return guest_id


async def available(rest: Rest, guest_id: UUID) -> int:
    return int(done(await rest.operator.get(f"/api/guests/{guest_id}"))["available_minor"])


async def account_of(venue: Venue, account: str) -> int:
    statement = """SELECT coalesce(sum(CASE $1 WHEN credit_account THEN amount_minor ELSE -amount_minor END), 0)
                   FROM money_movements WHERE $1 IN (debit_account, credit_account)"""
    return int(await venue.db.pool.fetchval(statement, account))


async def test_a_card_takes_its_deposit_when_it_is_bound_and_gives_exactly_that_back(rest: Rest, venue: Venue) -> None:
    await takes_deposits(rest)
    ann = await guest_with(venue, 8_00)
    wanted = {"guest_id": str(ann), "venue_id": "bar", "card_uid": "04a1b2c3"}

    opened = done(await rest.operator.post(OPEN, json=wanted), 201)["visit"]
    again = done(await rest.operator.post(OPEN, json=wanted), 201)["visit"]

    assert (opened["available_minor"], opened["deposit_minor"], again["available_minor"]) == (3_00, 5_00, 3_00)
    card = done(await rest.operator.get("/api/cards/04a1b2c3"))
    assert (card["deposit_minor"], card["deposit_venue_id"]) == (5_00, "bar")
    await takes_deposits(rest, 9_00)
    done(await rest.operator.post(f"/api/visits/{opened['visit_id']}/close"))
    assert await available(rest, ann) == 3_00, "closing a visit moves nothing"
    await venue.books_balance()
    done(await rest.operator.delete(f"/api/guests/{ann}/cards/04a1b2c3"), 204)
    assert await available(rest, ann) == 8_00
    kinds = [entry["kind"] for entry in done(await rest.operator.get(f"/api/guests/{ann}/ledger"))["items"]]
    assert kinds == ["deposit_returned", "deposit_taken", "top_up"]
    taken = done(await rest.operator.get("/api/audit", params={"action": "deposit_taken"}))["items"]
    assert [(entry["details"]["amount_minor"], entry["venue_id"]) for entry in taken] == [(-5_00, "bar")]
    await venue.books_balance()


async def test_a_deposit_that_is_not_covered_binds_nothing(rest: Rest, venue: Venue) -> None:
    await takes_deposits(rest)
    ann = await guest_with(venue, 4_99)
    wanted = {"guest_id": str(ann), "venue_id": "bar", "card_uid": "04a1b2c3"}

    problem = refusal(await rest.operator.post(OPEN, json=wanted), 409, "insufficient_funds")
    refusal(await rest.operator.post(f"/api/guests/{ann}/cards", json={"card_uid": "04a1b2c3"}), 409, "insufficient_funds")
    visit_id = await visits.open_visit(venue.db, OPERATOR, "bar", ann)
    assigning = await rest.operator.post(f"/api/visits/{visit_id}/assign-card", json={"card_uid": "04a1b2c3"})
    refusal(assigning, 409, "insufficient_funds")

    assert (problem["deposit_minor"], problem["available_minor"]) == (5_00, 4_99)
    refusal(await rest.operator.get("/api/cards/04a1b2c3"), 404, "not_found")
    assert await account_of(venue, "deposit") == 0
    await venue.books_balance()


async def test_a_lost_card_forfeits_its_deposit_when_its_replacement_is_issued(rest: Rest, venue: Venue) -> None:
    await takes_deposits(rest)
    ann = await guest_with(venue, 20_00)
    opened = await visits.open_and_assign_card(venue.db, OPERATOR, "bar", ann, "04a1b2c3")

    await cards.report_card_lost(venue.db, OPERATOR, "04a1b2c3", "gone")
    await cards.restore_card(venue.db, OPERATOR, "04a1b2c3", "found")
    await cards.report_card_lost(venue.db, OPERATOR, "04a1b2c3", "gone again")
    assert await account_of(venue, "deposit") == 5_00, "losing and restoring move nothing"
    done(await rest.operator.post(f"/api/visits/{opened.visit_id}/assign-card", json={"card_uid": "04a1b2c4"}))

    assert await available(rest, ann) == 10_00
    assert (await account_of(venue, "deposit"), await account_of(venue, "deposit_forfeited")) == (5_00, 5_00)
    await venue.books_balance()
    done(await rest.operator.post("/api/cards/04a1b2c3/retire", json={"reason": "gone for good"}))
    assert await account_of(venue, "deposit_forfeited") == 5_00


async def test_retiring_gives_a_bound_cards_deposit_back_and_keeps_a_lost_ones(rest: Rest, venue: Venue) -> None:
    await takes_deposits(rest)
    ann, bob = await guest_with(venue, 5_00), await guest_with(venue, 5_00)
    done(await rest.operator.post(f"/api/guests/{ann}/cards", json={"card_uid": "04a1b2c3"}), 201)
    done(await rest.operator.post(f"/api/guests/{bob}/cards", json={"card_uid": "04a1b2c4"}, headers=with_key()), 201)
    done(await rest.operator.post("/api/cards/04a1b2c4/lost", json={"reason": "gone"}))

    for card in ("04a1b2c3", "04a1b2c4"):
        done(await rest.operator.post(f"/api/cards/{card}/retire", json={"reason": "bent"}))

    assert (await available(rest, ann), await available(rest, bob)) == (5_00, 0)
    assert (await account_of(venue, "deposit"), await account_of(venue, "deposit_forfeited")) == (0, 5_00)
    await venue.books_balance()


async def test_the_check_of_the_books_finds_a_card_that_keeps_another_deposit_than_was_taken(rest: Rest, venue: Venue) -> None:
    await takes_deposits(rest)
    ann = await guest_with(venue, 20_00)
    done(await rest.operator.post(f"/api/guests/{ann}/cards", json={"card_uid": "04a1b2c3"}), 201)

    await venue.db.pool.execute("UPDATE cards SET deposit_minor = 400")

    (found,) = await check_books(venue.db)
    await venue.db.pool.execute("UPDATE cards SET deposit_minor = 500")
    assert (found.rule, found.expected, found.found) == ("deposit account = deposits of cards", "400", "500")


async def test_with_several_venues_a_card_takes_the_deposit_of_its_guests_visit_or_of_the_named_one(
    rest: Rest, venue: Venue
) -> None:
    await takes_deposits(rest)
    made = {"venue_id": "pub", "name": "Pub", "time_zone": "Europe/Berlin", "card_deposit_minor": 2_00}
    done(await rest.engineer.post("/api/venues", json=made), 201)
    ann = await guest_with(venue, 20_00)
    at = f"/api/guests/{ann}/cards"

    refusal(await rest.operator.post(at, json={"card_uid": "04a1b2c3"}), 400, "venue_required")
    done(await rest.operator.post(at, json={"card_uid": "04a1b2c3", "venue_id": "pub"}), 201)
    await visits.open_visit(venue.db, OPERATOR, "bar", ann)
    done(await rest.operator.post(at, json={"card_uid": "04a1b2c4"}), 201)

    assert await available(rest, ann) == 13_00
    await venue.books_balance()


def cards_of(denied: Any) -> tuple[int, str]:
    return denied.status_code, denied.json()["detail"]["reason"]


async def test_a_visit_that_has_ended_by_its_hours_pours_on_and_is_extended(rest: Rest, venue: Venue) -> None:
    before = await venue.guest(balance_minor=500_00)
    done(await rest.engineer.patch("/api/venues/bar", json={"visit_hours": 3}))
    ann = await venue.guest(balance_minor=500_00)
    at = f"/api/visits/{ann.visit_id}"
    token = {"X-Internal-Token": (await add_device(venue.db, OPERATOR, "bar/taps/left")).secret}
    grant = await venue.grant(ann)

    await venue.db.pool.execute("UPDATE visits SET valid_until = now() WHERE visit_id = $1", ann.visit_id)

    assert (await venue.report(grant, 100)).outcome == "pending_updated_to_synced", "a running pour goes on"
    refused = await venue.ask(venue.tap.question(ann.card_uid))
    assert isinstance(refused, PourDenied)
    assert (refused.reason, refused.display.guest_first_name) == (DenyReason.VISIT_EXPIRED, None)
    asked = {"card_uid": ann.card_uid, "tap_id": "left"}
    assert cards_of(await rest.nobody.post("/api/visits/authorize-pour", json=asked, headers=token)) == (403, "visit_expired")
    refusal(await rest.operator.post(at + "/extend", json={"hours": 25}), 400, "invalid")
    extended = done(await rest.operator.post(at + "/extend", json={"hours": 2}))
    assert extended["valid_until"] is not None
    await venue.grant(ann)
    (entry,) = done(await rest.operator.get("/api/audit", params={"action": "visit_extended"}))["items"]
    assert (entry["details"]["hours"], entry["venue_id"]) == (2, "bar")
    of_before = done(await rest.operator.post(f"/api/visits/{before.visit_id}/extend", json={"hours": 2}))
    assert of_before["valid_until"] is None, "a visit without an end has none"
    done(await rest.operator.post(f"/api/visits/{before.visit_id}/close"))
    refusal(await rest.operator.post(f"/api/visits/{before.visit_id}/extend", json={"hours": 2}), 409, "visit_not_active")
