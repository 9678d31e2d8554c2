"""Events reach receivers, signed, at least once, through every failure on the way."""

import asyncio
import socket
from collections import Counter
from uuid import UUID

from tapwire_contracts.reasons import Resolution, WebhookEventType
from tapwire_core.db.views.monitoring import read_gauges
from tapwire_core.db.views.webhooks import get_webhook
from tapwire_core.domain.closed_sets import PaymentMethod, Role
from tapwire_core.domain.webhooks import FAILURES_BEFORE_PAUSE
from tapwire_core.services import incidents, money, pour_recovery, shifts, visits
from tapwire_core.services.nodes import ask_for_reports
from tests.integration.webhooks.rig import ALL_ARRIVED, QUICK, TOP_UPS, answers, sending, subscribed, topped_up, until, with_limits
from tests.receiver import Heard, Receiver
from tests.venue import OPERATOR, Venue


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
    await pour_recovery.reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=50, reason="looked", comment="Ann Lee was here")
    await money.refund(venue.db, OPERATOR, ann.guest_id, 10_00, PaymentMethod.CASH, "she asked", venue.venue_id)
    await money.adjust(venue.db, OPERATOR, ann.guest_id, -1_00, "a glass")
    wrong = await money.top_up(venue.db, OPERATOR, ann.guest_id, 2_00, PaymentMethod.CARD)
    await money.reverse_top_up(venue.db, OPERATOR, Role.OPERATOR, ann.guest_id, wrong.movement_id, "for Bob")
    await money.comp(venue.db, OPERATOR, ann.guest_id, 5_00, "a glass")
    ended = Resolution.NO_ACTION
    for incident in await venue.incidents("rejected_insufficient_funds"):
        incident_id = UUID(str(incident["incident_id"]))
        await incidents.resolve_incident(venue.db, OPERATOR, incident_id, resolution=ended, comment="Bob knows")
    for guest in (ann, bob):
        await visits.close_visit(venue.db, OPERATOR, guest.visit_id)
    await shifts.close_shift(venue.db, OPERATOR, venue.venue_id)

    async with sending(venue.db):
        heard = await receiver.hears(22)
        await until(venue.db, ALL_ARRIVED)

    told = [one.verified(made.secret) for one in heard]
    assert Counter(event["type"] for event in told) == {
        "top_up.booked": 3,
        "top_up.reversed": 1,
        "comp.booked": 1,
        "pour.authorized": 4,
        "pour.settled": 1,
        "pour.voided": 1,
        "pour.rejected": 1,
        "incident.raised": 1,
        "pour.reconciled": 1,
        "refund.booked": 1,
        "adjustment.booked": 1,
        "incident.resolved": 1,
        "visit.opened": 2,
        "visit.closed": 2,
        "shift.closed": 1,
    }
    data = {event["type"]: event["data"] for event in told}
    pour = data["pour.settled"]
    assert (pour["pour_id"], pour["volume_ml"], pour["amount_minor"]) == (str(settled.pour_id), 100, 50_00)
    assert data["pour.rejected"]["pour_id"] == str(rejected.pour_id)
    adjusted = data["adjustment.booked"]
    assert (adjusted["amount_minor"], adjusted["guest_id"], adjusted["balance_minor"]) == (-1_00, str(ann.guest_id), 214_00)
    reversal, comp = data["top_up.reversed"], data["comp.booked"]
    assert (reversal["amount_minor"], reversal["reverses_movement_id"]) == (-2_00, wrong.movement_id)
    assert (comp["amount_minor"], comp["house_credit_minor"], comp["balance_minor"]) == (5_00, 5_00, 219_00)
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

    async with sending(with_limits(venue.db, timeout_ms=3_000)):
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


async def test_what_a_receiver_wants_remembered_is_told_to_nobody_else_at_its_address(venue: Venue, receiver: Receiver) -> None:
    receiver.headers = "Set-Cookie: session=of-the-first; Path=/\r\n"
    await subscribed(venue.db, receiver, TOP_UPS)
    async with sending(venue.db):
        for count in (1, 2):
            await topped_up(venue, [1_00])
            heard = await receiver.hears(count)
            await until(venue.db, ALL_ARRIVED)

    assert [one for one in heard if "cookie" in one.headers] == []


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


async def test_an_endpoint_that_takes_nothing_for_days_is_switched_off_and_a_person_is_told(
    venue: Venue, receiver: Receiver
) -> None:
    receiver.behave = answers(*[500] * 1_000)
    made = await subscribed(venue.db, receiver, TOP_UPS)
    await topped_up(venue, [1_00])

    async with sending(venue.db):
        await receiver.hears(1)
        await until(venue.db, "SELECT failing_since IS NOT NULL FROM webhooks")
        standing = (await read_gauges(venue.db)).webhooks
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

    assert "is a private address" in await venue.db.pool.fetchval("SELECT error FROM webhook_deliveries")
    assert receiver.heard == []
    assert made.secret


async def test_a_retry_that_a_clock_set_back_put_off_by_a_day_is_made_at_once(venue: Venue, receiver: Receiver) -> None:
    db = with_limits(venue.db)
    await subscribed(db, receiver, TOP_UPS)
    async with sending(db):
        await topped_up(venue, [10_00])
        await until(db, ALL_ARRIVED)
    await db.pool.execute("UPDATE webhooks SET retry_at = now() + interval '1 day', failures = 9, failing_since = now()")
    await db.pool.execute(
        "UPDATE webhook_deliveries SET status = 'pending', due_at = now() + interval '1 day', delivered_at = NULL"
    )

    async with sending(db):
        await until(db, ALL_ARRIVED)
