"""Two workers without shared subscriptions: each message is decided once when they agree, and the books agree when they don't."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from tapwire_contracts.acl import BrokerRole
from tapwire_contracts.topics import core_state_topic
from tapwire_core.broker.client import make_client
from tapwire_core.domain.tap_shares import decides
from tapwire_core.mqtt.connection import BrokerAddress
from tapwire_core.services.heartbeats import announce_worker, withdraw_worker
from tapwire_core.worker.worker import Intervals, Worker
from tapwire_demo.broker import Account, EmbeddedBroker
from tests.besides import besides
from tests.integration.database.test_clock_set_back import set_back
from tests.mqtt_tap import MqttTap, connect_tap
from tests.venue import Venue

TAKEOVER_MS = 1_500
REPEATED_EACH_S = 0.1
PACE = Intervals(sweep_s=5, outbox_s=0.5, progress_s=0.1, database_check_s=0.1, reconnect_max_s=0.3)


@pytest.fixture
def venue(venue: Venue) -> Venue:
    """A venue whose workers soon take over from each other."""
    return replace(venue, db=replace(venue.db, policy=replace(venue.db.policy, takeover_ms=TAKEOVER_MS)))


@asynccontextmanager
async def workers_at(venue: Venue, broker: EmbeddedBroker, *names: str) -> AsyncIterator[list[Worker]]:
    """Running workers that know of each other."""
    address = BrokerAddress(url=broker.url("core"), protocol=broker.protocol)
    workers = [Worker(venue.db, address, PACE, name) for name in names]
    async with besides(*(worker.run() for worker in workers)):
        await asyncio.sleep(TAKEOVER_MS / 1000)
        yield workers


@pytest.fixture
async def tap(venue: Venue, broker: EmbeddedBroker) -> AsyncIterator[MqttTap]:
    await broker.add_account(Account(str(venue.tap.path), secrets.token_urlsafe(), BrokerRole.DEVICE))
    async with connect_tap(broker, str(venue.tap.path)) as connected:
        yield connected


def decided(workers: list[Worker], kind: str) -> list[int]:
    """How many messages of a type each worker decided."""
    return [
        round(worker.metrics.registry.get_sample_value("tapwire_message_seconds_count", {"type": kind}) or 0) for worker in workers
    ]


async def ask(tap: MqttTap, question: Any, kind: str = "pour_authorized") -> Mapping[str, Any]:
    """Ask as a node does: again and again, unchanged, until the answer comes."""
    async with asyncio.timeout(20):
        while not (answers := [said for said in tap.commands if said.get("request_id") == str(question.event_id)]):
            await tap.send("card", question)
            await asyncio.sleep(REPEATED_EACH_S)
    assert answers[0]["type"] == kind
    return answers[0]


async def pours(venue: Venue) -> int:
    found: int = await venue.db.pool.fetchval("SELECT count(*) FROM pours")
    return found


def owner(venue: Venue, *others: str) -> str:
    """The name of a worker to which the venue's tap belongs, and not to these others."""
    return next(name for name in map(str, range(1_000)) if decides(name, others, str(venue.tap.path)))


@asynccontextmanager
async def announced(venue: Venue, name: str) -> AsyncIterator[None]:
    """A worker in the database while the block runs; it hears no device."""

    async def announce() -> None:
        while True:
            await announce_worker(venue.db, name)
            await asyncio.sleep(TAKEOVER_MS / 4000)

    async with besides(announce()):
        yield


@asynccontextmanager
async def presence(broker: EmbeddedBroker, name: str) -> AsyncIterator[None]:
    """A worker's presence at the broker while the block runs; then it is cleared, as its will does."""
    async with make_client(broker.url("core"), broker.protocol) as client:
        await client.publish(core_state_topic(name), b"{}", qos=1, retain=True)
        yield
        await client.publish(core_state_topic(name), b"", qos=1, retain=True)


async def test_each_question_is_decided_by_the_one_worker_that_its_tap_belongs_to(
    venue: Venue, broker: EmbeddedBroker, tap: MqttTap
) -> None:
    ann = await venue.guest(balance_minor=300_00)
    async with workers_at(venue, broker, "core-one", "core-two") as workers:
        await tap.send("card", venue.tap.question(ann.card_uid))
        await tap.command("pour_authorized")
        await asyncio.sleep(0.3)

        counted = decided(workers, "card_presented")

    owner = 0 if decides("core-one", {"core-two"}, str(venue.tap.path)) else 1
    assert counted == [int(owner == 0), int(owner == 1)]
    assert await pours(venue) == 1


async def test_a_question_that_nobody_took_is_asked_again_and_then_answered(
    venue: Venue, broker: EmbeddedBroker, tap: MqttTap
) -> None:
    ann = await venue.guest(balance_minor=300_00)
    dead = owner(venue, "core-one", "core-two")
    async with workers_at(venue, broker, "core-one", "core-two"), presence(broker, dead), announced(venue, dead):
        await asyncio.sleep(TAKEOVER_MS / 1000)
        question = venue.tap.question(ann.card_uid)
        await tap.send("card", question)
        await asyncio.sleep(0.3)
        assert not [said for said in tap.commands if said["type"] == "pour_authorized"], "it belongs to a worker that hears nothing"

        await ask(tap, question)
    assert await pours(venue) == 1
    await venue.books_balance()


async def test_the_taps_of_a_worker_that_died_belong_to_the_others_after_the_takeover_time(
    venue: Venue, broker: EmbeddedBroker, tap: MqttTap
) -> None:
    ann = await venue.guest(balance_minor=300_00)
    dead = owner(venue, "core-one")
    async with workers_at(venue, broker, "core-one"), presence(broker, dead):
        await announce_worker(venue.db, dead)
        await asyncio.sleep(TAKEOVER_MS * 2 / 1000)

        await tap.send("card", venue.tap.question(ann.card_uid))
        await tap.command("pour_authorized")


async def test_a_worker_that_was_killed_leaves_its_taps_as_soon_as_the_broker_says_so(
    venue: Venue, broker: EmbeddedBroker, tap: MqttTap
) -> None:
    ann = await venue.guest(balance_minor=300_00)
    killed = owner(venue, "core-one")
    async with workers_at(venue, broker, "core-one"), announced(venue, killed):
        async with presence(broker, killed):
            await asyncio.sleep(TAKEOVER_MS / 1000)
            await tap.send("card", venue.tap.question(ann.card_uid))
            await asyncio.sleep(0.3)
            assert not tap.commands, "it belongs to the other worker"
        await asyncio.sleep(0.1)

        await tap.send("card", venue.tap.question(ann.card_uid))
        await tap.command("pour_authorized")


async def test_a_worker_that_starts_after_another_was_killed_decides_at_once(
    venue: Venue, broker: EmbeddedBroker, tap: MqttTap
) -> None:
    ann = await venue.guest(balance_minor=300_00)
    killed = owner(venue, "core-one")
    async with announced(venue, killed), workers_at(venue, broker, "core-one"):
        await tap.send("card", venue.tap.question(ann.card_uid))
        await tap.command("pour_authorized")


async def test_two_workers_that_both_decide_give_one_grant_and_one_verdict(
    venue: Venue, broker: EmbeddedBroker, tap: MqttTap, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def alone(_db: object, instance: str) -> list[str]:
        return [instance]

    monkeypatch.setattr("tapwire_core.worker.worker.announce_worker", alone)
    ann = await venue.guest(balance_minor=300_00)
    async with workers_at(venue, broker, "core-one", "core-two") as workers:
        question = venue.tap.question(ann.card_uid)
        await tap.send("card", question)
        first, second = await tap.command("pour_authorized"), await tap.command("pour_authorized", count=2)
        assert first == second

        await tap.send("pour/completed", venue.tap.report(UUID(first["pour_id"]), first["card_uid"], 100))
        assert await tap.command("pour_settled") == await tap.command("pour_settled", count=2)
        assert decided(workers, "card_presented") == [1, 1]
    assert await pours(venue) == 1
    await venue.books_balance()


async def test_a_worker_that_ends_leaves_its_taps_at_once(venue: Venue, broker: EmbeddedBroker) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(workers_at(venue, broker, "core-one"))
        async with workers_at(venue, broker, "core-two"):
            assert set(await announce_worker(venue.db, "core-one")) == {"core-one", "core-two"}
        assert await announce_worker(venue.db, "core-one") == ["core-one"]


async def test_while_the_clock_is_set_back_the_living_workers_know_each_other_and_no_dead_one(venue: Venue) -> None:
    for name in ("one", "two", "dead"):
        await announce_worker(venue.db, name)
    await set_back(venue.db, "program_heartbeats", "listens_at")
    await announce_worker(venue.db, "one")
    assert sorted(await announce_worker(venue.db, "two")) == ["one", "two"]
    await withdraw_worker(venue.db, "one")
    assert await announce_worker(venue.db, "two") == ["two"]
