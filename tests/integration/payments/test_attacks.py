"""Payments under attack: what a guest is told, what many requests at once cost, and what one odd payment holds up."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tapwire_core.db.engine import Database
from tapwire_core.domain.payment_facts import ProviderPayment
from tapwire_core.payment_providers.simulated import PAGE_PATH, SimulatedProvider
from tapwire_core.payment_providers.stripe_checkout import StripeCheckout, open_stripe
from tapwire_core.services import guest_pages, payments
from tapwire_core.services.payment_requests import ask_since
from tests.integration.payments.guest_at_stripe import GuestAtStripe
from tests.rest import Rest, done, refusal, with_key
from tests.stripe_stand_in import WEBHOOK_SECRET, StripeStandIn
from tests.venue import Venue

NOTIFICATIONS = "/api/public/payments/stripe/notifications"
SESSIONS = ("POST", "/v1/checkout/sessions")


@pytest.fixture
async def ann(venue: Venue, stripe: StripeStandIn, provider: StripeCheckout) -> GuestAtStripe:
    """A guest with nothing on the account."""
    return await GuestAtStripe.come(venue, stripe, provider)


@pytest.fixture
async def paying(db: Database, provider: StripeCheckout) -> AsyncIterator[Rest]:
    """The API of an installation that takes money by Stripe."""
    async with Rest.open(db, provider) as opened:
        yield opened


async def test_a_guest_is_not_told_what_the_provider_says_of_the_account(
    ann: GuestAtStripe, db: Database, stripe: StripeStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = open_stripe("sk_live_wrong", WEBHOOK_SECRET, stripe.url, "EUR")
    async with Rest.open(db, wrong) as rest:
        answer = await rest.nobody.post(f"/api/public/g/{ann.token}/top-ups", json={"amount_minor": 20_00})
        page = await rest.nobody.post(f"/g/{ann.token}/top-up", data={"amount_minor": "20"})
    await wrong.close()

    refusal(answer, 503, "provider_unavailable")
    assert "API Key" not in answer.text + page.text
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name != "httpx")  # this test's own requests
    assert "Invalid API Key provided" in logged, "who runs it needs to know"
    assert "sk_live_wrong" not in logged
    assert ann.token not in logged


async def test_many_who_begin_one_payment_at_once_take_one_request(paying: Rest, ann: GuestAtStripe) -> None:
    ann.stripe.latency_s = 0.3
    door, key = f"/api/public/g/{ann.token}/top-ups", with_key()

    answers = await asyncio.gather(
        *(paying.nobody.post(door, json={"amount_minor": 20_00}, headers=key) for _ in range(30)),
        *(paying.nobody.post(door, json={"amount_minor": 30_00}) for _ in range(30)),
    )

    assert len({done(answer, 201)["url"] for answer in answers}) == 2
    assert ann.stripe.asked.count(SESSIONS) == 2


async def test_one_who_leaves_does_not_take_the_page_from_the_others(paying: Rest, ann: GuestAtStripe) -> None:
    ann.stripe.latency_s = 0.3
    door, key = f"/api/public/g/{ann.token}/top-ups", with_key()
    first = asyncio.create_task(paying.nobody.post(door, json={"amount_minor": 20_00}, headers=key))
    while SESSIONS not in ann.stripe.asked and not await ann.statuses():
        await asyncio.sleep(0.01)
    second = asyncio.create_task(paying.nobody.post(door, json={"amount_minor": 20_00}, headers=key))
    await asyncio.sleep(0.1)

    first.cancel()

    assert done(await second, 201)["url"].startswith("https://checkout.stripe.com/")
    ann.stripe.latency_s = 0
    assert done(await paying.nobody.post(door, json={"amount_minor": 20_00}, headers=key), 201) == (await second).json()


async def test_a_payment_that_meets_a_bug_holds_up_no_other_one(
    ann: GuestAtStripe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    odd = await ann.begin_and_pay(20_00)
    await ann.begin_and_pay(30_00)
    look_up = ann.provider.look_up

    async def fail_at_odd(_: Any, provider_id: str) -> Any:
        if provider_id == odd["id"]:
            raise ValueError("a bug")
        return await look_up(provider_id)

    monkeypatch.setattr(StripeCheckout, "look_up", fail_at_odd)

    await ann.work()

    assert (await ann.balance(), await ann.statuses()) == (30_00, ["pending", "paid"])
    assert f"{odd['client_reference_id']} failed; asked again later" in caplog.text


async def test_a_payment_that_meets_a_bug_keeps_no_other_one_from_a_restored_database(
    ann: GuestAtStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = await ann.begin_and_pay(20_00)
    await ann.begin_and_pay(30_00)
    take_in = payments.take_in

    async def fail_at_odd(db: Database, name: Any, said: ProviderPayment) -> Any:
        if said.provider_id == odd["id"]:
            raise ValueError("a bug")
        return await take_in(db, name, said)

    monkeypatch.setattr(payments, "take_in", fail_at_odd)

    asked = await ask_since(ann.db, ann.provider, datetime.now(UTC) - timedelta(hours=1))

    assert (asked.known, [said.provider_id for said in asked.unknown]) == (1, [odd["id"]])
    assert await ann.balance() == 30_00


async def test_a_refund_of_nothing_changes_nothing(ann: GuestAtStripe) -> None:
    session = await ann.begin_and_pay(20_00)
    ann.stripe.refund_by_hand(session, 0)

    await ann.work()

    assert (await ann.balance(), await ann.statuses()) == (20_00, ["paid"])


@pytest.mark.parametrize("host", ["[bad", "a@b", "evil.example:99999999"])
async def test_a_host_that_is_none_stands_in_no_address(db: Database, venue: Venue, host: str) -> None:
    guest = await venue.guest()
    token = (await guest_pages.show_page(db, guest.visit_id)).token
    async with Rest.open(db, SimulatedProvider(db)) as rest:
        begun = await rest.nobody.post(f"/g/{token}/top-up", data={"amount_minor": "20"}, headers={"host": host})
        shown = await rest.operator.get(f"/api/visits/{guest.visit_id}/guest-page", headers={"host": host})

    assert (begun.status_code, shown.status_code) == (200, 400)
    assert host not in begun.text + shown.text
    assert PAGE_PATH not in begun.text


@pytest.mark.parametrize("signature", ["t={now},v1=é", "t={now},v1=", "v1=a", "t=" + "9" * 5_000, ""])
async def test_a_notification_with_an_odd_signature_is_refused_like_any_forged_one(
    paying: Rest, ann: GuestAtStripe, signature: str, caplog: pytest.LogCaptureFixture
) -> None:
    header = signature.format(now=round(time.time())).encode()

    answer = await paying.nobody.post(NOTIFICATIONS, content=b"{}", headers={b"stripe-signature": header})

    refusal(answer, 400, "notification_invalid")
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert await ann.statuses() == []


async def test_a_nested_notification_of_the_test_provider_is_refused(db: Database, venue: Venue) -> None:
    await venue.guest()
    async with Rest.open(db, SimulatedProvider(db)) as rest:
        answer = await rest.nobody.post("/api/public/payments/test/notifications", content=b'{"x":' + b"[" * 120_000)

    refusal(answer, 400, "notification_invalid")


@pytest.mark.parametrize("provider_id", ["a\\u0000b", "\\ud800", "test_", "x" * 9_000])
async def test_a_notification_of_no_page_of_the_test_provider_is_refused(
    db: Database, venue: Venue, provider_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    await venue.guest()
    body = f'{{"provider_id":"{provider_id}","sent_at":1{"0" * 400}}}'
    with caplog.at_level(logging.ERROR):
        async with Rest.open(db, SimulatedProvider(db)) as rest:
            refusal(
                await rest.nobody.post("/api/public/payments/test/notifications", content=body.encode()),
                400,
                "notification_invalid",
            )
            assert (await rest.nobody.get(f"{PAGE_PATH}{'y' * 2_000}")).status_code == 404
    assert not caplog.records
