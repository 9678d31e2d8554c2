"""Fixtures of payments: a stand-in for Stripe, and the provider that asks it."""

from collections.abc import AsyncIterator

import pytest

from tapwire_core.domain.closed_sets import PaymentProviderName
from tapwire_core.domain.policy import Policy
from tapwire_core.payment_providers.stripe_checkout import StripeCheckout, open_stripe
from tests.integration.payments.guest_at_stripe import GuestAtStripe
from tests.stripe_stand_in import KEY, WEBHOOK_SECRET, StripeStandIn
from tests.venue import Venue


@pytest.fixture
def policy() -> Policy:
    """Stripe is the provider."""
    return Policy(payment_provider=PaymentProviderName.STRIPE)


@pytest.fixture
async def stripe() -> AsyncIterator[StripeStandIn]:
    """A stand-in for Stripe on loopback."""
    async with StripeStandIn.open() as account:
        yield account


@pytest.fixture
async def provider(stripe: StripeStandIn) -> AsyncIterator[StripeCheckout]:
    """The provider as the programs open it, on the stand-in."""
    opened = open_stripe(KEY, WEBHOOK_SECRET, stripe.url, "EUR")
    yield opened
    await opened.close()


@pytest.fixture
async def ann(venue: Venue, stripe: StripeStandIn, provider: StripeCheckout) -> GuestAtStripe:
    """A guest with nothing on the account."""
    return await GuestAtStripe.come(venue, stripe, provider)
