"""Payments of this process: the provider of the settings, and what guests may pay by it."""

import asyncio
import functools
from typing import Any, Final
from uuid import UUID

from litestar import Request

from tapwire_admin.guest_pages import GuestPages
from tapwire_admin.requests.public_urls import public_url
from tapwire_core.db.engine import Database
from tapwire_core.payment_providers.provider import PaymentProvider
from tapwire_core.payment_providers.simulated import SimulatedProvider
from tapwire_core.services import payment_requests, payments
from tapwire_core.services.payment_requests import BegunTopUp
from tapwire_core.services.payments import PaymentsOff

BACK_PATH: Final = "/payments/back"
"""Where a provider's page leads. It knows no guest: the address of the guest's page stays between us and the telephone."""


class Payments:
    """The provider, if one is configured."""

    def __init__(self, db: Database, provider: PaymentProvider | None) -> None:
        self._db: Final = db
        self._provider: Final = provider
        self._begun: Final[dict[UUID, asyncio.Task[BegunTopUp]]] = {}

    @property
    def is_on(self) -> bool:
        """True where guests may pay."""
        return self._provider is not None

    @property
    def provider(self) -> PaymentProvider:
        """The provider; raises `PaymentsOff` without one."""
        if self._provider is None:
            raise PaymentsOff("No payment provider is configured: top up at the counter.")
        return self._provider

    @property
    def simulated(self) -> SimulatedProvider | None:
        """The provider `test`, if it is the one."""
        return self._provider if isinstance(self._provider, SimulatedProvider) else None

    async def begin(
        self,
        request: Request[Any, Any, Any],
        pages: GuestPages,
        token: str,
        amount_minor: int,
        *,
        language: str,
        key: str | None = None,
    ) -> BegunTopUp:
        """Begin a payment of a page's guest; the same `key` again is the same payment.

        Those who begin the same payment at once wait for one request, so that nobody takes up the provider's connections alone.
        """
        facts = await pages.find(request, token)
        opened = await payments.open_payment(self._db, self.provider.name, token, amount_minor, key)
        running = self._begun.get(opened.payment_id)
        if running is None:
            texts = {"return_url": f"{public_url(request)}{BACK_PATH}", "label": facts.venue, "language": language}
            running = asyncio.create_task(payment_requests.begin_payment(self._db, self.provider, opened, **texts))
            self._begun[opened.payment_id] = running
            running.add_done_callback(functools.partial(self._forget, opened.payment_id))
        # a telephone that leaves cancels its own wait alone
        return await asyncio.shield(running)

    def _forget(self, payment_id: UUID, ended: asyncio.Task[BegunTopUp]) -> None:
        """Take the request away that has ended; its failure is for those who still wait, if anybody does."""
        del self._begun[payment_id]
        if not ended.cancelled():
            ended.exception()
