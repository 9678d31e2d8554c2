"""A guest pays at Stripe: booked once, by a signed notification or by asking, and by nothing else."""

import asyncio
import json
from itertools import permutations
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from tapwire_core.db.engine import Database
from tapwire_core.payment_providers.provider import NotificationInvalid, ProviderUnavailable
from tapwire_core.payment_providers.stripe_checkout import StripeCheckout
from tapwire_core.services import shifts, visits
from tapwire_core.services.guests import change_guest
from tapwire_core.services.idempotency import IdempotencyKeyReused
from tapwire_core.services.payment_requests import ask_for_payments
from tapwire_core.services.payments import BalanceLimit, TooManyPayments, TopUpLimit
from tapwire_core.services.venues import change_venue
from tapwire_core.services.visits import GuestBlocked, VisitNotActive
from tests.integration.payments.guest_at_stripe import GuestAtStripe
from tests.stripe_stand_in import StripeStandIn, signed
from tests.venue import OPERATOR, Venue


@pytest.fixture
async def ann(venue: Venue, stripe: StripeStandIn, provider: StripeCheckout) -> GuestAtStripe:
    """A guest with nothing on the account."""
    return await GuestAtStripe.come(venue, stripe, provider)


async def test_a_notification_books_the_whole_amount(ann: GuestAtStripe) -> None:
    begun = await ann.begin(20_00)
    session = ann.stripe.session_of(begun.payment_id)
    assert begun.url == session["url"]
    assert (await ann.balance(), await ann.statuses()) == (0, ["pending"])

    await ann.hear(ann.stripe.event("checkout.session.completed", ann.stripe.pay(session)))

    assert (await ann.balance(), await ann.statuses()) == (20_00, ["paid"])
    assert await ann.account("online_payment") == 20_00
    assert await ann.venue.audited("payment_paid") == 1
    row = await ann.db.pool.fetchrow("SELECT shift_id, venue_id, actor FROM money_movements WHERE payment_id IS NOT NULL")
    assert row["shift_id"] is not None
    assert (row["venue_id"], row["actor"]) == ("bar", "core")


async def test_asking_books_what_no_notification_told(ann: GuestAtStripe) -> None:
    await ann.begin_and_pay(20_00)

    await ann.work()

    assert (await ann.balance(), await ann.statuses()) == (20_00, ["paid"])


async def test_what_is_repeated_late_or_comes_in_another_order_books_nothing_more(ann: GuestAtStripe) -> None:
    session = await ann.begin_and_pay()
    completed = ann.stripe.event("checkout.session.completed", session)
    expired = ann.stripe.event("checkout.session.expired", {**session, "status": "expired", "payment_status": "unpaid"})

    for events in permutations([completed, completed, expired]):
        for event in events:
            await ann.hear(event)
        await ann.work()

    assert (await ann.balance(), await ann.statuses()) == (20_00, ["paid"])


async def test_an_expired_payment_may_become_paid(ann: GuestAtStripe) -> None:
    begun = await ann.begin()
    session = ann.stripe.session_of(begun.payment_id)
    await ann.hear(ann.stripe.event("checkout.session.expired", ann.stripe.expire(session)))
    assert (await ann.balance(), await ann.statuses()) == (0, ["expired"])

    await ann.hear(ann.stripe.event("checkout.session.async_payment_succeeded", ann.stripe.pay(session)))

    assert (await ann.balance(), await ann.statuses()) == (20_00, ["paid"])


async def test_a_bank_that_takes_days_leaves_it_pending_and_one_that_says_no_ends_it(ann: GuestAtStripe) -> None:
    begun = await ann.begin()
    session = ann.stripe.session_of(begun.payment_id)
    session.update(status="complete", payment_intent="pi_slow")

    await ann.hear(ann.stripe.event("checkout.session.completed", session))
    assert await ann.statuses() == ["pending"]
    await ann.hear(ann.stripe.event("checkout.session.async_payment_failed", session))

    assert (await ann.balance(), await ann.statuses()) == (0, ["expired"])


async def test_forged_and_old_notifications_are_refused(ann: GuestAtStripe) -> None:
    session = await ann.begin_and_pay()
    genuine = ann.stripe.event("checkout.session.completed", session)
    forged = ann.stripe.event("checkout.session.completed", session, secret="whsec_of_another_endpoint")
    old = ann.stripe.event("checkout.session.completed", session, age_s=301)
    changed = type(genuine)(genuine.body.replace(b"2000", b"9999"), genuine.headers)
    unsigned = type(genuine)(genuine.body, {})
    garbled = type(genuine)(genuine.body, {"Stripe-Signature": "t=never,v1=00"})

    for event in (forged, old, changed, unsigned, garbled, signed(b"{}"), signed(b"[1]")):
        with pytest.raises(NotificationInvalid):
            await ann.hear(event)

    assert (await ann.balance(), await ann.statuses()) == (0, ["pending"])


async def test_what_another_program_of_the_same_account_sells_changes_nothing(ann: GuestAtStripe) -> None:
    session = await ann.begin_and_pay()
    others = {**session, "id": "cs_other", "payment_intent": "pi_other"}

    for strange in (
        {**others, "client_reference_id": str(uuid4()), "metadata": {}},
        {**others, "client_reference_id": "order 17", "metadata": None},
        {**others, "client_reference_id": None},
    ):
        await ann.hear(ann.stripe.event("checkout.session.completed", strange))
    await ann.hear(ann.stripe.event("invoice.paid", {"id": "in_1", "object": "invoice"}))
    await ann.hear(ann.stripe.event("charge.refunded", {"id": "ch_1", "object": "charge", "payment_intent": None}))
    await ann.hear(ann.stripe.event("charge.refunded", {"id": "ch_1", "object": "charge", "payment_intent": "pi_nobody"}))

    assert (await ann.balance(), await ann.statuses()) == (0, ["pending"])
    assert await ann.venue.incidents("payment_mismatch") == []


@pytest.mark.parametrize(
    ("paid", "status"),
    [
        ({"amount_total": 1}, "expired"),
        ({"currency": "usd"}, "expired"),
        ({"id": "cs_other", "payment_intent": "pi_other"}, "pending"),  # our payment's id on a page that we did not begin
    ],
)
async def test_what_was_paid_otherwise_than_it_was_begun_is_an_incident_and_not_in_the_books(
    ann: GuestAtStripe, paid: dict[str, Any], status: str
) -> None:
    session = {**await ann.begin_and_pay(), **paid}

    for _ in range(2):
        await ann.hear(ann.stripe.event("checkout.session.completed", session))

    assert (await ann.balance(), await ann.statuses()) == (0, [status])
    (incident,) = await ann.venue.incidents("payment_mismatch")
    assert incident["occurrences"] == 2
    details = json.loads(str(incident["details"]))
    open_ids = "SELECT unsettled_of_guest($1)->'incident_ids'->>0"
    assert await ann.db.pool.fetchval(open_ids, ann.guest.guest_id) == str(incident["incident_id"])
    assert details["why"].startswith(f"The provider has {session['amount_total']} {session['currency'].upper()} of {session['id']}")
    await ann.venue.books_balance()


async def test_what_is_paid_rightly_after_all_is_booked(ann: GuestAtStripe) -> None:
    session = await ann.begin_and_pay()
    await ann.hear(ann.stripe.event("checkout.session.completed", {**session, "amount_total": 1}))

    await ann.hear(ann.stripe.event("checkout.session.completed", session))

    assert (await ann.balance(), await ann.statuses()) == (20_00, ["paid"])


async def test_notification_and_job_at_once_book_once(ann: GuestAtStripe, provider: StripeCheckout) -> None:
    session = await ann.begin_and_pay()
    await ann.db.pool.execute("UPDATE payments SET ask_at = now()")
    ann.stripe.latency_s = 0.01

    await asyncio.gather(
        *(ann.hear(ann.stripe.event("checkout.session.completed", session)) for _ in range(5)),
        *(ask_for_payments(ann.db, provider) for _ in range(3)),
    )

    assert (await ann.balance(), await ann.statuses()) == (20_00, ["paid"])
    assert await ann.venue.audited("payment_paid") == 1


async def test_two_workers_share_the_questions(ann: GuestAtStripe, provider: StripeCheckout) -> None:
    for _ in range(6):
        await ann.begin_and_pay(5_00)
    await ann.db.pool.execute("UPDATE payments SET ask_at = now()")

    asked = await asyncio.gather(ask_for_payments(ann.db, provider), ask_for_payments(ann.db, provider))

    assert sum(asked) == 6
    assert await ann.balance() == 30_00


async def test_the_same_key_is_the_same_payment_and_a_double_click_too(ann: GuestAtStripe) -> None:
    first, again = await ann.begin(20_00, "key"), await ann.begin(20_00, "key")
    assert first == again
    with pytest.raises(IdempotencyKeyReused):
        await ann.begin(30_00, "key")
    assert await ann.begin(20_00) == first

    assert len(ann.stripe.sessions) == 1


async def test_the_page_is_the_same_when_we_died_before_we_wrote_its_address_down(ann: GuestAtStripe) -> None:
    first = await ann.begin(20_00, "key")
    await ann.db.pool.execute("UPDATE payments SET provider_id = NULL, checkout_url = NULL")

    assert await ann.begin(20_00, "key") == first
    assert len(ann.stripe.sessions) == 1


async def test_a_page_whose_address_was_never_written_down_is_found_by_asking(ann: GuestAtStripe) -> None:
    await ann.begin_and_pay(20_00)
    await ann.db.pool.execute("UPDATE payments SET provider_id = NULL, checkout_url = NULL")

    await ann.work()

    assert (await ann.balance(), await ann.statuses()) == (20_00, ["paid"])


async def test_a_payment_that_never_reached_the_provider_ends(ann: GuestAtStripe) -> None:
    ann.stripe.broken = 3
    with pytest.raises(ProviderUnavailable) as refused:
        await ann.begin()
    assert "sk_test" not in str(refused.value)
    await ann.work()
    assert await ann.statuses() == ["pending"], "Stripe may have got it"

    await ann.db.pool.execute("UPDATE payments SET created_at = now() - interval '3 hours'")
    await ann.work()

    assert await ann.statuses() == ["expired"]


async def test_a_provider_that_is_away_loses_nothing(ann: GuestAtStripe) -> None:
    await ann.begin_and_pay()
    ann.stripe.broken = 3

    await ann.work()
    assert await ann.statuses() == ["pending"]
    await ann.work()

    assert (await ann.balance(), await ann.statuses()) == (20_00, ["paid"])


async def test_it_is_booked_while_the_venue_is_closed(ann: GuestAtStripe) -> None:
    session = await ann.begin_and_pay()
    await visits.close_visit(ann.db, OPERATOR, ann.guest.visit_id)
    await shifts.close_shift(ann.db, OPERATOR, "bar")

    await ann.hear(ann.stripe.event("checkout.session.completed", session))

    assert await ann.balance() == 20_00
    assert await ann.db.pool.fetchval("SELECT shift_id FROM money_movements WHERE payment_id IS NOT NULL") is None


async def test_who_may_not_pay_is_refused_before_the_provider_is_asked(ann: GuestAtStripe) -> None:
    with pytest.raises(TopUpLimit) as small:
        await ann.begin(4_99)
    assert small.value.facts == {"min_minor": 5_00, "max_minor": 200_00}
    with pytest.raises(TopUpLimit):
        await ann.begin(200_01)
    await change_venue(ann.db, OPERATOR, "bar", max_balance_minor=30_00)
    with pytest.raises(BalanceLimit) as full:
        await ann.begin(30_01)
    assert full.value.facts == {"max_balance_minor": 30_00, "left_minor": 30_00}
    await change_guest(ann.db, OPERATOR, ann.guest.guest_id, blocked=True)
    with pytest.raises(GuestBlocked):
        await ann.begin(10_00)
    await change_guest(ann.db, OPERATOR, ann.guest.guest_id, blocked=False)
    await visits.close_visit(ann.db, OPERATOR, ann.guest.visit_id)
    with pytest.raises(VisitNotActive):
        await ann.begin(10_00)

    assert ann.stripe.asked == []


async def test_a_guest_begins_no_more_payments_than_can_be_followed(ann: GuestAtStripe) -> None:
    for number in range(10):
        await ann.begin(10_00, f"key {number}")

    with pytest.raises(TooManyPayments):
        await ann.begin(10_00, "one more")


async def test_a_notification_that_nobody_can_read_is_refused(ann: GuestAtStripe) -> None:
    unreadable = {"type": "checkout.session.completed", "data": {"object": {"id": 7}}}

    with pytest.raises(NotificationInvalid):
        await ann.hear(signed(msgspec.json.encode(unreadable)))


async def test_a_payment_is_booked_by_a_programs_role_once_by_the_index(ann: GuestAtStripe, db: Database) -> None:
    await ann.paid()

    with pytest.raises(Exception, match="uq_money_movements_payment"):
        await db.pool.execute(
            """INSERT INTO money_movements (debit_account, credit_account, amount_minor, guest_id, payment_id, actor)
               SELECT debit_account, credit_account, amount_minor, guest_id, payment_id, actor FROM money_movements
               WHERE payment_id IS NOT NULL"""
        )
