"""Money of a payment that goes back: what a guest may not have, and what is left at check-out."""

import asyncio
import json

import pytest

from tapwire_core.db.engine import Database
from tapwire_core.db.views.shift_reports import OnlinePayments
from tapwire_core.domain.check_outs import CheckOutWish
from tapwire_core.domain.closed_sets import PaymentMethod, Role
from tapwire_core.domain.policy import Policy
from tapwire_core.payment_providers.stripe_checkout import StripeCheckout
from tapwire_core.services import check_outs, money, visits
from tapwire_core.services.guest_erasures import GuestNotSettled, erase_guest
from tapwire_core.services.guests import change_guest
from tapwire_core.services.money import RefundLimit
from tapwire_core.services.payment_requests import ask_since, make_refunds
from tapwire_core.services.receipts import get_receipt
from tapwire_core.services.venues import change_venue
from tests.integration.payments.guest_at_stripe import GuestAtStripe
from tests.stripe_stand_in import StripeStandIn
from tests.venue import OPERATOR


def refunds_of(stripe: StripeStandIn) -> list[int]:
    """The amounts that Stripe has refunded."""
    return [refund["amount"] for refund in stripe.refunds.values()]


async def test_what_is_beyond_the_most_that_a_balance_may_be_goes_back_once(ann: GuestAtStripe, provider: StripeCheckout) -> None:
    await change_venue(ann.db, OPERATOR, "bar", max_balance_minor=30_00)
    first, second = await ann.begin_and_pay(20_00), await ann.begin_and_pay(25_00)
    await ann.hear(ann.stripe.event("checkout.session.completed", first))
    await ann.hear(ann.stripe.event("checkout.session.completed", second))
    assert (await ann.balance(), await ann.returned()) == (30_00, [("over_limit", "due", 15_00)])

    await asyncio.gather(*(make_refunds(ann.db, provider) for _ in range(3)))
    await ann.work()

    assert refunds_of(ann.stripe) == [15_00]
    assert (await ann.balance(), await ann.returned()) == (30_00, [("over_limit", "done", 15_00)])
    assert (await ann.statuses(), await ann.venue.audited("payment_refunded")) == (["paid", "paid"], 1)
    for refund in ann.stripe.refunds.values():
        await ann.hear(ann.stripe.event("refund.created", refund))
    await ann.hear(ann.stripe.event("charge.refunded", ann.stripe.charge_of(second)))
    assert (await ann.balance(), await ann.returned()) == (30_00, [("over_limit", "done", 15_00)])


async def test_what_comes_for_a_blocked_guest_goes_back_whole(ann: GuestAtStripe) -> None:
    session = await ann.begin_and_pay(20_00)
    await change_guest(ann.db, OPERATOR, ann.guest.guest_id, blocked=True)

    await ann.hear(ann.stripe.event("checkout.session.completed", session))
    assert await ann.statuses() == ["paid"]
    await ann.work()

    assert (await ann.balance(), refunds_of(ann.stripe)) == (0, [20_00])
    assert (await ann.statuses(), await ann.returned()) == (["refunded"], [("guest_blocked", "done", 20_00)])


async def test_an_erased_guest_has_no_payment_open_and_what_comes_later_goes_back(ann: GuestAtStripe) -> None:
    begun = await ann.begin(20_00)
    session = ann.stripe.session_of(begun.payment_id)
    await visits.close_visit(ann.db, OPERATOR, ann.guest.visit_id)
    with pytest.raises(GuestNotSettled) as open_points:
        await erase_guest(ann.db, OPERATOR, ann.guest.guest_id, "asked for it")
    assert open_points.value.facts == {"guest_id": ann.guest.guest_id, "pending_payment_ids": (begun.payment_id,)}
    await ann.hear(ann.stripe.event("checkout.session.expired", ann.stripe.expire(session)))
    await erase_guest(ann.db, OPERATOR, ann.guest.guest_id, "asked for it")

    await ann.hear(ann.stripe.event("checkout.session.async_payment_succeeded", ann.stripe.pay(session)))
    await ann.work()

    assert (await ann.balance(), refunds_of(ann.stripe)) == (0, [20_00])
    assert (await ann.statuses(), await ann.returned()) == (["refunded"], [("guest_erased", "done", 20_00)])


async def test_a_refund_is_made_once_when_we_died_before_we_wrote_it_down(ann: GuestAtStripe) -> None:
    session = await ann.begin_and_pay(20_00)
    await change_guest(ann.db, OPERATOR, ann.guest.guest_id, blocked=True)
    await ann.hear(ann.stripe.event("checkout.session.completed", session))
    await ann.work()
    await ann.db.pool.execute("UPDATE payment_returns SET status = 'due', try_at = now(), ended_at = NULL, provider_id = NULL")
    await ann.db.pool.execute("UPDATE payments SET status = 'paid'")
    ann.stripe.answers.clear()  # a day later Stripe has forgotten the key

    await ann.work()

    assert refunds_of(ann.stripe) == [20_00]
    assert await ann.returned() == [("guest_blocked", "done", 20_00)]


async def test_a_refund_that_the_provider_refuses_is_tried_again_and_says_why(ann: GuestAtStripe) -> None:
    session = await ann.begin_and_pay(20_00)
    await change_guest(ann.db, OPERATOR, ann.guest.guest_id, blocked=True)
    await ann.hear(ann.stripe.event("checkout.session.completed", session))
    ann.stripe.broken = 100
    await ann.work()
    assert "Stripe" in await ann.db.pool.fetchval("SELECT failure FROM payment_returns")
    ann.stripe.broken = 0

    await ann.work()

    assert refunds_of(ann.stripe) == [20_00]
    assert await ann.db.pool.fetchval("SELECT failure FROM payment_returns") is None


async def test_a_check_out_gives_back_through_the_provider_what_came_through_it(ann: GuestAtStripe) -> None:
    await ann.paid(10_00)
    await ann.paid(20_00)
    await money.top_up(ann.db, OPERATOR, ann.guest.guest_id, 5_00, PaymentMethod.CASH, "bar")
    await ann.spend(2_00)
    assert (await check_outs.preview(ann.db, ann.guest.visit_id)).paid_online_minor == 30_00
    wish = CheckOutWish(payout=PaymentMethod.CASH, card_returned=True)

    for _ in range(2):
        await check_outs.check_out(ann.db, OPERATOR, ann.guest.visit_id, wish)
    assert refunds_of(ann.stripe) == [], "no provider is asked inside a transaction"
    await ann.work()
    await ann.work()

    assert (await ann.balance(), sorted(refunds_of(ann.stripe))) == (0, [10_00, 20_00])
    assert (await ann.statuses(), await ann.account("online_payment")) == (["refunded", "refunded"], 0)
    assert await ann.account("cash") == 5_00 - 3_00
    receipt = await get_receipt(ann.db, ann.guest.visit_id)
    assert (receipt.top_ups_minor, receipt.paid_out_minor, receipt.refunds_minor, receipt.balance_minor) == (35_00, 33_00, 0, 0)
    assert await ann.online() == OnlinePayments(30_00, 30_00, 0, 0)


@pytest.mark.parametrize("max_balance_minor", [None, 15_00])
async def test_what_is_paid_after_the_guest_was_paid_out_and_left_goes_back(
    ann: GuestAtStripe, max_balance_minor: int | None
) -> None:
    session = await ann.begin_and_pay(20_00)
    await check_outs.check_out(ann.db, OPERATOR, ann.guest.visit_id, CheckOutWish(payout=PaymentMethod.CASH, card_returned=True))
    await change_venue(ann.db, OPERATOR, "bar", max_balance_minor=max_balance_minor)

    for _ in range(2):
        await ann.hear(ann.stripe.event("checkout.session.completed", session))
        await ann.work()

    assert (await ann.balance(), await ann.statuses()) == (0, ["refunded"])
    assert sorted(refunds_of(ann.stripe)) == ([20_00] if max_balance_minor is None else [5_00, 15_00])
    await ann.venue.books_balance()
    await erase_guest(ann.db, OPERATOR, ann.guest.guest_id, "asked for it")


@pytest.mark.parametrize("came_back", [False, True])
async def test_what_is_paid_after_a_stay_is_the_guests_who_kept_a_balance_or_came_back(ann: GuestAtStripe, came_back: bool) -> None:
    session = await ann.begin_and_pay(20_00)
    payout = PaymentMethod.CASH if came_back else None
    await check_outs.check_out(ann.db, OPERATOR, ann.guest.visit_id, CheckOutWish(payout=payout, card_returned=True))
    if came_back:
        await visits.open_visit(ann.db, OPERATOR, "bar", ann.guest.guest_id)

    await ann.hear(ann.stripe.event("checkout.session.completed", session))
    await ann.work()

    assert (await ann.balance(), await ann.statuses(), refunds_of(ann.stripe)) == (20_00, ["paid"], [])
    await ann.venue.books_balance()


async def test_an_operator_pays_out_within_the_limit_whatever_the_way(ann: GuestAtStripe) -> None:
    await ann.paid(20_00)
    wish = CheckOutWish(payout=PaymentMethod.CASH, card_returned=True)
    with pytest.raises(RefundLimit):
        await check_outs.check_out(ann.db, OPERATOR, ann.guest.visit_id, wish, Role.OPERATOR)
    await change_venue(ann.db, OPERATOR, "bar", operator_refund_limit_minor=20_00)

    await check_outs.check_out(ann.db, OPERATOR, ann.guest.visit_id, wish, Role.OPERATOR)

    assert await ann.returned() == [("check_out", "due", 20_00)]


async def test_a_refund_that_fails_at_the_bank_is_the_guests_again(ann: GuestAtStripe) -> None:
    session = await ann.paid(20_00)
    wish = CheckOutWish(payout=PaymentMethod.CASH, card_returned=True)
    await check_outs.check_out(ann.db, OPERATOR, ann.guest.visit_id, wish)
    await ann.work()
    (refund,) = ann.stripe.refunds.values()
    assert (await ann.balance(), refund["status"]) == (0, "succeeded")

    refund["status"] = "failed"
    await ann.hear(ann.stripe.event("refund.failed", refund))
    await ann.hear(ann.stripe.event("charge.refunded", ann.stripe.charge_of(session)))

    assert (await ann.balance(), await ann.returned()) == (20_00, [("check_out", "failed", 20_00)])
    assert await ann.statuses() == ["paid"]


async def test_a_refund_that_fails_after_the_guest_was_erased_is_the_houses(ann: GuestAtStripe) -> None:
    await ann.paid(20_00)
    wish = CheckOutWish(payout=PaymentMethod.CASH, card_returned=True)
    await check_outs.check_out(ann.db, OPERATOR, ann.guest.visit_id, wish)
    await ann.work()
    await erase_guest(ann.db, OPERATOR, ann.guest.guest_id, "asked for it")
    (refund,) = ann.stripe.refunds.values()

    refund["status"] = "failed"
    for _ in range(2):
        await ann.hear(ann.stripe.event("refund.failed", refund))
        await ann.work()

    assert (await ann.balance(), await ann.returned()) == (0, [("check_out", "failed", 20_00)])
    assert await ann.account("payment_loss") == -20_00
    said = await ann.db.pool.fetchval("SELECT details FROM audit WHERE action = 'payment_refunded' ORDER BY audit_id DESC LIMIT 1")
    assert json.loads(said) == {"cause": "check_out", "refunded_minor": -20_00, "kept_minor": 20_00, "balance_minor": 0}
    await ann.venue.books_balance()


@pytest.mark.parametrize("erased", [False, True])
async def test_what_was_beyond_the_limit_and_comes_back_is_lost_to_nobody(ann: GuestAtStripe, erased: bool) -> None:
    session = await ann.begin_and_pay(20_00)
    await change_venue(ann.db, OPERATOR, "bar", max_balance_minor=5_00)
    await ann.hear(ann.stripe.event("checkout.session.completed", session))
    await ann.work()
    (refund,) = ann.stripe.refunds.values()
    if erased:
        wish = CheckOutWish(payout=PaymentMethod.CASH, card_returned=True)
        await check_outs.check_out(ann.db, OPERATOR, ann.guest.visit_id, wish)
        await ann.work()
        await erase_guest(ann.db, OPERATOR, ann.guest.guest_id, "asked for it")

    refund["status"] = "failed"
    for _ in range(2):
        await ann.hear(ann.stripe.event("refund.failed", refund))
        await ann.work()

    assert ("over_limit", "failed", 15_00) in await ann.returned()
    assert (await ann.balance(), await ann.account("payment_loss")) == ((0, -15_00) if erased else (20_00, 0))
    await ann.venue.books_balance()


async def test_what_came_through_a_provider_that_is_off_is_paid_out_at_the_counter(ann: GuestAtStripe, database_url: str) -> None:
    await ann.paid(20_00)
    wish = CheckOutWish(payout=PaymentMethod.CARD, card_returned=True)
    async with Database.open(database_url, Policy()) as without_provider:
        await check_outs.check_out(without_provider, OPERATOR, ann.guest.visit_id, wish)

    assert (await ann.balance(), await ann.returned(), refunds_of(ann.stripe)) == (0, [], [])
    await ann.venue.books_balance()


async def test_a_restored_database_gets_the_payments_that_it_lacks(ann: GuestAtStripe, provider: StripeCheckout) -> None:
    taken_at = await ann.db.pool.fetchval("SELECT now()")
    before, lost = await ann.paid(10_00), await ann.begin_and_pay(20_00)
    ann.stripe.dispute(before)
    stranger = ann.stripe.pay({**lost, "id": "cs_gone", "client_reference_id": "0b0b0b0b-0000-4000-8000-000000000000"})
    stranger["metadata"] = {**stranger["metadata"], "guest_id": "0b0b0b0b-0000-4000-8000-000000000001"}
    ann.stripe.sessions["cs_gone"] = stranger
    await ann.db.pool.execute("DELETE FROM payments WHERE payment_id = $1::uuid", lost["client_reference_id"])

    asked = [await ask_since(ann.db, provider, taken_at) for _ in range(2)]

    assert await ann.balance() == 20_00
    assert await ann.statuses() == ["reversed", "paid"]
    assert [answer.known for answer in asked] == [2, 2]
    assert [said.provider_id for said in asked[0].unknown] == ["cs_gone"]
