"""Webhooks: what happens is told to receivers outside, signed, at least once, whatever fails on the way."""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from tapwire_contracts.reasons import Resolution, WebhookEventType
from tapwire_core.db.engine import Database
from tapwire_core.db.views.monitoring import read_standing
from tapwire_core.db.views.webhooks import get_webhook
from tapwire_core.domain.house import House
from tapwire_core.domain.keeping import Keeping
from tapwire_core.domain.webhooks import FAILURES_BEFORE_PAUSE, WebhookLimits
from tapwire_core.domain.words import PaymentMethod, Role
from tapwire_core.services import incidents, money, recovery, shifts, visits, webhooks
from tapwire_core.services.keeping import sweep
from tapwire_core.services.nodes import ask_for_reports
from tapwire_core.services.restoring import begin_after_restore
from tapwire_core.services.webhooks import SUBSCRIBABLE, WebhookSecret
from tapwire_core.webhook_sender import WebhookSender
from tests.receiver import Behave, Heard, Receiver
from tests.rest import Rest, done, log_in, refusal, with_key
from tests.venue import OPERATOR, Venue

QUICK = WebhookLimits(private_targets=True, retry_first_ms=20, retry_most_ms=100)
COMES_WITHIN_S = 30.0
EVERYTHING = sorted(SUBSCRIBABLE)
TOP_UPS = [WebhookEventType.TOP_UP_BOOKED]


@pytest.fixture
async def db(db: Database) -> Database:
    """The test's database, of a house that sends webhooks to this machine, and soon again."""
    return with_limits(db)


def with_limits(db: Database, **limits: Any) -> Database:
    """The database, of a house with other limits."""
    return replace(db, house=House(webhooks=replace(QUICK, **limits)))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that takes everything."""
    async with Receiver.open() as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_fault(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What workers try again must not be a fault of theirs."""
    yield
    assert [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.WARNING] == []


@asynccontextmanager
async def sending(db: Database, workers: int = 1) -> AsyncIterator[None]:
    """Workers that send."""
    senders = [asyncio.create_task(WebhookSender(db, look_every_s=0.02).run()) for _ in range(workers)]
    try:
        yield
    finally:
        for sender in senders:
            sender.cancel()
        await asyncio.wait(senders)


async def subscribed(db: Database, receiver: Receiver, types: list[WebhookEventType] = EVERYTHING) -> WebhookSecret:
    """A webhook that leads to the receiver."""
    return await webhooks.create_webhook(db, OPERATOR, url=receiver.url, event_types=types)


async def topped_up(venue: Venue, amounts: list[int]) -> None:
    """A guest's money, one booking after the other."""
    ann = await venue.guest()
    for amount in amounts:
        await money.top_up(venue.db, OPERATOR, ann.guest_id, amount, PaymentMethod.CASH, venue.venue_id)


def answers(*statuses: int) -> Behave:
    """Answer so, one after the other, and then take everything."""
    left = list(statuses)

    async def behave(_: Heard) -> int:
        return left.pop(0) if left else 200

    return behave


async def until(db: Database, question: str, *arguments: object) -> None:
    """Wait until the database says yes."""
    async with asyncio.timeout(COMES_WITHIN_S):
        while not await db.pool.fetchval(question, *arguments):
            await asyncio.sleep(0.01)


ALL_ARRIVED = "SELECT bool_and(status = 'delivered') FROM webhook_deliveries"


async def test_an_evening_is_told_as_it_happens_signed_and_without_names(venue: Venue, receiver: Receiver) -> None:
    right = await venue.another_tap("right")
    made = await subscribed(venue.db, receiver)
    ann, bob = await venue.guest(balance_minor=300_00), await venue.guest(balance_minor=50_00)
    settled = await venue.grant(ann)
    await venue.report(settled, 100)
    await venue.report(await venue.grant(ann), 0)
    rejected = await venue.grant(bob, right)
    await venue.report(rejected, 400, right)
    await venue.grant(ann)
    await recovery.reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=50, reason="looked", comment="Ann Lee was here")
    await money.refund(venue.db, OPERATOR, ann.guest_id, 10_00, PaymentMethod.CASH, "she asked", venue.venue_id)
    await money.adjust(venue.db, OPERATOR, ann.guest_id, -1_00, "a glass")
    ended = Resolution.NO_ACTION
    for incident in await venue.incidents("rejected_insufficient_funds"):
        incident_id = UUID(str(incident["incident_id"]))
        await incidents.resolve_incident(venue.db, OPERATOR, incident_id, resolution=ended, comment="Bob knows")
    for guest in (ann, bob):
        await visits.close_visit(venue.db, OPERATOR, guest.visit_id)
    await shifts.close_shift(venue.db, OPERATOR, venue.venue_id)

    async with sending(venue.db):
        heard = await receiver.hears(15)
        await until(venue.db, ALL_ARRIVED)

    told = [one.verified(made.secret) for one in heard]
    assert Counter(event["type"] for event in told) == {
        "top_up.booked": 2,
        "pour.authorized": 4,
        "pour.settled": 1,
        "pour.voided": 1,
        "pour.rejected": 1,
        "incident.raised": 1,
        "pour.reconciled": 1,
        "refund.booked": 1,
        "adjustment.booked": 1,
        "incident.resolved": 1,
        "shift.closed": 1,
    }
    data = {event["type"]: event["data"] for event in told}
    pour = data["pour.settled"]
    assert (pour["pour_id"], pour["volume_ml"], pour["amount_minor"]) == (str(settled.pour_id), 100, 50_00)
    assert data["pour.rejected"]["pour_id"] == str(rejected.pour_id)
    adjusted = data["adjustment.booked"]
    assert (adjusted["amount_minor"], adjusted["guest_id"], adjusted["balance_minor"]) == (-1_00, str(ann.guest_id), 214_00)
    assert {event["venue_id"] for event in told} == {venue.venue_id}
    assert all(one.event_id == one.event["id"] for one in heard)
    assert len({one.event_id for one in heard}) == len(heard)
    assert not any(word in one.body for one in heard for word in (b"Ann", b"Bob", b"she asked", b"looked", b"a glass"))


async def test_an_incident_that_its_pours_end_ended_is_told_as_resolved(venue: Venue, receiver: Receiver) -> None:
    kinds = [WebhookEventType.INCIDENT_RAISED, WebhookEventType.INCIDENT_RESOLVED]
    await subscribed(venue.db, receiver, kinds)
    grant = await venue.grant(await venue.guest(balance_minor=100_00))
    await venue.db.pool.execute("UPDATE pours SET authorized_at = authorized_at - interval '1 hour'")
    await ask_for_reports(venue.db, 1)
    await venue.report(grant, 100)

    async with sending(venue.db):
        heard = await receiver.hears(2)

    raised, resolved = sorted((one.event for one in heard), key=lambda event: str(event["type"]))
    assert (raised["type"], resolved["type"]) == ("incident.raised", "incident.resolved")
    assert raised["data"]["incident_id"] == resolved["data"]["incident_id"]
    assert resolved["data"]["pour_id"] == str(grant.pour_id)


async def test_what_a_receiver_does_not_take_comes_again_as_it_was(venue: Venue, receiver: Receiver) -> None:
    said = answers(500, 302)

    async def behave(heard: Heard) -> int:
        if len(receiver.heard) == 3:
            await asyncio.sleep(30)
        return await said(heard)

    receiver.behave, receiver.headers, receiver.body = behave, f"Location: {receiver.url}\r\n", b"\0x" * 10_000
    made = await subscribed(venue.db, receiver, TOP_UPS)
    await topped_up(venue, [5_00])

    async with sending(with_limits(venue.db, timeout_ms=500)):
        await receiver.hears(2)
        failing = await venue.db.pool.fetchrow("SELECT * FROM webhook_deliveries")
        heard = await receiver.hears(4)
        await until(venue.db, ALL_ARRIVED)

    assert len({(one.event_id, one.body) for one in heard}) == 1
    assert all(one.verified(made.secret) for one in heard)
    assert (failing["status"], failing["answer"][:5]) == ("pending", "xxxxx")
    assert len(failing["answer"]) <= 500
    delivered = await venue.db.pool.fetchrow("SELECT attempts, answer_status, error FROM webhook_deliveries")
    assert tuple(delivered) == (4, 200, None)
    assert await venue.db.pool.fetchval("SELECT failures FROM webhooks") == 0


async def test_a_receiver_that_is_away_gets_it_when_it_is_back(venue: Venue) -> None:
    receiver = Receiver()
    async with receiver.listening():
        await subscribed(venue.db, receiver, TOP_UPS)
    await topped_up(venue, [1_00, 2_00, 3_00])

    async with sending(venue.db):
        await until(venue.db, "SELECT failures > $1 FROM webhooks", FAILURES_BEFORE_PAUSE)
        async with receiver.listening():
            heard = await receiver.hears(3)
            await until(venue.db, ALL_ARRIVED)

    assert sorted(one.event["data"]["amount_minor"] for one in heard) == [1_00, 2_00, 3_00]


async def test_several_workers_send_each_event_once(venue: Venue, receiver: Receiver) -> None:
    async with sending(venue.db, workers=3):
        await subscribed(venue.db, receiver, TOP_UPS)
        await topped_up(venue, list(range(1, 41)))
        await until(venue.db, "SELECT count(*) = 40 FROM webhook_deliveries WHERE status = 'delivered'")

    assert sorted(one.event["data"]["amount_minor"] for one in receiver.heard) == list(range(1, 41))


async def test_what_a_worker_was_sending_when_it_died_is_sent_by_another(venue: Venue, receiver: Receiver) -> None:
    async def never(_: Heard) -> int:
        await asyncio.sleep(60)
        return 200

    receiver.behave = never
    await subscribed(venue.db, receiver, TOP_UPS)
    await topped_up(venue, [1_00])
    async with sending(venue.db):
        await receiver.hears(1)
    receiver.behave = answers()

    async with sending(venue.db):
        await asyncio.sleep(0.2)
        while_it_may_live = len(receiver.heard)
        await venue.db.pool.execute("UPDATE webhook_deliveries SET due_at = now()")
        first, second = await receiver.hears(2)
        await until(venue.db, ALL_ARRIVED)

    assert while_it_may_live == 1
    assert (first.event_id, first.body) == (second.event_id, second.body)


async def test_a_slow_receiver_keeps_no_other_one_waiting(venue: Venue, receiver: Receiver) -> None:
    gate = asyncio.Event()

    async def slow(_: Heard) -> int:
        await gate.wait()
        return 200

    async with Receiver.open(slow) as other, sending(venue.db):
        await subscribed(venue.db, other, TOP_UPS)
        await subscribed(venue.db, receiver, TOP_UPS)
        await topped_up(venue, [1_00] * 30)
        await receiver.hears(30)
        at_once = len(other.heard)
        gate.set()

    assert 1 <= at_once <= QUICK.concurrency * 3


async def test_a_fact_that_commits_after_later_ones_is_told_too(venue: Venue, receiver: Receiver) -> None:
    await subscribed(venue.db, receiver, TOP_UPS)
    ann, bob = await venue.guest(), await venue.guest()
    async with sending(venue.db):
        async with venue.db.transaction() as store:
            top_up = money.top_up.__wrapped__  # type: ignore[attr-defined]
            await top_up(store, OPERATOR, ann.guest_id, 1_00, PaymentMethod.CASH, venue.venue_id)
            await money.top_up(venue.db, OPERATOR, bob.guest_id, 2_00, PaymentMethod.CASH, venue.venue_id)
            await asyncio.sleep(0.3)
            before = len(receiver.heard)
        heard = await receiver.hears(2)

    assert before == 0
    assert sorted(one.event["data"]["amount_minor"] for one in heard) == [1_00, 2_00]


async def test_what_happened_can_be_had_again_with_its_ids_also_from_before_the_webhook(
    venue: Venue, receiver: Receiver, rest: Rest
) -> None:
    await topped_up(venue, [1_00, 2_00])
    webhook = f"/api/webhooks/{(await subscribed(venue.db, receiver, TOP_UPS)).webhook_id}"
    await topped_up(venue, [3_00])

    async with sending(venue.db):
        (first,) = list(await receiver.hears(1))
        await until(venue.db, ALL_ARRIVED)
        (delivery,) = done(await rest.engineer.get(f"{webhook}/deliveries?status=delivered"))["items"]
        one = f"{webhook}/deliveries/{delivery['delivery_id']}"
        assert done(await rest.engineer.post(f"{one}/replay", headers=with_key()), 201)["cause"] == "replay"
        again = (await receiver.hears(2))[1]
        an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        done(await rest.engineer.post(f"{webhook}/replay", json={"since": an_hour_ago}), 202)
        of_the_past = (await receiver.hears(5))[2:]
        ids = {heard.event["data"]["amount_minor"]: heard.event_id for heard in of_the_past}
        done(await rest.engineer.post(f"{webhook}/replay", json={"after_event": ids[1_00]}), 202)
        after = (await receiver.hears(7))[5:]
        await until(venue.db, ALL_ARRIVED)

    assert (again.event_id, again.body) == (first.event_id, first.body)
    assert ids.keys() == {1_00, 2_00, 3_00}
    assert ids[3_00] == first.event_id
    assert {heard.event_id for heard in after} == {ids[2_00], ids[3_00]}
    assert done(await rest.engineer.get(one))["payload"].encode() == first.body
    assert not done(await rest.engineer.get(webhook))["replaying"]


async def test_after_a_rotation_both_secrets_sign_until_the_old_ones_time_is_up(
    venue: Venue, receiver: Receiver, rest: Rest
) -> None:
    made = await subscribed(venue.db, receiver, TOP_UPS)
    rotated = done(await rest.engineer.post(f"/api/webhooks/{made.webhook_id}/rotate", headers=with_key()))
    await topped_up(venue, [1_00])

    async with sending(venue.db):
        (both,) = list(await receiver.hears(1))
        await venue.db.pool.execute("UPDATE webhooks SET old_secret_until = now()")
        await topped_up(venue, [2_00])
        _, new = await receiver.hears(2)

    assert both.verified(made.secret) == both.verified(rotated["secret"])
    assert new.verified(rotated["secret"])
    with pytest.raises(WebhookVerificationError):
        new.verified(made.secret)
    assert datetime.fromisoformat(rotated["old_secret_until"]) - datetime.now(UTC) < timedelta(hours=24)


async def test_while_it_is_off_nothing_is_sent_and_what_waited_goes_out_when_it_is_on(
    venue: Venue, receiver: Receiver, rest: Rest
) -> None:
    receiver.behave = answers(500)
    webhook = f"/api/webhooks/{(await subscribed(venue.db, receiver, TOP_UPS)).webhook_id}"
    async with sending(venue.db):
        await topped_up(venue, [1_00])
        await until(venue.db, "SELECT count(*) = 1 FROM webhook_deliveries")
        off = done(await rest.engineer.patch(webhook, json={"enabled": False}))
        await topped_up(venue, [2_00])
        await asyncio.sleep(0.1)
        ping = done(await rest.engineer.post(f"{webhook}/test"), 201)
        await until(venue.db, "SELECT status <> 'pending' FROM webhook_deliveries WHERE cause = 'test'")
        while_off = [kind for kind in receiver.types if kind == "ping"]
        done(await rest.engineer.patch(webhook, json={"enabled": True}))
        await topped_up(venue, [3_00])
        await until(venue.db, "SELECT count(*) = 2 FROM webhook_deliveries WHERE status = 'delivered' AND cause = 'event'")

    assert (off["enabled"], off["off_reason"], ping["event_type"], while_off) == (False, "by_hand", "ping", ["ping"])
    amounts = {heard.event["data"].get("amount_minor") for heard in receiver.heard}
    assert amounts - {None} == {1_00, 3_00}


async def test_an_endpoint_that_takes_nothing_for_days_is_switched_off_and_a_person_is_told(
    venue: Venue, receiver: Receiver
) -> None:
    receiver.behave = answers(*[500] * 1_000)
    made = await subscribed(venue.db, receiver, TOP_UPS)
    await topped_up(venue, [1_00])

    async with sending(venue.db):
        await receiver.hears(1)
        await until(venue.db, "SELECT failing_since IS NOT NULL FROM webhooks")
        standing = (await read_standing(venue.db)).webhooks
        await venue.db.pool.execute("UPDATE webhooks SET failing_since = failing_since - interval '5 days'")
        await until(venue.db, "SELECT NOT enabled FROM webhooks")

    webhook = await get_webhook(venue.db, made.webhook_id)
    assert webhook is not None
    assert (webhook.off_reason, webhook.waiting) == ("failing", 1)
    (incident,) = await venue.incidents("webhook_failing")
    assert "127.0.0.1" in str(incident["details"])
    assert await venue.audited("webhook_switched_off") == 1
    assert (standing[0].webhook_id, standing[0].waiting, standing[0].failures > 0) == (str(made.webhook_id), 1, True)


async def test_an_event_that_is_too_old_is_given_up_and_a_receiver_that_says_it_is_gone_is_asked_no_more(
    venue: Venue, receiver: Receiver
) -> None:
    receiver.behave = answers(500, 410)
    await subscribed(venue.db, receiver, TOP_UPS)

    async with sending(with_limits(venue.db, give_up_h=0)):
        await topped_up(venue, [1_00])
        await until(venue.db, "SELECT status = 'failed' FROM webhook_deliveries")
        given_up = await venue.db.pool.fetchrow("SELECT enabled, failures FROM webhooks")
        await topped_up(venue, [2_00])
        await until(venue.db, "SELECT NOT enabled FROM webhooks")

    assert tuple(given_up) == (True, 1)
    assert await venue.db.pool.fetchval("SELECT off_reason FROM webhooks") == "gone"
    assert len(receiver.heard) == 2


async def test_a_name_that_leads_inside_is_refused_when_something_is_sent(venue: Venue, receiver: Receiver) -> None:
    made = await subscribed(venue.db, receiver, TOP_UPS)
    await topped_up(venue, [1_00])
    # as a name of somebody's own may: this machine's name leads to loopback or to a private address
    await venue.db.pool.execute("UPDATE webhooks SET url = $1", f"https://{socket.gethostname()}:{receiver.port}/")

    async with sending(with_limits(venue.db, private_targets=False)):
        await until(venue.db, "SELECT error IS NOT NULL FROM webhook_deliveries")

    assert "inside this network" in await venue.db.pool.fetchval("SELECT error FROM webhook_deliveries")
    assert receiver.heard == []
    assert made.secret


async def test_webhooks_are_managed_by_engineers_and_their_secrets_shown_once(db: Database, rest: Rest, receiver: Receiver) -> None:
    body = {"url": receiver.url + "?token=theirs", "event_types": ["pour.settled"], "description": "the books"}
    made = done(await rest.engineer.post("/api/webhooks", json=body, headers=with_key()), 201)
    webhook = f"/api/webhooks/{made['webhook_id']}"

    changed = done(await rest.engineer.patch(webhook, json={"event_types": ["shift.closed", "pour.settled"], "description": None}))
    listed = done(await rest.engineer.get("/api/webhooks"))["items"]

    assert listed == [{**changed}]
    assert (changed["event_types"], changed["description"]) == (["pour.settled", "shift.closed"], None)
    refusal(await rest.shift_lead.get("/api/webhooks"), 403, "role_required")
    refusal(await rest.engineer.post("/api/webhooks", json={**body, "url": "ftp://x"}), 400, "webhook_url_refused")
    refusal(await rest.engineer.post("/api/webhooks", json={**body, "url": "http://169.254.169.254/"}), 400, "webhook_url_refused")
    refusal(await rest.engineer.post("/api/webhooks", json={**body, "event_types": ["ping"]}), 400, "invalid")
    refusal(await rest.engineer.post("/api/webhooks", json={**body, "event_types": []}), 400, "invalid")
    refusal(await rest.engineer.patch(webhook, json={"url": "https://a:b@example.com"}), 400, "webhook_url_refused")
    refusal(await rest.engineer.post(f"{webhook}/replay", json={}), 400, "invalid")
    refusal(await rest.engineer.post(f"{webhook}/replay", json={"after_event": made["webhook_id"]}), 404, "not_found")
    refusal(await rest.engineer.post(f"{webhook}/deliveries/{made['webhook_id']}/replay"), 404, "not_found")
    done(await rest.engineer.post(f"{webhook}/test"), 201)
    done(await rest.engineer.delete(webhook), 204)
    refusal(await rest.engineer.get(f"{webhook}/deliveries"), 404, "not_found")
    refusal(await rest.engineer.patch(webhook, json={"enabled": True}), 404, "not_found")
    kept = str([await db.pool.fetch(f"SELECT * FROM {table}") for table in ("audit", "idempotent_answers")])
    assert made["secret"] not in kept
    assert "theirs" not in kept
    assert kept.count("webhook_") >= 4


async def test_the_console_manages_webhooks_as_the_api_does(venue: Venue, rest: Rest, receiver: Receiver) -> None:
    async def seen(path: str, language: str = "ru") -> str:
        answer = await rest.engineer.get(path, headers={"Cookie": f"tapwire_language={language}"})
        assert answer.status_code == 200, answer.text
        return answer.text

    async def sent(path: str, **fields: str) -> httpx.Response:
        return await rest.engineer.post(path, data={"key": str(uuid4())} | fields)

    wanted = {"wants top_up.booked": "true", "url": receiver.url}
    assert 'name="wants shift.closed"' in await seen("/webhooks/new")
    pressed = [await sent("/webhooks/new", description="the books", key="pressed twice", **wanted) for _ in range(2)]
    assert "data-secret>whsec_" in pressed[0].text
    assert pressed[0].text == pressed[1].text
    (made,) = done(await rest.engineer.get("/api/webhooks"))["items"]
    path = f"/webhooks/{made['webhook_id']}"
    await topped_up(venue, [1_00])
    async with sending(venue.db):
        await sent(f"{path}/test")
        await receiver.hears(2)
        await until(venue.db, ALL_ARRIVED)
    deliveries = done(await rest.engineer.get(f"/api{path}/deliveries"))["items"]
    (booked,) = [delivery for delivery in deliveries if delivery["event_type"] == "top_up.booked"]
    assert "Доставлено" in await seen(f"{path}/deliveries?status=delivered")
    assert "Arrived" in await seen(f"{path}/deliveries/{booked['delivery_id']}", "en")
    assert (await sent(f"{path}/deliveries/{booked['delivery_id']}/replay")).headers["HX-Redirect"] == f"{path}/deliveries"
    assert "sent again" in (await sent(f"{path}/replay", since="2026-01-01T12:00")).headers["HX-Trigger"]
    assert "whsec_" in (await sent(f"{path}/rotate")).text
    assert (await sent(path, **wanted)).headers["HX-Redirect"] == "/webhooks"
    assert "switched off" in await seen("/webhooks", "en")
    changed = done(await rest.engineer.get(f"/api{path}"))
    assert (changed["enabled"], changed["description"], changed["event_types"]) == (False, None, ["top_up.booked"])
    assert "checked" in await seen(path)
    await sent(f"{path}/delete")
    assert done(await rest.engineer.get("/api/webhooks"))["items"] == []


async def test_there_are_only_so_many_webhooks(db: Database, rest: Rest, receiver: Receiver) -> None:
    await subscribed(db, receiver)
    await db.pool.execute(
        """INSERT INTO webhooks (webhook_id, url, event_types, enabled, off_reason, active_since, secret, created_by)
           SELECT gen_random_uuid(), url, event_types, false, 'by_hand', now(), secret, 'x'
           FROM webhooks, generate_series(2, $1)""",
        webhooks.MOST_WEBHOOKS,
    )

    one_more = {"url": receiver.url, "event_types": ["pour.settled"]}
    assert refusal(await rest.engineer.post("/api/webhooks", json=one_more), 409, "too_many_webhooks")["most"] == 50


async def test_after_a_restore_nothing_is_sent_until_an_engineer_says_so(venue: Venue, receiver: Receiver, rest: Rest) -> None:
    made = await subscribed(venue.db, receiver, TOP_UPS)
    await topped_up(venue, [1_00])

    await begin_after_restore(venue.db, OPERATOR, datetime.now(UTC))
    async with sending(venue.db):
        await asyncio.sleep(0.2)
        before = len(receiver.heard)
        token = await log_in(venue.db, Role.ENGINEER)
        webhook, engineer = f"/api/webhooks/{made.webhook_id}", {"Authorization": f"Bearer {token}"}
        assert done(await rest.nobody.get(webhook, headers=engineer))["off_reason"] == "restored"
        done(await rest.nobody.patch(webhook, json={"enabled": True}, headers=engineer))
        await topped_up(venue, [2_00])
        heard = await receiver.hears(1)

    assert before == 0
    assert heard[0].event["data"]["amount_minor"] == 2_00


async def test_deliveries_and_events_go_when_their_time_has_come(venue: Venue, receiver: Receiver) -> None:
    await subscribed(venue.db, receiver, TOP_UPS)
    await topped_up(venue, [1_00])
    async with sending(venue.db):
        await receiver.hears(1)
        await until(venue.db, ALL_ARRIVED)
    for table in ("webhook_events", "webhook_deliveries"):
        await venue.db.pool.execute(f"UPDATE {table} SET created_at = created_at - interval '29 days'")
    assert not any((await sweep(venue.db, Keeping())).values())

    gone = await sweep(venue.db, Keeping(webhooks_days=29))

    assert (gone["webhook_deliveries"], gone["webhook_events"]) == (1, 1)
