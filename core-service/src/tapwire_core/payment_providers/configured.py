"""The payment provider of the settings."""

from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import PaymentProviderName
from tapwire_core.payment_providers.provider import PaymentProvider
from tapwire_core.payment_providers.simulated import SimulatedProvider
from tapwire_core.payment_providers.stripe_checkout import open_stripe
from tapwire_core.settings import InvalidSettings, Settings


def open_provider(settings: Settings, db: Database) -> PaymentProvider | None:
    """Open the configured provider; None without one. Raises `InvalidSettings` for one that lacks something."""
    if settings.payments is None:
        return None
    if settings.payment_min_minor > settings.payment_max_minor:
        raise InvalidSettings("TAPWIRE_PAYMENT_MIN_MINOR: must not be above TAPWIRE_PAYMENT_MAX_MINOR")
    if settings.payments is PaymentProviderName.TEST:
        if not settings.test_payments_allowed:
            raise InvalidSettings(
                "TAPWIRE_PAYMENTS: the provider test gives guests money that nobody has paid. For a trial set "
                "TAPWIRE_TEST_PAYMENTS_ALLOWED=true; a venue needs TAPWIRE_PAYMENTS=stripe"
            )
        return SimulatedProvider(db)
    if not settings.stripe_secret_key or not settings.stripe_webhook_secret:
        raise InvalidSettings("TAPWIRE_STRIPE_SECRET_KEY and TAPWIRE_STRIPE_WEBHOOK_SECRET: set both, or their _FILE")
    return open_stripe(settings.stripe_secret_key, settings.stripe_webhook_secret, settings.stripe_api_url, settings.currency)
