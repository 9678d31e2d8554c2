"""The core through its door: a plain MQTT client as the tap, a real broker of either kind, a real database."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import time
from uuid import UUID, uuid4

import msgspec
import pytest

from tapwire_contracts.acl import BrokerRole
from tapwire_contracts.tasks import end_tasks
from tapwire_core.broker.client import make_client, subscribe
from tapwire_core.domain.closed_sets import TapStatus
from tapwire_core.mqtt.connection import BrokerAddress
from tapwire_core.mqtt.home_assistant import HomeAssistant
from tapwire_core.services import taps
from tapwire_core.services.pour_recovery import force_unlock
from tapwire_core.services.price_rules import PriceRuleFields, create_price_rule, delete_price_rule
from tapwire_core.worker.worker import Intervals, Worker
from tapwire_demo.broker import Account, EmbeddedBroker
from tests.mqtt_tap import MqttTap, connect_tap
from tests.venue import OPERATOR, Venue

ENDS_WITHIN_S = 15
PACE = Intervals(
    sweep_s=0.05, ask_again_s=0.2, outbox_s=0.5, progress_s=0.05, database_check_s=0.1, prices_s=0.1, reconnect_max_s=0.3
)
HEARS_ONLY = replace(PACE, outbox_s=3_600, database_check_s=1.0)
"""A worker that looks into its outbox only when it is told to, and listens again a second after it lost that connection."""
LISTENING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"


@pytest.fixture
async def core(venue: Venue, broker: EmbeddedBroker) -> AsyncIterator[Worker]:
    """A running core worker; the venue's tap has an account at the broker."""
    await broker.add_account(Account(str(venue.tap.path), secrets.token_urlsafe(), BrokerRole.DEVICE))
    five = broker.protocol == "5"
    address = BrokerAddress(url=broker.url("core"), protocol=broker.protocol, shared=five)
    worker = Worker(venue.db, address, PACE, f"core-{secrets.token_hex(4)}")
    running = asyncio.create_task(worker.run())
    yield worker
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=ENDS_WITHIN_S)
    assert done, "a worker that is told to end must end"
    assert running.cancelled()


@pytest.fixture
async def tap(core: Worker, venue: Venue, broker: EmbeddedBroker) -> AsyncIterator[MqttTap]:
    """The venue's tap, connected, with a core worker in sight."""
    async with connect_tap(broker, str(venue.tap.path)) as connected:
        await connected.core()
        yield connected


async def test_a_card_is_granted_and_its_report_settled_once_however_often_both_come(venue: Venue, tap: MqttTap) -> None:
    ann = await venue.guest(balance_minor=300_00)
    question = venue.tap.question(ann.card_uid)

    for _ in range(3):
        await tap.send("card", question)
    grant = await tap.command("pour_authorized", count=3)
    report = venue.tap.report(UUID(grant["pour_id"]), ann.card_uid, 250)
    for _ in range(3):
        await tap.send("pour/completed", report)
    verdict = await tap.command("pour_settled", count=3)

    assert grant["max_volume_ml"] == 600
    assert (verdict["outcome"], verdict["amount_minor"], verdict["balance_minor"]) == ("pending_updated_to_synced", 125_00, 175_00)
    assert await venue.balance(ann) == (175_00, 0)
    grants = [command for command in tap.commands if command["type"] == "pour_authorized"]
    assert grants == [grant] * 3


async def test_a_guest_without_money_is_told_so_in_the_exact_words(venue: Venue, tap: MqttTap) -> None:
    ann = await venue.guest(balance_minor=0)

    await tap.send("card", venue.tap.question(ann.card_uid))

    denial = await tap.command("pour_denied")
    assert (denial["reason"], denial["message"]) == (
        "insufficient_funds",
        "Insufficient funds: top up guest balance before pouring.",
    )
    assert denial["display"]["message"] == "Please top up at the counter."


@pytest.mark.parametrize(
    ("payload", "malformation"),
    [
        (b"{", "not_json"),
        (b"[" * 5000, "not_json"),
        (b'{"type":"unheard_of"}', "unknown_type"),
        (b'{"type":[]}', "unknown_type"),
        (b'{"type":"card_presented","seq":1e400}', "invalid_field"),
        (b'{"type":"card_presented"}', "invalid_field"),
        (b'{"type":"card_presented","x":"' + b"y" * 17_000 + b'"}', "oversize"),
        (b'{"type":"card_presented","reader_id":"\\u0000"}', "invalid_field"),
    ],
)
async def test_a_message_that_cannot_be_read_is_kept_and_the_next_is_answered(
    venue: Venue, tap: MqttTap, payload: bytes, malformation: str
) -> None:
    ann = await venue.guest(balance_minor=300_00)

    await tap.send("card", payload)
    await tap.send("card", payload)
    await tap.send("card", venue.tap.question(ann.card_uid))
    await tap.command("pour_authorized")
    kept = await _eventually(venue, "SELECT malformation, occurrences FROM dead_letters WHERE occurrences = 2")

    assert kept["malformation"] == malformation
    assert len(await venue.incidents("dead_letter")) == 1
    await force_unlock(venue.db, OPERATOR, ann.visit_id, reason="done")


async def test_a_report_with_a_negative_volume_gets_its_verdict(venue: Venue, tap: MqttTap) -> None:
    ann = await venue.guest(balance_minor=300_00)
    grant = await venue.grant(ann)

    report = {"type": "pour_completed", "pour_id": str(grant.pour_id), "volume_ml": -5, "card_uid": ann.card_uid + "\0"}
    await tap.send("pour/completed", report)

    verdict = await tap.command("pour_settled")
    assert (verdict["outcome"], verdict["reason"]) == ("rejected_invalid_report", "invalid_report")
    assert (await venue.pour(grant.pour_id))["sync_status"] == "pending_sync"
    await force_unlock(venue.db, OPERATOR, ann.visit_id, reason="done")


async def test_a_flow_that_cannot_be_read_is_answered_and_left_to_a_person(venue: Venue, tap: MqttTap) -> None:
    event_id = str(uuid4())

    await tap.send("flow", {"type": "unattributed_flow", "event_id": event_id, "volume_ml": "some"})

    assert await tap.command("flow_recorded") == {"type": "flow_recorded", "event_id": event_id}
    assert len(await venue.incidents("dead_letter")) == 1


async def test_what_an_unknown_device_says_is_kept(venue: Venue, core: Worker, broker: EmbeddedBroker) -> None:
    await broker.add_account(Account("bar/taps/stranger", secrets.token_urlsafe(), BrokerRole.DEVICE))
    async with connect_tap(broker, "bar/taps/stranger") as stranger:
        await stranger.core()
        await stranger.send("state", venue.tap.state())
        await stranger.send("card", venue.tap.question("04a1b2c3"))

        denial = await stranger.command("pour_denied")

    assert denial["reason"] == "tap_unknown"
    kept = await _eventually(
        venue, "SELECT count(*) AS n FROM dead_letters WHERE malformation = 'unknown_device' HAVING count(*) = 2"
    )
    assert kept["n"] == 2
    assert len(await venue.incidents("dead_letter")) == 1


async def test_an_operators_stop_reaches_the_tap_and_a_config_change_too(venue: Venue, tap: MqttTap) -> None:
    ann = await venue.guest(balance_minor=300_00)
    grant = await venue.grant(ann)
    await tap.config(status="active", sell_price_per_liter_minor=500_00)

    await force_unlock(venue.db, OPERATOR, ann.visit_id, reason="node is dead")
    await taps.change_tap(venue.db, OPERATOR, venue.tap.path, status=TapStatus.CLEANING, reason="monday")

    stop = await tap.command("stop_pour")
    assert stop == {"type": "stop_pour", "pour_id": str(grant.pour_id), "reason": "force_unlocked"}
    assert (await tap.config(status="cleaning"))["revision"] > 1


async def test_a_stop_that_is_queued_while_nobody_listens_for_it_is_sent_as_soon_as_somebody_does(
    venue: Venue, mosquitto: EmbeddedBroker
) -> None:
    await mosquitto.add_account(Account(str(venue.tap.path), secrets.token_urlsafe(), BrokerRole.DEVICE))
    address = BrokerAddress(url=mosquitto.url("core"), protocol=mosquitto.protocol, shared=True)
    running = asyncio.create_task(Worker(venue.db, address, HEARS_ONLY, "core-one").run())
    async with connect_tap(mosquitto, str(venue.tap.path)) as tap:
        await tap.core()
        ann = await venue.guest(balance_minor=300_00)
        grant = await venue.grant(ann)
        listening = await _eventually(venue, LISTENING)
        assert await venue.db.pool.fetchval("SELECT pg_terminate_backend($1, 10000)", listening["pid"])

        await force_unlock(venue.db, OPERATOR, ann.visit_id, reason="a hose burst")

        assert (await tap.command("stop_pour"))["pour_id"] == str(grant.pour_id)
    await end_tasks(running)


async def test_a_price_rule_reaches_the_taps_screen_when_it_begins_and_when_it_ends(venue: Venue, tap: MqttTap) -> None:
    before = await tap.config(sell_price_per_liter_minor=500_00)
    always = PriceRuleFields(name="Happy hour", weekdays=[*range(1, 8)], from_time=time(), to_time=time(), percent_off=50)
    rule_id = await create_price_rule(venue.db, OPERATOR, venue.venue_id, **always)

    began = await tap.config(sell_price_per_liter_minor=250_00)

    await delete_price_rule(venue.db, OPERATOR, rule_id)
    ended = await tap.config(sell_price_per_liter_minor=500_00, revision=began["revision"] + 1)
    assert began["list_price_per_liter_minor"] == 500_00
    assert began["price_rule"] == {"price_rule_id": str(rule_id), "name": "Happy hour", "until": None}
    assert began["revision"] > before["revision"]
    assert ended["price_rule"] is None


async def test_a_config_revision_below_the_nodes_is_counted_on_from_it(venue: Venue, tap: MqttTap) -> None:
    await tap.send("state", msgspec.structs.replace(venue.tap.state(), config_revision=500), retain=True)

    assert (await tap.config(revision=501))["status"] == "active"


async def test_a_config_revision_beyond_all_others_keeps_the_state(venue: Venue, tap: MqttTap) -> None:
    await tap.send("state", msgspec.structs.replace(venue.tap.state(), config_revision=2**53 - 1), retain=True)

    kept = await _eventually(venue, "SELECT state->>'config_revision' AS revision FROM node_status")
    assert kept["revision"] == str(2**53 - 1)


async def test_progress_is_kept_for_a_person_who_must_estimate(venue: Venue, tap: MqttTap) -> None:
    await tap.send("state", venue.tap.state(), retain=True)
    await _eventually(venue, "SELECT 1 FROM node_status")
    await tap.send("pour/progress", {"type": "pour_progress", "pour_id": str(uuid4()), "volume_ml": 120, "elapsed_ms": 3000})

    kept = await _eventually(venue, "SELECT progress->>'volume_ml' AS ml FROM node_status WHERE progress IS NOT NULL")
    assert kept["ml"] == "120"


async def test_a_worker_that_stops_takes_its_presence_back(venue: Venue, broker: EmbeddedBroker) -> None:
    await broker.add_account(Account(str(venue.tap.path), secrets.token_urlsafe(), BrokerRole.DEVICE))
    address = BrokerAddress(url=broker.url("core"), protocol=broker.protocol, shared=broker.protocol == "5")
    running = asyncio.create_task(Worker(venue.db, address, PACE, "core-one").run())
    async with connect_tap(broker, str(venue.tap.path)) as tap:
        await tap.core()

        running.cancel()

        await tap.no_core()


async def _eventually(venue: Venue, statement: str) -> dict[str, object]:
    async with asyncio.timeout(10):
        while (row := await venue.db.pool.fetchrow(statement)) is None:
            await asyncio.sleep(0.02)
    return dict(row)


async def test_what_the_core_publishes_tells_no_client_id_and_taking_its_published_name_throws_it_off_nowhere(
    venue: Venue, mosquitto: EmbeddedBroker
) -> None:
    for name, role in ((str(venue.tap.path), BrokerRole.DEVICE), ("home", BrokerRole.HOME)):
        await mosquitto.add_account(Account(name, secrets.token_urlsafe(), role))
    ann, address = await venue.guest(balance_minor=300_00), BrokerAddress(url=mosquitto.url("core"))
    worker, heard = Worker(venue.db, address, PACE, "core-one"), list[str]()
    home = HomeAssistant(db=venue.db, address=address, prefix="homeassistant", poll_s=0.05)
    running = [asyncio.create_task(program) for program in (worker.run(), home.run())]

    def receive(topic: str, payload: bytes) -> None:
        heard.append(f"{topic} {payload.decode()}")

    try:
        async with (
            connect_tap(mosquitto, str(venue.tap.path)) as tap,
            make_client(mosquitto.url("watcher"), "5", client_id="core-one", receive=receive) as watcher,
            make_client(mosquitto.url("home"), "5", client_id="core-one-home", receive=receive) as listener,
        ):
            for client in (watcher, listener):
                await subscribe(client, [("#", 1)])
            await tap.core()
            await tap.send("card", venue.tap.question(ann.card_uid))
            grant = await tap.command("pour_authorized")
            await tap.send("pour/completed", venue.tap.report(UUID(grant["pour_id"]), ann.card_uid, 250))
            await tap.command("pour_settled")
            async with asyncio.timeout(ENDS_WITHIN_S):
                while not any(said.startswith("tapwire/home/") for said in heard):
                    await asyncio.sleep(0.02)
    finally:
        await end_tasks(*running)

    assert any("pour_settled" in said for said in heard)
    assert [said for said in heard if worker.client_id in said] == []
