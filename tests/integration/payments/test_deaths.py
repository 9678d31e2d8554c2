"""We die between any two lines of what handles payments: nothing is booked twice, nothing is lost, and no refund is made twice."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import httpx
import pytest

from tapwire_core.payment_providers.stripe_checkout import StripeCheckout
from tapwire_core.services import payment_requests, payments
from tapwire_core.services.guests import change_guest
from tapwire_core.services.payment_requests import ask_for_payments, make_refunds
from tests.integration.payments.guest_at_stripe import GuestAtStripe
from tests.integration.rest.test_process import started
from tests.stripe_stand_in import KEY, WEBHOOK_SECRET, StripeStandIn
from tests.thoroughness import short_or_long
from tests.venue import OPERATOR, Venue

FILES = {payment_requests.__file__, payments.__file__}


class Died(BaseException):
    """The process ends at this line; open transactions end with it."""


@contextmanager
def dying_at(line: int) -> Iterator[None]:
    """Die at the n-th line of our handling of payments."""
    seen = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal seen
        if frame.f_code.co_filename not in FILES:
            return None
        if event == "line":
            seen += 1
            if seen == line:
                raise Died
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


async def at_every_line(
    prepare: Callable[[], Awaitable[Callable[[], Awaitable[object]]]], check: Callable[[], Awaitable[None]]
) -> int:
    """Prepare, die at the first line, check; likewise for each further line, until the end is reached alive. Returns the deaths."""
    line = 1
    while True:
        act = await prepare()
        try:
            with dying_at(line):
                await act()
        except Died:
            await check()
            line += 1
            continue
        await check()
        return line - 1


class Story:
    """Guests, one after the other, each of whom pays once."""

    def __init__(self, venue: Venue, stripe: StripeStandIn, provider: StripeCheckout) -> None:
        self.venue, self.stripe, self.provider = venue, stripe, provider
        self.ann: GuestAtStripe
        self.session: dict[str, Any] = {}

    async def comes(self) -> GuestAtStripe:
        """A new guest."""
        self.ann = await GuestAtStripe.come(self.venue, self.stripe, self.provider)
        return self.ann

    async def refunds(self) -> list[int]:
        """What Stripe refunded of the guest's payment."""
        intent = self.session["payment_intent"]
        return [refund["amount"] for refund in self.stripe.refunds.values() if refund["payment_intent"] == intent]

    async def status(self) -> str:
        """The state of the guest's payment."""
        return str((await self.ann.payment(self.session["client_reference_id"]))["status"])


@pytest.fixture
def story(venue: Venue, stripe: StripeStandIn, provider: StripeCheckout) -> Story:
    """The guests of a test."""
    return Story(venue, stripe, provider)


async def test_we_die_while_a_payment_begins(story: Story) -> None:
    async def prepare() -> Callable[[], Awaitable[object]]:
        ann = await story.comes()
        return lambda: ann.begin(20_00, "key")

    async def check() -> None:
        begun = await story.ann.begin(20_00, "key")
        (session,) = [its for its in story.stripe.sessions.values() if its["client_reference_id"] == str(begun.payment_id)]
        story.stripe.pay(session)
        await story.ann.work()
        assert await story.ann.balance() == 20_00

    assert await at_every_line(prepare, check) > 10


async def test_we_die_while_a_payment_begins_and_the_guest_pays_all_the_same(story: Story) -> None:
    async def prepare() -> Callable[[], Awaitable[object]]:
        ann = await story.comes()
        return lambda: ann.begin(20_00, "key")

    async def check() -> None:
        mine = str(story.ann.guest.guest_id)
        for session in [its for its in story.stripe.sessions.values() if its["metadata"]["guest_id"] == mine]:
            story.stripe.pay(session)
            await story.ann.work()
            assert await story.ann.balance() == 20_00

    assert await at_every_line(prepare, check) > 10


@pytest.mark.parametrize("hears", [True, False])
async def test_we_die_while_a_payment_is_booked(story: Story, hears: bool) -> None:
    async def prepare() -> Callable[[], Awaitable[object]]:
        ann = await story.comes()
        story.session = await ann.begin_and_pay(20_00)
        event = story.stripe.event("checkout.session.completed", story.session)
        await ann.db.pool.execute("UPDATE payments SET ask_at = now() WHERE status = 'pending'")
        return lambda: ann.hear(event) if hears else ask_for_payments(ann.db, story.provider)

    async def check() -> None:
        await story.ann.work()
        assert (await story.ann.balance(), await story.status()) == (20_00, "paid")

    assert await at_every_line(prepare, check) > 10


async def test_we_die_while_a_payment_is_refunded(story: Story) -> None:
    async def prepare() -> Callable[[], Awaitable[object]]:
        ann = await story.comes()
        story.session = await ann.begin_and_pay(20_00)
        await change_guest(ann.db, OPERATOR, ann.guest.guest_id, blocked=True)
        await ann.hear(story.stripe.event("checkout.session.completed", story.session))
        return lambda: make_refunds(ann.db, story.provider)

    async def check() -> None:
        story.stripe.answers.clear()  # as if the next try came a day later: Stripe has forgotten the key
        await story.ann.work()
        await story.ann.work()
        assert (await story.ann.balance(), await story.status(), await story.refunds()) == (0, "refunded", [20_00])

    assert await at_every_line(prepare, check) > 10


async def test_we_die_while_a_dispute_is_booked(story: Story) -> None:
    async def prepare() -> Callable[[], Awaitable[object]]:
        ann = await story.comes()
        story.session = await ann.paid(20_00)
        dispute = story.stripe.event("charge.dispute.created", story.stripe.dispute(story.session))
        return lambda: ann.hear(dispute)

    async def check() -> None:
        # Stripe got no answer, and sends it again
        dispute = next(its for its in story.stripe.disputes.values() if its["payment_intent"] == story.session["payment_intent"])
        await story.ann.hear(story.stripe.event("charge.dispute.created", dispute))
        await story.ann.work()
        assert (await story.ann.balance(), await story.status()) == (0, "reversed")

    assert await at_every_line(prepare, check) > 10


@pytest.mark.thorough
@pytest.mark.lasts
async def test_an_admin_api_that_is_killed_again_and_again_loses_and_doubles_nothing(
    venue: Venue, stripe: StripeStandIn, provider: StripeCheckout, database_url: str
) -> None:
    guests = [await GuestAtStripe.come(venue, stripe, provider) for _ in range(4)]
    stripe.latency_s = 0.02
    settings = {
        "TAPWIRE_PAYMENTS": "stripe",
        "TAPWIRE_STRIPE_SECRET_KEY": KEY,
        "TAPWIRE_STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "TAPWIRE_STRIPE_API_URL": stripe.url,
        "TAPWIRE_PUBLIC_URL": "https://taps.example",
    }
    for number in range(short_or_long(3, 20)):
        async with started(database_url, **settings) as (process, client):
            paying = [
                asyncio.create_task(pay_and_tell(client, guest, stripe, f"{number} {place}")) for place, guest in enumerate(guests)
            ]
            await asyncio.sleep(0.05 + 0.15 * number)
            process.send_signal(signal.SIGKILL)
            await process.wait()
            await asyncio.gather(*paying)
    stripe.latency_s = 0

    for _ in range(3):
        await guests[0].work()

    paid = [session for session in stripe.sessions.values() if session["payment_status"] == "paid"]
    for guest in guests:
        mine = [its for its in paid if its["metadata"]["guest_id"] == str(guest.guest.guest_id)]
        assert await guest.balance() == sum(its["amount_total"] for its in mine)
    assert len({its["client_reference_id"] for its in stripe.sessions.values()}) == len(stripe.sessions)
    assert paid, "somebody paid before we were killed"


async def pay_and_tell(client: httpx.AsyncClient, guest: GuestAtStripe, stripe: StripeStandIn, key: str) -> None:
    """A guest begins payments, pays each, and Stripe tells of it, until nobody answers any more."""
    for number in range(1_000):
        try:
            headers = {"Idempotency-Key": f"{key} {number}"}
            begun = await client.post(f"/api/public/g/{guest.token}/top-ups", json={"amount_minor": 5_00}, headers=headers)
            if begun.status_code != 201:
                return
            event = stripe.event("checkout.session.completed", stripe.pay(stripe.session_of(begun.json()["payment_id"])))
            await client.post("/api/public/payments/stripe/notifications", content=event.body, headers=event.headers)
        except httpx.TransportError:
            return
