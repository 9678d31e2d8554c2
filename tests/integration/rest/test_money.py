"""Money over REST: each booking once, never more than there is, and only while the shift is open."""

import asyncio
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import pytest

from tapwire_core.db.engine import Database
from tapwire_core.domain.shown import Noun
from tapwire_core.services import guests, visits
from tests.rest import Rest, done, form_about, refusal, with_key
from tests.venue import OPERATOR, Guest, Venue


def path(guest: Guest, what: str) -> str:
    """A route of a guest."""
    return f"/api/guests/{guest.guest_id}/{what}"


async def test_a_top_up_repeated_with_one_key_books_once(rest: Rest, venue: Venue) -> None:
    ann, key = await venue.guest(), with_key()
    body = {"amount_minor": 500, "method": "cash"}

    first = await rest.operator.post(path(ann, "top-ups"), json=body, headers=key)
    again = await rest.operator.post(path(ann, "top-ups"), json=body, headers=key)

    assert done(first, 201)["balance_minor"] == 500
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert await venue.balance(ann) == (500, 0)
    await venue.books_balance()


async def test_twenty_copies_of_one_top_up_at_once_book_once_and_answer_alike(rest: Rest, venue: Venue) -> None:
    ann, key = await venue.guest(), with_key()
    body = {"amount_minor": 500, "method": "card"}

    answers = await asyncio.gather(*(rest.operator.post(path(ann, "top-ups"), json=body, headers=key) for _ in range(20)))

    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert await venue.balance(ann) == (500, 0)
    await venue.books_balance()


async def test_a_key_is_of_one_user_one_route_and_one_body(rest: Rest, venue: Venue) -> None:
    ann, bob, key = await venue.guest(), await venue.guest(), with_key()
    body = {"amount_minor": 500, "method": "cash"}
    done(await rest.operator.post(path(ann, "top-ups"), json=body, headers=key), 201)

    other = {**body, "amount_minor": 501}
    refusal(await rest.operator.post(path(ann, "top-ups"), json=other, headers=key), 422, "idempotency_key_reused")
    done(await rest.operator.post(path(bob, "top-ups"), json=body, headers=key), 201)
    done(await rest.shift_lead.post(path(ann, "top-ups"), json=body, headers=key), 201)

    assert await venue.balance(ann) == (1_000, 0)
    assert await venue.balance(bob) == (500, 0)


async def test_a_key_is_of_one_route_however_its_ids_are_spelled(rest: Rest, venue: Venue) -> None:
    ann, key = await venue.guest(), with_key()
    body, usual = {"amount_minor": 500, "method": "cash"}, str(ann.guest_id)

    for spelled in (usual, usual.upper(), usual.replace("-", ""), f"{{{usual}}}", f"urn:uuid:{usual}"):
        done(await rest.operator.post(f"/api/guests/{spelled}/top-ups", json=body, headers=key), 201)

    assert await venue.balance(ann) == (500, 0)
    scopes = await venue.db.pool.fetch("SELECT scope FROM idempotent_answers")
    assert [row["scope"] for row in scopes] == [f"operator POST /api/guests/{usual}/top-ups"]


async def test_a_key_is_of_one_card_however_it_is_written(rest: Rest, venue: Venue) -> None:
    await venue.guest(card_uid="04a1b2c3")
    key = with_key()

    for written in ("04a1b2c3", "04:A1-b2 c3"):
        done(await rest.operator.post(f"/api/cards/{quote(written)}/lost", json={"reason": "gone"}, headers=key))

    assert await venue.audited("card_lost") == 1
    refusal(await rest.operator.post("/api/cards/zz/lost", json={"reason": "gone"}, headers=key), 400, "invalid")


@pytest.mark.parametrize(
    "typed", ["1,000", "1.500", "1e3", "1_000", "1,000.00", "1.000,00", "١٢", "Infinity", "nan", "0x10", "1,0,0", "１２"]
)
async def test_the_consoles_form_books_no_amount_that_it_may_misread(rest: Rest, venue: Venue, typed: str) -> None:
    ann, form = await venue.guest(), {"HX-Request": "true"}
    top_up = f"/visits/{ann.visit_id}/top-up"

    refused = await rest.operator.post(top_up, data={"amount_minor": typed, "method": "cash"}, headers=form)
    assert "Amount: Enter " in refused.text
    assert await venue.balance(ann) == (0, 0)

    sent = {"amount_minor": "1 000,5", "method": "cash", "confirmed": "100050"}
    await rest.operator.post(top_up, data=sent, headers=form)
    assert await venue.balance(ann) == (1_000_50, 0)


@pytest.mark.parametrize("typed", ["1,000", "1.000", "1e3", "1_000", "١٢"])
async def test_the_consoles_form_takes_no_volume_that_it_may_misread(rest: Rest, venue: Venue, typed: str) -> None:
    form = {"HX-Request": "true"}

    async def kegs() -> list[int]:
        return [row["initial_volume_ml"] for row in await venue.db.pool.fetch("SELECT initial_volume_ml FROM kegs ORDER BY 1")]

    (before,) = await kegs()
    new_keg, liters = "/stock/new-keg", {"beverage_id": str(venue.beverage_id), **form_about(Noun.VENUE, "bar")}
    assert 'data-refused="invalid"' in (await rest.operator.post(new_keg, data={**liters, "liters": typed}, headers=form)).text
    cleaning, reason = f"/stock/kegs/{venue.keg_id}/cleaning", {"reason": "line cleaning", **form_about(Noun.KEG, venue.keg_id)}
    assert 'data-refused="invalid"' in (await rest.operator.post(cleaning, data={**reason, "volume_ml": typed}, headers=form)).text
    assert await kegs() == [before]
    assert await venue.keg_ml() == before

    await rest.operator.post(new_keg, data={**liters, "liters": "19,5"}, headers=form)
    assert await kegs() == sorted([before, 19_500])


async def test_an_answer_lost_between_commit_and_sending_is_made_again(rest: Rest, venue: Venue) -> None:
    ann, key = await venue.guest(), with_key()
    body = {"amount_minor": 500, "method": "cash"}
    first = await rest.operator.post(path(ann, "top-ups"), json=body, headers=key)
    result = first.text
    await venue.db.pool.execute("UPDATE idempotent_answers SET done = false, status_code = NULL, answer = $1", result)

    again = await rest.operator.post(path(ann, "top-ups"), json=body, headers=key)

    assert (again.status_code, again.content) == (201, first.content)
    assert await venue.balance(ann) == (500, 0)


async def test_a_key_of_money_books_once_also_after_its_kept_answer_is_forgotten(rest: Rest, venue: Venue) -> None:
    ann, key = await venue.guest(), with_key()
    body = {"amount_minor": 500, "method": "cash"}
    done(await rest.operator.post(path(ann, "top-ups"), json=body, headers=key), 201)
    await venue.db.pool.execute("UPDATE idempotent_answers SET created_at = now() - interval '25 hours'")

    assert done(await rest.operator.post(path(ann, "top-ups"), json=body, headers=key), 201)["balance_minor"] == 500
    assert await venue.balance(ann) == (500, 0)


async def test_a_refused_request_keeps_nothing_so_its_key_may_be_used_again(rest: Rest, venue: Venue) -> None:
    ann, key = await venue.guest(), with_key()
    body = {"amount_minor": 500, "method": "cash", "reason": "she leaves"}
    refusal(await rest.shift_lead.post(path(ann, "refunds"), json=body, headers=key), 409, "insufficient_funds")
    done(await rest.operator.post(path(ann, "top-ups"), json={"amount_minor": 500, "method": "cash"}, headers=with_key()), 201)

    assert done(await rest.shift_lead.post(path(ann, "refunds"), json=body, headers=key), 201)["balance_minor"] == 0


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("top-ups", {"amount_minor": 500, "method": "cash"}),
        ("refunds", {"amount_minor": 500, "method": "cash", "reason": "because"}),
        ("adjustments", {"amount_minor": 500, "reason": "because"}),
    ],
)
async def test_taking_money_without_a_key_is_refused(rest: Rest, venue: Venue, what: str, body: dict[str, Any]) -> None:
    ann = await venue.guest()

    refusal(await rest.engineer.post(path(ann, what), json=body), 400, "idempotency_key_required")
    refusal(await rest.engineer.post(path(ann, what), json=body, headers=with_key("k" * 201)), 400, "invalid")

    assert await venue.balance(ann) == (0, 0)


async def test_an_amount_that_is_none_is_unreadable(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest()

    for amount in (0, -1, 100_000_001, 2**63, 1.5, "5", None):
        body = {"amount_minor": amount, "method": "cash"}
        answer = await rest.operator.post(path(ann, "top-ups"), json=body, headers=with_key())
        assert "amount_minor" in refusal(answer, 400, "invalid")["detail"]

    assert await venue.balance(ann) == (0, 0)


async def test_a_refund_leaves_what_a_running_pour_holds(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)
    body = {"amount_minor": 100_00, "method": "cash", "reason": "she leaves"}

    problem = refusal(await rest.shift_lead.post(path(ann, "refunds"), json=body, headers=with_key()), 409, "insufficient_funds")

    assert (problem["available_minor"], problem["held_minor"]) == (0, 100_00)
    await venue.report(grant, 100)
    assert done(await rest.operator.get(f"/api/guests/{ann.guest_id}"))["available_minor"] == 50_00


async def test_twenty_refunds_at_once_never_take_more_than_there_is(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=10_00)
    body = {"amount_minor": 3_00, "method": "cash", "reason": "she leaves"}

    answers = await asyncio.gather(*(rest.shift_lead.post(path(ann, "refunds"), json=body, headers=with_key()) for _ in range(20)))

    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 17
    assert await venue.balance(ann) == (1_00, 0)
    await venue.books_balance()


async def test_top_ups_and_refunds_at_once_lose_nothing(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    top_up, refund = {"amount_minor": 7, "method": "cash"}, {"amount_minor": 5, "method": "card", "reason": "x"}

    answers = await asyncio.gather(
        *(rest.operator.post(path(ann, "top-ups"), json=top_up, headers=with_key()) for _ in range(20)),
        *(rest.shift_lead.post(path(ann, "refunds"), json=refund, headers=with_key()) for _ in range(20)),
    )

    assert {answer.status_code for answer in answers} == {201}
    assert await venue.balance(ann) == (100_00 + 20 * 7 - 20 * 5, 0)
    await venue.books_balance()


async def test_cash_needs_an_open_shift_and_an_adjustment_does_not(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=5_00)
    await visits.close_visit(venue.db, OPERATOR, ann.visit_id)
    done(await rest.shift_lead.post("/api/shifts/close", json={}))
    cash = {"amount_minor": 1_00, "method": "cash"}

    refusal(await rest.operator.post(path(ann, "top-ups"), json=cash, headers=with_key()), 409, "shift_closed")
    refusal(await rest.shift_lead.post(path(ann, "refunds"), json={**cash, "reason": "x"}, headers=with_key()), 409, "shift_closed")
    adjusted = await rest.shift_lead.post(path(ann, "adjustments"), json={"amount_minor": -2_00, "reason": "x"}, headers=with_key())

    assert done(adjusted, 201)["balance_minor"] == 3_00
    await venue.books_balance()


async def test_an_adjustment_takes_at_most_what_is_available_and_is_about_the_guests_own_pour(rest: Rest, venue: Venue) -> None:
    ann, bob = await venue.guest(balance_minor=100_00), await venue.guest()
    grant = await venue.grant(ann)
    await venue.report(grant, 100)

    async def adjust(guest: Guest, amount_minor: int) -> httpx.Response:
        body = {"amount_minor": amount_minor, "reason": "bad beer", "pour_id": str(grant.pour_id)}
        return await rest.shift_lead.post(path(guest, "adjustments"), json=body, headers=with_key())

    refusal(await adjust(ann, -50_01), 409, "insufficient_funds")
    refusal(await adjust(bob, 1), 409, "not_the_guests_pour")
    assert done(await adjust(ann, 50_00), 201)["balance_minor"] == 100_00
    await venue.books_balance()


async def test_an_adjustment_belongs_to_the_shift_of_the_venue_where_the_guest_is_or_was_last(rest: Rest, venue: Venue) -> None:
    ann, stranger = await venue.guest(), await guests.create_guest(venue.db, OPERATOR, first_name="Sam", age_checked=True)
    pub = await Venue.open(venue.db, "pub")

    async def adjust(guest_id: UUID) -> None:
        body = {"amount_minor": 2_00, "reason": "bad beer"}
        done(await rest.shift_lead.post(f"/api/guests/{guest_id}/adjustments", json=body, headers=with_key()), 201)

    async def adjusted(venue_id: str) -> int:
        shift = done(await rest.operator.get(f"/api/shifts/current?venue_id={venue_id}"))
        report = done(await rest.operator.get(f"/api/shifts/{shift['shift_id']}/reports/x"))
        return int(report["till"]["adjustments_minor"])

    await adjust(stranger)
    assert (await adjusted("bar"), await adjusted("pub")) == (0, 0)
    await adjust(ann.guest_id)
    assert (await adjusted("bar"), await adjusted("pub")) == (2_00, 0)
    await visits.close_visit(venue.db, OPERATOR, ann.visit_id)
    await adjust(ann.guest_id)
    assert (await adjusted("bar"), await adjusted("pub")) == (4_00, 0)
    await visits.open_visit(venue.db, OPERATOR, pub.venue_id, ann.guest_id)
    await adjust(ann.guest_id)
    assert (await adjusted("bar"), await adjusted("pub")) == (4_00, 2_00)


async def test_an_adjustment_while_no_shift_is_open_belongs_to_the_next_shift_of_the_guests_venue(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest()
    await Venue.open(venue.db, "pub")
    await visits.close_visit(venue.db, OPERATOR, ann.visit_id)
    closed = done(await rest.shift_lead.post("/api/shifts/close", json={"venue_id": "bar"}))
    body = {"amount_minor": 2_00, "reason": "bad beer"}
    done(await rest.shift_lead.post(path(ann, "adjustments"), json=body, headers=with_key()), 201)
    done(await rest.shift_lead.post("/api/shifts/open", json={"venue_id": "bar"}), 201)
    following = done(await rest.shift_lead.post("/api/shifts/close", json={"venue_id": "bar"}))

    reports = [done(await rest.shift_lead.post(f"/api/shifts/{shift['shift_id']}/reports/z"), 201) for shift in (closed, following)]

    assert [report["till"]["adjustments_minor"] for report in reports] == [0, 2_00]


async def test_the_ledger_tells_every_movement_and_adds_up_to_the_balance(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    await venue.report(await venue.grant(ann), 100)
    refunded = {"amount_minor": 10_00, "method": "card", "reason": "x"}
    done(await rest.shift_lead.post(path(ann, "refunds"), json=refunded, headers=with_key()), 201)

    entries, cursor = [], ""
    while cursor is not None:
        page = done(await rest.operator.get(path(ann, f"ledger?limit=1&cursor={cursor}" if cursor else "ledger?limit=1")))
        entries += page["items"]
        cursor = page["next_cursor"]

    assert [(entry["kind"], entry["amount_minor"], entry["method"]) for entry in entries] == [
        ("refund", -10_00, "card"),
        ("charge", -50_00, None),
        ("top_up", 100_00, "cash"),
    ]
    assert sum(entry["amount_minor"] for entry in entries) == (await venue.balance(ann))[0]


async def test_an_unknown_guest_is_not_found_and_keeps_no_key(rest: Rest, venue: Venue, db: Database) -> None:
    body, key = {"amount_minor": 500, "method": "cash"}, with_key()

    problem = refusal(await rest.operator.post(f"/api/guests/{uuid4()}/top-ups", json=body, headers=key), 404, "not_found")

    assert problem["noun"] == "guest"
    assert await db.pool.fetchval("SELECT count(*) FROM idempotent_answers") == 0
