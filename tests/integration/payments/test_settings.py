"""The settings of payments: what a program needs before it starts with a provider."""

import pytest

from tapwire_admin.__main__ import require_public_url, run_admin
from tapwire_core.db.engine import Database
from tapwire_core.payment_providers.configured import open_provider
from tapwire_core.payment_providers.simulated import SimulatedProvider
from tapwire_core.settings import InvalidSettings, Settings

STRIPE = {"payments": "stripe", "stripe_secret_key": "sk_test_secret", "stripe_webhook_secret": "whsec_secret"}


def settings(**given: object) -> Settings:
    """Settings with these values."""
    return Settings.model_validate({"database_url": "postgresql://x@localhost/x", **given})


def test_without_the_setting_there_is_no_provider() -> None:
    assert open_provider(settings(), Database.nowhere()) is None


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"payments": "test"}, "TAPWIRE_TEST_PAYMENTS_ALLOWED"),
        ({"payments": "stripe"}, "TAPWIRE_STRIPE_SECRET_KEY"),
        ({**STRIPE, "stripe_webhook_secret": None}, "TAPWIRE_STRIPE_WEBHOOK_SECRET"),
        ({**STRIPE, "currency": "KWD"}, "KWD"),
        ({**STRIPE, "currency": "MGA"}, "MGA"),
        ({**STRIPE, "payment_min_minor": 30_00, "payment_max_minor": 20_00}, "TAPWIRE_PAYMENT_MIN_MINOR"),
    ],
)
def test_a_provider_that_lacks_something_does_not_start(given: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidSettings, match=named):
        open_provider(settings(**given), Database.nowhere())


def test_the_test_provider_starts_where_it_was_allowed() -> None:
    allowed = settings(payments="test", test_payments_allowed=True)

    assert isinstance(open_provider(allowed, Database.nowhere()), SimulatedProvider)


async def test_guests_come_back_from_stripe_to_an_address_of_the_settings_alone() -> None:
    with pytest.raises(InvalidSettings, match="TAPWIRE_PUBLIC_URL"):
        await run_admin(settings(**STRIPE))
    require_public_url(settings(**STRIPE, public_url="https://taps.example"))
    require_public_url(settings(payments="test", test_payments_allowed=True))


async def test_keys_are_in_no_text_of_the_settings() -> None:
    given = settings(**STRIPE)
    provider = open_provider(given, Database.nowhere())

    assert provider is not None
    assert "secret" not in repr(given).replace("_secret", "")
    await provider.close()
