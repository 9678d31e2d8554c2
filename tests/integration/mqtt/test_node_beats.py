"""Heartbeats of nodes: a silent node is offline without a will, and a thousand that beat cost one statement in a few seconds."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace as changed
from uuid import uuid4

import pytest
from msgspec.structs import replace

from tapwire_contracts.acl import BrokerRole
from tapwire_contracts.messages import NodeState
from tapwire_contracts.reasons import Presence
from tapwire_contracts.topics import DevicePath
from tapwire_core.db.views.monitoring import read_gauges
from tapwire_core.db.views.taps import list_taps
from tapwire_core.domain.policy import Policy
from tapwire_core.mqtt.connection import BrokerAddress
from tapwire_core.mqtt.home_assistant_payloads import home_state
from tapwire_core.mqtt.node_beats import NodeBeats
from tapwire_core.services.nodes import note_beats, note_silence, note_state
from tapwire_core.worker.worker import Intervals, Worker
from tapwire_demo.broker import Account, EmbeddedBroker
from tests.besides import besides
from tests.mqtt_tap import connect_tap
from tests.venue import Venue

HEARTBEAT_MS = 30_000
MISSED = "interval '91 seconds'"
LISTENED_MS = 200_000


@pytest.fixture
async def state(venue: Venue) -> NodeState:
    """The state of the venue's tap node, which has its config and nothing to say, and is known to the core."""
    revision = await venue.db.pool.fetchval("SELECT config_revision FROM taps WHERE tap_path = $1", str(venue.tap.path))
    state = replace(venue.tap.state(), config_revision=revision, heartbeat_ms=HEARTBEAT_MS)
    assert await note_state(venue.db, venue.tap.path, state)
    return state


async def presence(venue: Venue) -> str:
    found = await venue.db.pool.fetchval("SELECT status FROM node_status WHERE path = $1", str(venue.tap.path))
    return str(found)


async def last_heard(venue: Venue, ago: str) -> None:
    """Let the node have been heard last so long ago."""
    await venue.db.pool.execute(f"UPDATE node_status SET seen_at = now() - {ago}")


def later(state: NodeState, ms: int = 30_000) -> NodeState:
    """The same state, some time after."""
    return replace(state, uptime_ms=state.uptime_ms + ms)


async def test_a_node_that_missed_three_heartbeats_is_offline_everywhere(venue: Venue, state: NodeState) -> None:
    await last_heard(venue, "interval '89 seconds'")
    await note_silence(venue.db, LISTENED_MS)
    assert await presence(venue) == "online"

    await last_heard(venue, MISSED)
    await note_silence(venue.db, LISTENED_MS)

    assert await presence(venue) == "offline"
    (tap,) = (await list_taps(venue.db)).items
    assert tap.node_status is Presence.OFFLINE
    home = json.loads(home_state(tap))
    assert (home["online"], home["phase"]) == (False, "OUT_OF_SERVICE")
    await venue.db.pool.execute(
        "INSERT INTO devices (path, kind, secret_hash, broker_hash) VALUES ($1, 'taps', '\\x00', 'x') ON CONFLICT DO NOTHING",
        str(venue.tap.path),
    )
    assert [device.online for device in (await read_gauges(venue.db)).devices] == [False]


async def test_a_worker_that_has_just_begun_to_listen_holds_nobody_for_offline(venue: Venue, state: NodeState) -> None:
    await last_heard(venue, "interval '1 day'")
    await note_silence(venue.db, 3 * HEARTBEAT_MS)
    assert await presence(venue) == "online"


async def test_a_node_that_promised_no_heartbeats_is_judged_by_its_will(venue: Venue, state: NodeState) -> None:
    old = replace(state, heartbeat_ms=None, connection=2)
    assert await note_state(venue.db, venue.tap.path, old)
    await last_heard(venue, "interval '30 days'")
    await note_silence(venue.db, LISTENED_MS)
    assert await presence(venue) == "online"


async def test_a_silent_node_is_online_with_its_next_heartbeat_but_not_by_what_a_broker_retained(
    venue: Venue, state: NodeState
) -> None:
    await last_heard(venue, MISSED)
    await note_silence(venue.db, LISTENED_MS)

    await note_state(venue.db, venue.tap.path, state)
    assert await presence(venue) == "offline"
    assert await note_beats(venue.db, {venue.tap.path: later(state)}) == [venue.tap.path], "it is to be noted by itself"
    await note_state(venue.db, venue.tap.path, later(state))
    assert await presence(venue) == "online"


async def test_a_retained_state_that_is_read_again_is_no_sign_of_life(venue: Venue, state: NodeState) -> None:
    await last_heard(venue, MISSED)
    await note_state(venue.db, venue.tap.path, state)
    await note_silence(venue.db, LISTENED_MS)
    assert await presence(venue) == "offline"


async def test_a_will_ends_a_connection_that_was_only_silent(venue: Venue, state: NodeState) -> None:
    await last_heard(venue, MISSED)
    await note_silence(venue.db, LISTENED_MS)
    await note_state(venue.db, venue.tap.path, replace(state, status=Presence.OFFLINE, uptime_ms=0))
    await note_state(venue.db, venue.tap.path, later(state))
    assert await presence(venue) == "offline"


async def test_while_the_clock_is_set_back_a_living_node_stays_online_and_a_dead_one_does_not(
    venue: Venue, state: NodeState
) -> None:
    await venue.db.pool.execute("UPDATE node_status SET seen_at = now() + interval '1 day'")
    await note_silence(venue.db, LISTENED_MS)
    assert await presence(venue) == "online"
    assert await venue.db.pool.fetchval("SELECT seen_at <= now() FROM node_status")

    assert await note_beats(venue.db, {venue.tap.path: later(state)}) == []
    await last_heard(venue, MISSED)
    await note_silence(venue.db, LISTENED_MS)
    assert await presence(venue) == "offline"


async def test_a_heartbeat_is_noted_by_itself_where_the_core_must_answer_it(venue: Venue, state: NodeState) -> None:
    path = venue.tap.path
    assert await note_beats(venue.db, {path: later(state)}) == []
    for differing in (
        replace(state, config_revision=state.config_revision + 1),
        replace(state, pour_id=uuid4()),
        replace(state, boot_id=uuid4()),
        replace(state, connection=2),
        replace(state, odometer_ml=state.odometer_ml + 100),
    ):
        assert await note_beats(venue.db, {path: later(differing, 60_000)}) == [path]
    await venue.db.pool.execute("UPDATE taps SET config_revision = config_revision + 1")
    assert await note_beats(venue.db, {path: later(state, 90_000)}) == [path]


async def test_two_workers_write_the_same_heartbeat_once(venue: Venue, state: NodeState) -> None:
    writes = "SELECT xmin::text FROM node_status"
    await note_beats(venue.db, {venue.tap.path: later(state)})
    first = await venue.db.pool.fetchval(writes)
    await note_beats(venue.db, {venue.tap.path: later(state)})
    assert await venue.db.pool.fetchval(writes) == first


async def test_heartbeats_that_cannot_be_written_are_written_later_and_nobody_is_offline_for_it(
    venue: Venue, state: NodeState, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = NodeBeats()
    assert not beats.collect(venue.tap.path, state)
    beats.remember(venue.tap.path, state)
    assert beats.collect(venue.tap.path, later(state))
    await last_heard(venue, MISSED)

    async def fail(*_: object) -> list[DevicePath]:
        raise OSError("the database is away")

    with monkeypatch.context() as outage:
        outage.setattr("tapwire_core.mqtt.node_beats.note_beats", fail)
        with pytest.raises(OSError, match="away"):
            await beats.write(venue.db)
    await beats.write(venue.db)
    assert await venue.db.pool.fetchval("SELECT state->>'uptime_ms' FROM node_status") == str(later(state).uptime_ms)
    assert await presence(venue) == "online"


async def test_a_thousand_heartbeats_are_one_statement(venue: Venue, state: NodeState) -> None:
    paths = [DevicePath.parse(f"bar/readers/reader-{number}") for number in range(1_000)]
    await venue.db.pool.execute(
        "INSERT INTO devices (path, kind, secret_hash, broker_hash) SELECT path, 'readers', decode(md5(path), 'hex'), 'x'"
        " FROM unnest($1::text[]) AS path",
        [str(path) for path in paths],
    )
    states = {path: replace(state, boot_id=uuid4()) for path in paths}
    for path, shown in states.items():
        await note_state(venue.db, path, shown)
    await last_heard(venue, "interval '30 seconds'")

    began = time.monotonic()
    assert await note_beats(venue.db, {path: later(shown) for path, shown in states.items()}) == []
    took_s = time.monotonic() - began

    print(f"1,000 heartbeats in {took_s * 1000:.0f} ms")
    assert await venue.db.pool.fetchval("SELECT count(*) FROM node_status WHERE seen_at > now() - interval '20 seconds'") == 1_000
    assert took_s < 2, "thirty seconds of heartbeats must cost little"


@asynccontextmanager
async def running_worker(venue: Venue, broker: EmbeddedBroker, name: str) -> AsyncIterator[Worker]:
    policy = changed(venue.db.policy, core_heartbeat_ms=100)
    db = changed(venue.db, policy=policy)
    address = BrokerAddress(url=broker.url("core"), protocol=broker.protocol, shared=False)
    worker = Worker(db, address, Intervals(beats_s=0.1, database_check_s=0.1, reconnect_max_s=0.3), name)
    async with besides(worker.run()):
        yield worker


async def test_a_core_worker_beats_and_finds_a_node_silent_that_no_will_speaks_for(venue: Venue, mosquitto: EmbeddedBroker) -> None:
    await mosquitto.add_account(Account(str(venue.tap.path), secrets.token_urlsafe(), BrokerRole.DEVICE))
    async with running_worker(venue, mosquitto, "core-one"), connect_tap(mosquitto, str(venue.tap.path)) as tap:
        await tap.core()
        for _ in range(3):
            said = tap.cores.popitem()[1]
            assert json.loads(said)["heartbeat_ms"] == 100
            await tap.core()
        for uptime_ms in range(1_000, 1_500, 100):
            await tap.send("state", replace(venue.tap.state(), heartbeat_ms=200, uptime_ms=uptime_ms), retain=True)
            await asyncio.sleep(0.1)
        await _until_presence(venue, "online")
        await _until_presence(venue, "offline")

        await tap.send("state", replace(venue.tap.state(), heartbeat_ms=200, uptime_ms=9_000), retain=True)
        await _until_presence(venue, "online")


async def _until_presence(venue: Venue, wanted: str) -> None:
    async with asyncio.timeout(10):
        while await presence(venue) != wanted:
            await asyncio.sleep(0.02)


def test_the_defaults_are_those_of_the_contract() -> None:
    assert Policy().core_heartbeat_ms == 5_000


async def test_a_node_without_heartbeats_counts_as_heard_by_what_a_broker_retained(venue: Venue, state: NodeState) -> None:
    old = replace(state, heartbeat_ms=None, connection=2)
    await note_state(venue.db, venue.tap.path, old)
    await last_heard(venue, "interval '1 day'")
    await note_state(venue.db, venue.tap.path, old)
    assert await venue.db.pool.fetchval("SELECT seen_at > now() - interval '1 minute' FROM node_status"), "it says nothing else"
