"""The job of payments: asks the provider about what is pending, and for the refunds that are due. It needs no broker."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Never

from tapwire_core.db.engine import Database
from tapwire_core.payment_providers.provider import PaymentProvider
from tapwire_core.services.payment_requests import FIRST_WAIT, ask_for_payments, make_refunds
from tapwire_core.worker.periodic import survive

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class PaymentWatch:
    """The job of one worker; any number of them share the work."""

    db: Database
    provider: PaymentProvider
    interval_s: float = 2.0
    """Look for payments to ask about, and for refunds."""
    first_wait: timedelta = FIRST_WAIT
    """Shortest wait before the provider is asked again."""

    async def run(self) -> Never:
        """Work until cancelled. A failure here does not stop the worker from serving cards."""
        while True:
            try:
                await survive(self.step)
            except Exception:
                log.exception("payments failed; retrying")
            await asyncio.sleep(self.interval_s)

    async def step(self) -> None:
        """Ask and refund once."""
        await ask_for_payments(self.db, self.provider, self.first_wait)
        await make_refunds(self.db, self.provider, self.first_wait)
