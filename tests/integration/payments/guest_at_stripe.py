"""The vocabulary of our tests of payments: a guest who pays on Stripe's page, and what becomes of it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tapwire_core.db.engine import Database
from tapwire_core.db.views.shift_reports import OnlinePayments, sum_up_shift
from tapwire_core.payment_providers.stripe_checkout import StripeCheckout
from tapwire_core.services import guest_pages, payments
from tapwire_core.services.payment_requests import (
    BegunTopUp,
    ask_for_payments,
    begin_payment,
    make_refunds,
    receive_notification,
)
from tests.stripe_stand_in import Event, StripeStandIn
from tests.venue import PRICE_MINOR, Guest, Venue


@dataclass(frozen=True)
class GuestAtStripe:
    """A guest with a page, at a venue that takes money by Stripe."""

    venue: Venue
    guest: Guest
    token: str
    stripe: StripeStandIn
    provider: StripeCheckout

    @classmethod
    async def come(cls, venue: Venue, stripe: StripeStandIn, provider: StripeCheckout, balance_minor: int = 0) -> "GuestAtStripe":
        """A guest comes, and opens their page."""
        guest = await venue.guest(balance_minor)
        page = await guest_pages.show_page(venue.db, guest.visit_id)
        return cls(venue, guest, page.token, stripe, provider)

    @property
    def db(self) -> Database:
        """The venue's database."""
        return self.venue.db

    async def begin(self, amount_minor: int = 20_00, key: str | None = None) -> BegunTopUp:
        """Begin a payment."""
        opened = await payments.open_payment(self.db, self.provider.name, self.token, amount_minor, key)
        texts = {"return_url": "http://tapwire/payments/back", "label": "Balance", "language": "en"}
        return await begin_payment(self.db, self.provider, opened, **texts)

    async def begin_and_pay(self, amount_minor: int = 20_00) -> dict[str, Any]:
        """Begin a payment and pay at Stripe; nobody has told us yet."""
        begun = await self.begin(amount_minor, key=f"pay {len(self.stripe.sessions)}")
        return self.stripe.pay(self.stripe.session_of(begun.payment_id))

    async def paid(self, amount_minor: int = 20_00) -> dict[str, Any]:
        """A payment that was paid and booked."""
        session = await self.begin_and_pay(amount_minor)
        await self.hear(self.stripe.event("checkout.session.completed", session))
        return session

    async def hear(self, event: Event) -> None:
        """A notification comes."""
        headers = {name.lower(): value for name, value in event.headers.items()}
        await receive_notification(self.db, self.provider, headers, event.body)

    async def work(self) -> tuple[int, int]:
        """The job runs now, without its waits: questions, and refunds."""
        await self.db.pool.execute("UPDATE payments SET ask_at = now() WHERE ask_at IS NOT NULL")
        await self.db.pool.execute("UPDATE payment_returns SET try_at = now() WHERE try_at IS NOT NULL")
        return await ask_for_payments(self.db, self.provider), await make_refunds(self.db, self.provider)

    async def balance(self) -> int:
        """The guest's balance."""
        return (await self.venue.balance(self.guest))[0]

    async def payment(self, payment_id: UUID | str) -> dict[str, Any]:
        """A payment's row."""
        return dict(await self.db.pool.fetchrow("SELECT * FROM payments WHERE payment_id = $1::uuid", str(payment_id)))

    async def statuses(self) -> list[str]:
        """The states of all payments, the oldest first."""
        rows = await self.db.pool.fetch("SELECT status FROM payments ORDER BY created_at, payment_id")
        return [row["status"] for row in rows]

    async def returned(self) -> list[tuple[str, str, int]]:
        """What went back: cause, status and amount."""
        rows = await self.db.pool.fetch("SELECT cause, status, amount_minor FROM payment_returns ORDER BY created_at, cause")
        return [tuple(row) for row in rows]

    async def account(self, name: str) -> int:
        """The balance of an account of the books: what was debited to it less what was credited."""
        statement = """SELECT coalesce(sum(CASE $1 WHEN debit_account THEN amount_minor ELSE -amount_minor END), 0)::bigint
            FROM money_movements WHERE $1 IN (debit_account, credit_account)"""
        found: int = await self.db.pool.fetchval(statement, name)
        return found

    async def spend(self, amount_minor: int) -> None:
        """Pour for an amount."""
        pour = await self.venue.grant(self.guest)
        await self.venue.report(pour, amount_minor * 1000 // PRICE_MINOR)

    async def online(self) -> OnlinePayments:
        """What the latest shift's report says of online payments."""
        shift_id = await self.db.pool.fetchval("SELECT shift_id FROM shifts ORDER BY opened_at DESC LIMIT 1")
        report = await sum_up_shift(self.db, shift_id)
        assert report is not None
        assert report.online_payments is not None
        assert report.by_method is not None
        assert "online_payment" not in report.by_method
        return report.online_payments
