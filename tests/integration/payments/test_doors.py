"""The doors of payments: the guest's, the provider's and the staff's, over HTTP."""

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import Role
from tapwire_core.payment_providers.simulated import PAGE_PATH, SimulatedProvider
from tapwire_core.payment_providers.stripe_checkout import StripeCheckout
from tapwire_core.services import guest_pages
from tapwire_core.services.payment_requests import ask_for_payments, make_refunds
from tapwire_core.services.venues import create_venue
from tests.integration.payments.guest_at_stripe import GuestAtStripe
from tests.rest import Rest, done, refusal, with_key
from tests.stripe_stand_in import StripeStandIn
from tests.venue import OPERATOR, Venue

NOTIFICATIONS = "/api/public/payments/stripe/notifications"


@pytest.fixture
async def ann(venue: Venue, stripe: StripeStandIn, provider: StripeCheckout) -> GuestAtStripe:
    """A guest with nothing on the account."""
    return await GuestAtStripe.come(venue, stripe, provider)


@pytest.fixture
async def paying(db: Database, provider: StripeCheckout) -> AsyncIterator[Rest]:
    """The API of an installation that takes money by Stripe."""
    async with Rest.open(db, provider) as opened:
        yield opened


@pytest.fixture
async def trying(db: Database) -> AsyncIterator[Rest]:
    """The API of an installation with the provider `test`."""
    async with Rest.open(db, SimulatedProvider(db)) as opened:
        yield opened


async def test_a_guest_pays_and_staff_see_it(paying: Rest, ann: GuestAtStripe) -> None:
    door, key = f"/api/public/g/{ann.token}/top-ups", with_key()
    begun = [done(await paying.nobody.post(door, json={"amount_minor": 20_00}, headers=key), 201) for _ in range(2)]
    session = ann.stripe.session_of(begun[0]["payment_id"])
    assert begun[0] == begun[1] == {"payment_id": session["client_reference_id"], "url": session["url"]}
    assert session["success_url"] == "http://tapwire/payments/back", "no one else is told the guest's address"
    assert ann.token not in str(session)

    event = ann.stripe.event("checkout.session.completed", ann.stripe.pay(session))
    for _ in range(2):
        done(await paying.nobody.post(NOTIFICATIONS, content=event.body, headers=event.headers), 204)

    page = done(await paying.nobody.get(f"/api/public/g/{ann.token}"))
    assert (page["balance_minor"], page["top_up"]) == (20_00, {"min_minor": 5_00, "max_minor": 200_00})
    (listed,) = done(await paying.operator.get("/api/payments?status=paid"))["items"]
    assert (listed["status"], listed["booked_minor"], listed["guest_name"]) == ("paid", 20_00, "Ann")
    assert done(await paying.operator.get(f"/api/payments?guest_id={uuid4()}"))["items"] == []
    assert done(await paying.operator.get("/api/payments?status=expired"))["items"] == []
    (ledger,) = done(await paying.operator.get(f"/api/guests/{ann.guest.guest_id}/ledger"))["items"]
    assert (ledger["kind"], ledger["method"], ledger["payment_id"]) == ("top_up", "online_payment", listed["payment_id"])


async def test_the_doors_refuse_what_they_must(paying: Rest, ann: GuestAtStripe) -> None:
    door = f"/api/public/g/{ann.token}/top-ups"
    refusal(await paying.nobody.post(door, json={"amount_minor": 1}), 409, "top_up_limit")
    refusal(await paying.nobody.post(door, json={"amount_minor": 0}), 400, "invalid")
    refusal(await paying.nobody.post(door, json={"amount_minor": 5_00, "tip": 1}), 400, "invalid")
    refusal(await paying.nobody.post("/api/public/g/unknown/top-ups", json={"amount_minor": 5_00}), 404, "not_found")
    done(await paying.nobody.post(door, json={"amount_minor": 5_00}, headers=with_key("one")), 201)
    again = await paying.nobody.post(door, json={"amount_minor": 6_00}, headers=with_key("one"))
    refusal(again, 422, "idempotency_key_reused")
    event = ann.stripe.event("checkout.session.completed", {}, secret="whsec_other")
    refusal(await paying.nobody.post(NOTIFICATIONS, content=event.body, headers=event.headers), 400, "notification_invalid")
    refusal(await paying.nobody.post("/api/public/payments/test/notifications", content=b"{}"), 404, "not_found")
    ann.stripe.broken = 3
    refusal(await paying.nobody.post(door, json={"amount_minor": 7_00}), 503, "provider_unavailable")
    refusal(await paying.nobody.get("/api/payments"), 401, "login_required")


async def test_without_a_provider_nothing_is_offered(rest: Rest, venue: Venue) -> None:
    guest = await venue.guest()
    token = (await guest_pages.show_page(venue.db, guest.visit_id)).token

    assert done(await rest.nobody.get(f"/api/public/g/{token}"))["top_up"] is None
    refusal(await rest.nobody.post(f"/api/public/g/{token}/top-ups", json={"amount_minor": 5_00}), 409, "payments_off")
    assert "top-up" not in (await rest.nobody.get(f"/g/{token}")).text
    assert "/payments" not in (await rest.operator.get("/more")).text
    assert (await rest.nobody.get(f"{PAGE_PATH}any")).status_code == 404


async def test_another_venues_payments_are_not_listed(paying: Rest, ann: GuestAtStripe) -> None:
    await ann.paid()
    await create_venue(ann.db, OPERATOR, venue_id="cafe", name="Café", time_zone="Europe/Berlin")
    await ann.db.pool.execute("UPDATE users SET venues = '{cafe}' WHERE username = $1", Role.SHIFT_LEAD)

    assert done(await paying.shift_lead.get("/api/payments"))["items"] == []
    (ledger,) = done(await paying.shift_lead.get(f"/api/guests/{ann.guest.guest_id}/ledger"))["items"]
    assert (ledger["kind"], ledger["amount_minor"], ledger["payment_id"]) == ("top_up", 20_00, None)


async def test_a_newcomer_tops_up_on_the_test_page(trying: Rest, venue: Venue) -> None:
    guest = await venue.guest()
    token = (await guest_pages.show_page(venue.db, guest.visit_id)).token
    phone = trying.nobody
    assert 'value="10.00"' in (await phone.get(f"/g/{token}?lang=en")).text

    going = await phone.post(f"/g/{token}/top-up", data={"amount_minor": "10,00", "key": "k"})
    (provider_id,) = [row["provider_id"] for row in await venue.db.pool.fetch("SELECT provider_id FROM payments")]
    assert f'url=http://tapwire{PAGE_PATH}{provider_id}"' in going.text
    page = await phone.get(f"{PAGE_PATH}{provider_id}?lang=en")
    assert "Nobody pays anything" in page.text
    back = await phone.post(f"{PAGE_PATH}{provider_id}", data={"press": "pay"})

    assert (back.status_code, back.headers["location"]) == (303, "http://tapwire/payments/back")
    assert await venue.balance(guest) == (10_00, 0)
    home = await phone.get("/payments/back")
    assert (home.status_code, home.headers["location"]) == (303, f"/g/{token}")
    for press, balance_minor in (("dispute", 0), ("dispute", 0), ("lose_dispute", 10_00), ("dispute", 10_00)):
        assert (await phone.post(f"{PAGE_PATH}{provider_id}", data={"press": press})).status_code == 200
        assert await venue.balance(guest) == (balance_minor, 0)
    async with httpx.AsyncClient(transport=phone._transport, base_url="http://tapwire") as stranger:
        assert "Open your own page again" in (await stranger.get("/payments/back?lang=en")).text
    kept = str([dict(row) for table in ("payments", "simulated_checkouts", "audit") for row in await _rows(venue.db, table)])
    assert token not in kept


async def test_the_test_provider_is_asked_and_refunds_like_another(trying: Rest, venue: Venue, db: Database) -> None:
    guest = await venue.guest()
    token = (await guest_pages.show_page(db, guest.visit_id)).token
    done(await trying.nobody.post(f"/api/public/g/{token}/top-ups", json={"amount_minor": 10_00}), 201)
    provider = SimulatedProvider(db)
    await db.pool.execute("UPDATE simulated_checkouts SET state = 'paid'")
    await db.pool.execute("UPDATE guests SET blocked = true")
    await db.pool.execute("UPDATE payments SET ask_at = now(), provider_id = NULL")

    await ask_for_payments(db, provider)
    await make_refunds(db, provider)

    assert await db.pool.fetchval("SELECT status FROM payments") == "refunded"
    forged = await trying.nobody.post("/api/public/payments/test/notifications", json={"provider_id": "test_x", "sent_at": 0})
    refusal(forged, 400, "notification_invalid")


@pytest.mark.parametrize("language", ["en", "ru"])
async def test_the_pages_speak_both_languages(trying: Rest, venue: Venue, language: str) -> None:
    guest = await venue.guest()
    token = (await guest_pages.show_page(venue.db, guest.visit_id)).token
    refused = await trying.nobody.post(f"/g/{token}/top-up?lang={language}", data={"amount_minor": "1", "key": "k"})
    assert {"en": "€5.00 to €200.00", "ru": "5,00"}[language] in refused.text
    unreadable = await trying.nobody.post(f"/g/{token}/top-up?lang={language}", data={"amount_minor": "much", "key": "k"})
    assert {"en": "That did not work", "ru": "Не получилось"}[language] in unreadable.text
    assert (await trying.nobody.post("/g/unknown/top-up", data={"amount_minor": "5"})).status_code == 303
    done(await trying.nobody.post(f"/api/public/g/{token}/top-ups", json={"amount_minor": 10_00}), 201)

    page = await trying.operator.get("/payments?status=pending", cookies={"tapwire_language": language})

    assert {"en": "Payments by telephone", "ru": "Платежи по телефону"}[language] in page.text
    assert f'href="/guests/{guest.guest_id}"' in page.text
    of_guest = await trying.operator.get(f"/payments?guest_id={guest.guest_id}", cookies={"tapwire_language": language})
    assert of_guest.status_code == 200


async def _rows(db: Database, table: str) -> list[dict[str, object]]:
    return [dict(row) for row in await db.pool.fetch(f"SELECT * FROM {table}")]
