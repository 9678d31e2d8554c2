"""Engineers say what is told to whom: what was told can be had again, secrets change, a webhook is off for a while or for good."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import Role
from tapwire_core.domain.retention import RetentionPeriods
from tapwire_core.domain.shown import Noun
from tapwire_core.services import webhooks
from tapwire_core.services.restore import begin_after_restore
from tapwire_core.services.retention import delete_expired
from tests.integration.webhooks.rig import ALL_ARRIVED, TOP_UPS, answers, sending, subscribed, topped_up, until
from tests.receiver import Receiver
from tests.rest import Rest, done, form_about, log_in, refusal, with_key
from tests.venue import OPERATOR, Venue


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
        about = form_about(Noun.WEBHOOK, path.split("/")[2]) if path != "/webhooks/new" else {}
        return await rest.engineer.post(path, data={"key": str(uuid4())} | about | fields)

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
    assert "Delivered" in await seen(f"{path}/deliveries/{booked['delivery_id']}", "en")
    assert (await sent(f"{path}/deliveries/{booked['delivery_id']}/replay")).headers["HX-Redirect"] == f"{path}/deliveries"
    assert "Resending events" in (await sent(f"{path}/replay", since="2026-01-01T12:00")).headers["HX-Trigger"]
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
        webhooks.MAX_WEBHOOKS,
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
    assert not any((await delete_expired(venue.db, RetentionPeriods())).values())

    gone = await delete_expired(venue.db, RetentionPeriods(webhooks_days=29))

    assert (gone["webhook_deliveries"], gone["webhook_events"]) == (1, 1)
