"""Erasing a guest who paid by telephone: what is open keeps the guest, and what comes afterwards goes back."""

from uuid import UUID

import pytest

from tapwire_contracts.reasons import Resolution
from tapwire_core.domain.check_outs import CheckOutWish
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.errors import NotFound
from tapwire_core.payment_providers.stripe_checkout import StripeCheckout
from tapwire_core.services import check_outs, incidents, visits
from tapwire_core.services.guest_erasures import GuestNotSettled, erase_guest, export_guest
from tests.integration.payments.guest_at_stripe import GuestAtStripe
from tests.stripe_stand_in import StripeStandIn
from tests.venue import OPERATOR, Venue


@pytest.fixture
async def ann(venue: Venue, stripe: StripeStandIn, provider: StripeCheckout) -> GuestAtStripe:
    """A guest with nothing on the account."""
    return await GuestAtStripe.come(venue, stripe, provider)


async def unsettled(ann: GuestAtStripe) -> dict[str, object]:
    """What keeps the guest from being erased."""
    with pytest.raises(GuestNotSettled) as refused:
        await erase_guest(ann.db, OPERATOR, ann.guest.guest_id, "asked for it")
    return {name: value for name, value in refused.value.facts.items() if name != "guest_id"}


async def leave(ann: GuestAtStripe) -> None:
    """The guest is checked out, and paid what is left."""
    wish = CheckOutWish(payout=PaymentMethod.CASH, card_returned=True)
    await check_outs.check_out(ann.db, OPERATOR, ann.guest.visit_id, wish)


async def test_a_payment_that_may_still_be_paid_or_go_back_keeps_its_guest(ann: GuestAtStripe) -> None:
    await ann.paid(20_00)
    begun = await ann.begin(5_00, key="begun and not paid")
    await leave(ann)

    first = await unsettled(ann)
    await ann.hear(ann.stripe.event("checkout.session.expired", ann.stripe.expire(ann.stripe.session_of(begun.payment_id))))
    second = await unsettled(ann)
    await ann.work()
    await erase_guest(ann.db, OPERATOR, ann.guest.guest_id, "asked for it")

    paid_id = await ann.db.pool.fetchval("SELECT payment_id FROM payments WHERE status <> 'expired'")
    assert first == {"pending_payment_ids": (paid_id, begun.payment_id)}
    assert second == {"pending_payment_ids": (paid_id,)}
    with pytest.raises(NotFound):
        await ann.begin(1_00, key="after all")
    await ann.venue.books_balance()


async def test_a_reversed_payment_keeps_its_guest_until_a_person_has_looked(ann: GuestAtStripe) -> None:
    session = await ann.paid(20_00)
    await leave(ann)
    await ann.work()
    await ann.hear(ann.stripe.event("charge.dispute.created", ann.stripe.dispute(session)))

    told = await unsettled(ann)
    (incident,) = await ann.venue.incidents("payment_reversed")
    await incidents.resolve_incident(
        ann.db, OPERATOR, UUID(str(incident["incident_id"])), resolution=Resolution.WRITTEN_OFF, comment="spoke with the bank"
    )
    await erase_guest(ann.db, OPERATOR, ann.guest.guest_id, "asked for it")

    assert told == {"incident_ids": (incident["incident_id"],)}
    await ann.venue.books_balance()


async def test_an_export_has_payments_and_what_went_back_and_no_token(ann: GuestAtStripe) -> None:
    await ann.paid(20_00)
    await leave(ann)

    found = await export_guest(ann.db, OPERATOR, ann.guest.guest_id)

    assert [row["amount_minor"] for row in found.payments] == [20_00]
    assert [(row["cause"], row["amount_minor"]) for row in found.payment_returns] == [("check_out", 20_00)]
    assert [set(row) for row in found.guest_pages] == [{"visit_id", "made_at", "ended_at"}]


async def test_a_dispute_that_is_won_after_the_erasure_leaves_nothing_on_an_account_of_nobody(ann: GuestAtStripe) -> None:
    dispute = ann.stripe.dispute(await ann.paid(20_00))
    await ann.hear(ann.stripe.event("charge.dispute.created", dispute))
    await visits.close_visit(ann.db, OPERATOR, ann.guest.visit_id)
    await erase_guest(ann.db, OPERATOR, ann.guest.guest_id, "asked for it")

    dispute["status"] = "won"
    for _ in range(2):
        await ann.hear(ann.stripe.event("charge.dispute.closed", dispute))
    await ann.venue.books_balance()
    await ann.work()

    assert (await ann.balance(), await ann.statuses()) == (0, ["refunded"])
    assert [refund["amount"] for refund in ann.stripe.refunds.values()] == [20_00]
    await ann.hear(ann.stripe.event("charge.refunded", ann.stripe.charge_of(next(iter(ann.stripe.sessions.values())))))
    assert (await ann.balance(), await ann.statuses()) == (0, ["refunded"])
    await ann.venue.books_balance()
