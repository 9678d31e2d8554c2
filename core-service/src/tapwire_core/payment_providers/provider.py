"""What Tapwire needs of a payment provider. Its calls go over the network: none is made inside a database transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from tapwire_core.domain.closed_sets import PaymentProviderName
from tapwire_core.domain.payment_facts import ProviderPayment
from tapwire_core.errors import DomainError, Invalid


class ProviderUnavailable(DomainError):
    """The payment provider does not answer, or not as it should; a retry may succeed."""

    code = "provider_unavailable"


class NotificationInvalid(Invalid):
    """The notification is not signed by the provider, or too long ago."""

    code = "notification_invalid"


class WantedPayment(Struct, frozen=True, kw_only=True):
    """A payment to begin. The provider keeps the ids with it; the same `payment_id` again is the same payment.

    `return_url`: where the guest goes from the provider's page. `label`: what the page says is paid. `language`: `en` or `ru`.
    """

    payment_id: UUID
    guest_id: UUID
    visit_id: UUID
    venue_id: str
    amount_minor: int
    created_at: datetime
    return_url: str
    label: str
    language: str


class BegunPayment(Struct, frozen=True):
    """A page of the provider on which the guest pays."""

    provider_id: str
    url: str


class Notification(Struct, frozen=True, kw_only=True):
    """A notification of the provider, whose signature was checked. `is_whole`: `said` has all that happened; else ask."""

    said: ProviderPayment
    is_whole: bool


class RefundMade(Struct, frozen=True):
    """A refund that the provider has taken on; `has_failed`: it could not be made after all."""

    provider_id: str
    has_failed: bool


class PaymentProvider(Protocol):
    """A payment provider. Each call raises `ProviderUnavailable` where a retry may succeed."""

    @property
    def name(self) -> PaymentProviderName:
        """The name in addresses and in the database."""

    async def begin(self, wanted: WantedPayment) -> BegunPayment:
        """Make a page to pay; the same payment again gives the same page."""

    async def look_up(self, provider_id: str) -> ProviderPayment | None:
        """The state of a payment by the id of its page; None where the provider knows none."""

    async def look_up_charge(self, charge_id: str) -> ProviderPayment | None:
        """The state of a payment by the id of what was paid."""

    async def list_since(self, since: datetime, until: datetime | None = None) -> list[ProviderPayment]:
        """The payments that began, were disputed or went back in a period."""

    async def verify(self, headers: Mapping[str, str], body: bytes) -> Notification | None:
        """Check a notification's signature and read it; None for one about something else. Raises `NotificationInvalid`."""

    async def refund(self, refund_id: UUID, charge_id: str, amount_minor: int) -> RefundMade:
        """Give an amount back, once for each `refund_id`."""

    async def close(self) -> None:
        """Close the connections."""
