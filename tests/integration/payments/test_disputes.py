"""Payments that a bank or a person at the provider takes back: what is there goes, the rest is the venue's loss."""

from itertools import permutations
from uuid import UUID

import pytest

from tapwire_contracts.reasons import Resolution
from tapwire_core.db.views.shift_reports import OnlinePayments
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.payment_providers.stripe_checkout import StripeCheckout
from tapwire_core.services import incidents, money
from tests.integration.payments.guest_at_stripe import GuestAtStripe
from tests.stripe_stand_in import StripeStandIn
from tests.venue import OPERATOR, Venue


async def resolve(ann: GuestAtStripe, resolution: Resolution) -> None:
    """A person resolves the incident of the guest's reversed payment."""
    (incident,) = await ann.venue.incidents("payment_reversed")
    incident_id = UUID(str(incident["incident_id"]))
    await incidents.resolve_incident(ann.db, OPERATOR, incident_id, resolution=resolution, comment="spoke with the guest")


async def test_a_dispute_takes_what_is_there_and_the_rest_is_the_venues_loss(ann: GuestAtStripe) -> None:
    session = await ann.paid(20_00)
    await ann.spend(15_00)

    dispute = ann.stripe.dispute(session)
    await ann.hear(ann.stripe.event("charge.dispute.created", dispute))

    assert (await ann.balance(), await ann.statuses()) == (0, ["reversed"])
    assert (await ann.account("online_payment"), await ann.account("payment_loss")) == (0, 15_00)
    (incident,) = await ann.venue.incidents("payment_reversed")
    assert await ann.online() == OnlinePayments(20_00, 0, 20_00, 15_00)
    for _ in range(3):
        await ann.hear(ann.stripe.event("charge.dispute.created", dispute))
    assert await ann.account("payment_loss") == 15_00
    assert await ann.venue.audited("payment_reversed") == 1
    assert incident["venue_id"] == "bar"


async def test_the_rest_is_charged_when_the_guest_has_money_again_and_never_a_sale(ann: GuestAtStripe) -> None:
    session = await ann.paid(20_00)
    await ann.spend(15_00)
    await ann.hear(ann.stripe.event("charge.dispute.created", ann.stripe.dispute(session)))
    sold_minor = await ann.venue.sales_minor()
    await money.top_up(ann.db, OPERATOR, ann.guest.guest_id, 10_00, PaymentMethod.CASH, "bar")

    await resolve(ann, Resolution.CHARGED)

    assert (await ann.balance(), await ann.account("payment_loss")) == (0, 5_00)
    assert (await ann.venue.sales_minor(), await ann.venue.incidents("payment_reversed")) == (sold_minor, [])
    assert (await ann.online()).losses_minor == 5_00


async def test_a_written_off_rest_moves_nothing(ann: GuestAtStripe) -> None:
    session = await ann.paid(20_00)
    await ann.spend(15_00)
    await ann.hear(ann.stripe.event("charge.dispute.created", ann.stripe.dispute(session)))
    moved = await ann.db.pool.fetchval("SELECT count(*) FROM money_movements")

    await resolve(ann, Resolution.WRITTEN_OFF)

    assert await ann.db.pool.fetchval("SELECT count(*) FROM money_movements") == moved
    assert await ann.account("payment_loss") == 15_00


@pytest.mark.parametrize("charged", [False, True])
async def test_a_dispute_that_is_won_reverses_every_row(ann: GuestAtStripe, charged: bool) -> None:
    session = await ann.paid(20_00)
    await ann.spend(15_00)
    dispute = ann.stripe.dispute(session)
    await ann.hear(ann.stripe.event("charge.dispute.created", dispute))
    if charged:
        await money.top_up(ann.db, OPERATOR, ann.guest.guest_id, 10_00, PaymentMethod.CASH, "bar")
        await resolve(ann, Resolution.CHARGED)

    dispute["status"] = "won"
    for _ in range(2):
        await ann.hear(ann.stripe.event("charge.dispute.closed", dispute))

    assert await ann.balance() == 5_00 + (10_00 if charged else 0)
    assert (await ann.account("online_payment"), await ann.account("payment_loss")) == (20_00, 0)
    assert (await ann.statuses(), await ann.venue.incidents("payment_reversed")) == (["paid"], [])
    assert await ann.online() == OnlinePayments(20_00, 0, 0, 0)


async def test_any_order_of_notifications_ends_in_the_same_books(
    venue: Venue, stripe: StripeStandIn, provider: StripeCheckout
) -> None:
    ends = set()
    for order in permutations(range(4)):
        ann = await GuestAtStripe.come(venue, stripe, provider)
        session = await ann.begin_and_pay(20_00)
        dispute = stripe.dispute(session)
        events = [
            stripe.event("checkout.session.completed", session),
            stripe.event("charge.dispute.created", dispute),
            stripe.event("charge.dispute.closed", {**dispute, "status": "won"}),
            stripe.event("charge.refunded", stripe.charge_of(session)),
        ]
        dispute["status"] = "won"
        for place in order:
            await ann.hear(events[place])
        ends.add((await ann.balance(), (await ann.payment(session["client_reference_id"]))["status"]))

    assert ends == {(20_00, "paid")}


async def test_a_refund_in_the_providers_dashboard_is_a_reversal(ann: GuestAtStripe) -> None:
    session = await ann.paid(20_00)

    refund = ann.stripe.refund_by_hand(session, 5_00)
    await ann.hear(ann.stripe.event("charge.refunded", ann.stripe.charge_of(session)))
    await ann.hear(ann.stripe.event("refund.updated", refund))

    assert (await ann.balance(), await ann.statuses()) == (15_00, ["reversed"])
    assert await ann.returned() == [("refund", "done", 5_00)]


async def test_an_inquiry_that_took_no_money_changes_nothing(ann: GuestAtStripe) -> None:
    session = await ann.paid(20_00)

    await ann.hear(ann.stripe.event("charge.dispute.created", ann.stripe.dispute(session, status="warning_needs_response")))

    assert (await ann.balance(), await ann.statuses()) == (20_00, ["paid"])


async def test_a_notification_is_not_lost_when_stripe_does_not_answer_its_question(ann: GuestAtStripe) -> None:
    session = await ann.paid(20_00)
    dispute = ann.stripe.event("charge.dispute.created", ann.stripe.dispute(session))
    ann.stripe.broken = 3
    await ann.hear(dispute)
    assert await ann.balance() == 20_00

    await ann.work()

    assert (await ann.balance(), await ann.statuses()) == (0, ["reversed"])
    assert await ann.db.pool.fetchval("SELECT ask_at FROM payments") is None
