"""Check-outs in the middle of everything: whole ones, receipts that add up, and books that balance."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import httpx
import pytest

from tapwire_contracts.messages import PourAuthorized
from tapwire_core.services import shifts
from tests.integration.rest.check_outs import CASH, KEEP, adds_up, pour
from tests.rest import Rest, done, with_key
from tests.venue import OPERATOR, Guest, Venue


@pytest.mark.parametrize("seed", range(3))
async def test_a_check_out_against_all_that_may_come_at_once_leaves_one_of_them_first(
    rest: Rest, venue: Venue, deposits: None, seed: int
) -> None:
    ann = await venue.guest(balance_minor=100_00)
    at, account = f"/api/visits/{ann.visit_id}", f"/api/guests/{ann.guest_id}"
    top_up, back = {"amount_minor": 7_00, "method": "card"}, {"amount_minor": 3_00, "method": "cash", "reason": "asked for it"}
    question = venue.tap.question(ann.card_uid)
    calls: list[Callable[[], Coroutine[Any, Any, httpx.Response]]] = [
        lambda: rest.shift_lead.post(at + "/check-out", json=CASH),
        lambda: rest.shift_lead.post(at + "/check-out", json=KEEP),
        lambda: rest.operator.post(account + "/top-ups", json=top_up, headers=with_key()),
        lambda: rest.shift_lead.post(account + "/refunds", json=back, headers=with_key()),
        lambda: rest.shift_lead.post("/api/shifts/close", json={}),
        lambda: rest.operator.post(f"/api/cards/{ann.card_uid}/lost", json={"reason": "gone"}),
    ]
    random.Random(seed).shuffle(calls)

    answer, answers = await asyncio.gather(venue.ask(question), asyncio.gather(*(call() for call in calls)))

    assert all(answer.status_code in (200, 201, 409) for answer in answers), [answer.text for answer in answers]
    await venue.books_balance()
    if isinstance(answer, PourAuthorized):
        await venue.report(answer, 10)
    receipt = done(await rest.operator.get(at + "/receipt"))
    assert adds_up(receipt)
    done_of = [a for a in answers if a.request.url.path.endswith("check-out") and a.status_code == 200]
    assert len(done_of) <= 1, "one of two different check-outs"
    await venue.books_balance()


@pytest.mark.parametrize("seed", range(2))
async def test_a_storm_at_the_counter_leaves_whole_check_outs_and_books_that_balance(rest: Rest, venue: Venue, seed: int) -> None:
    """Money, cards, visits, drawer and shift at once, two nights of it, for three guests whose cards bear deposits."""
    chance = random.Random(seed)
    await shifts.close_shift(venue.db, OPERATOR, "bar")
    done(await rest.engineer.patch("/api/venues/bar", json={"card_deposit_minor": 5_00, "count_cash": True}))
    shift_id = done(await rest.operator.post("/api/shifts/open", json={"float_minor": 20_00}), 201)["shift_id"]
    inside = [await venue.guest(balance_minor=60_00) for _ in range(3)]
    lead, counted = rest.shift_lead, [60_00, 200_00]
    calls: list[Callable[[], Coroutine[Any, Any, httpx.Response]]] = [
        lambda: lead.post("/api/shifts/close", json={"end_visits": True, "counted_minor": counted.pop()}),
        lambda: lead.post(f"/api/shifts/{shift_id}/count", json={"counted_minor": 190_00, "reason": "again"}),
        lambda: rest.operator.post("/api/shifts/open", json={"float_minor": 10_00}),
    ]
    for kind in ("pay_in", "pay_out", "drop"):
        cash = {"kind": kind, "amount_minor": 7_00, "reason": "ice"}
        calls.append(partial(lead.post, f"/api/shifts/{shift_id}/cash", json=cash, headers=with_key()))
    for ann in inside:
        at, account, card = f"/api/visits/{ann.visit_id}", f"/api/guests/{ann.guest_id}", f"/api/cards/{ann.card_uid}"
        top_up = {"amount_minor": 9_00, "method": "cash"}
        booked = done(await rest.operator.post(account + "/top-ups", json=top_up, headers=with_key()), 201)["movement_id"]
        body = {"amount_minor": 3_00, "reason": "any"}
        comes_back = {"venue_id": "bar", "guest_id": str(ann.guest_id), "card_uid": ann.card_uid}
        key = with_key()
        calls += [
            *[partial(lead.post, at + "/check-out", json=CASH, headers=key) for _ in range(2)],
            partial(lead.post, at + "/check-out", json=KEEP | {"card_returned": False}),
            partial(rest.operator.post, f"{account}/top-ups/{booked}/reverse", json={"reason": "any"}),
            partial(rest.operator.post, account + "/top-ups", json=top_up, headers=with_key()),
            partial(lead.post, account + "/refunds", json=body | {"method": "cash"}, headers=with_key()),
            partial(lead.post, account + "/comps", json=body, headers=with_key()),
            partial(lead.post, account + "/adjustments", json=body | {"amount_minor": -2_00}, headers=with_key()),
            partial(rest.operator.post, at + "/close"),
            partial(rest.operator.delete, f"{account}/cards/{ann.card_uid}"),
            partial(rest.operator.post, card + "/lost", json={"reason": "any"}),
            partial(rest.operator.post, account + "/cards", json={"card_uid": f"04c{seed}{ann.card_uid[-4:]}"}),
            partial(lead.post, card + "/retire", json={"reason": "any"}),
            partial(rest.operator.post, "/api/visits/open-and-assign-card", json=comes_back),
        ]
    chance.shuffle(calls)
    answers: list[httpx.Response] = []

    async def pours(ann: Guest) -> None:
        answer = await venue.ask(venue.tap.question(ann.card_uid))
        if isinstance(answer, PourAuthorized):
            await venue.report(answer, 5)

    async def drink() -> None:
        for ann in inside:
            await pours(ann)

    async def staff(mine: list[Callable[[], Coroutine[Any, Any, httpx.Response]]]) -> None:
        answers.extend([await call() for call in mine])

    await asyncio.gather(drink(), *(staff(calls[number::6]) for number in range(6)))

    unexpected = [a.text for a in answers if a.status_code not in (200, 201, 204, 404, 409) and a.json()["code"] != "busy"]
    assert unexpected == []
    await venue.books_balance()
    left = [a for a in answers if a.request.url.path.endswith("check-out") and a.status_code == 200]
    for ann in inside:
        of_ann = [done(a) for a in left if str(ann.visit_id) in a.request.url.path]
        receipt = done(await rest.operator.get(f"/api/visits/{ann.visit_id}/receipt"))
        assert adds_up(receipt)
        assert of_ann == [receipt] * len(of_ann), "of different check-outs one, and the same again the same"
    paid_minor = await venue.db.pool.fetchval("SELECT coalesce(sum(paid_out_minor), 0) FROM check_outs")
    assert paid_minor == sum({a.request.url.path: done(a)["paid_out_minor"] for a in left}.values())


@pytest.mark.parametrize("seed", range(2))
async def test_any_night_adds_up_to_the_minor_unit(rest: Rest, venue: Venue, deposits: None, seed: int) -> None:
    chance = random.Random(seed)
    ann = await venue.guest(balance_minor=300_00)
    at, account = f"/api/visits/{ann.visit_id}", f"/api/guests/{ann.guest_id}"
    for _ in range(12):
        amount_minor = chance.randint(1, 9_99)
        body = {"amount_minor": amount_minor, "reason": "any"}
        match chance.choice(["top-up", "refund", "comp", "up", "down", "pour", "rate", "card"]):
            case "top-up":
                body = {"amount_minor": amount_minor, "method": chance.choice(["cash", "card"])}
                await rest.operator.post(account + "/top-ups", json=body, headers=with_key())
            case "refund":
                await rest.shift_lead.post(account + "/refunds", json=body | {"method": "cash"}, headers=with_key())
            case "comp":
                await rest.shift_lead.post(account + "/comps", json=body, headers=with_key())
            case "up" | "down" as way:
                sign = 1 if way == "up" else -1
                adjusted = body | {"amount_minor": sign * amount_minor}
                await rest.shift_lead.post(account + "/adjustments", json=adjusted, headers=with_key())
            case "pour":
                await pour(venue, ann, chance.randint(1, 60))
            case "rate":
                rate = {"tax_rate_bp": chance.choice([0, 700, 1_900, None])}
                await rest.engineer.patch(f"/api/beverages/{venue.beverage_id}", json=rate)
            case "card":
                uid = f"04b{seed}{chance.randint(0, 0xFFFF):04x}"
                await rest.operator.post(account + "/cards", json={"card_uid": uid})
    balance_minor, _ = await venue.balance(ann)

    live = done(await rest.operator.get(at + "/receipt"))
    receipt = done(await rest.shift_lead.post(at + "/check-out", json=CASH))

    assert adds_up(live)
    assert live["balance_minor"] == balance_minor
    assert adds_up(receipt)
    assert receipt["balance_minor"] == (await venue.balance(ann))[0]
    assert sum(row["gross_minor"] for row in receipt["tax"]) == receipt["poured_minor"] + receipt["charges_minor"]
    assert all(row["net_minor"] is None or row["net_minor"] + row["tax_minor"] == row["gross_minor"] for row in receipt["tax"])
