"""The event stream: facts with ids that can be gone on from, and live values of the broker."""

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
import uvicorn
from litestar.exceptions import ServiceUnavailableException

from tapwire_admin.app import create_app
from tapwire_admin.live import Live
from tapwire_admin.responses.event_streams import MAX_OF_OWNER, OpenStreams
from tapwire_contracts.acl import BrokerRole
from tapwire_contracts.codec import encode
from tapwire_contracts.messages import CoreState, PourProgress
from tapwire_contracts.topics import core_state_topic
from tapwire_core.broker.client import make_client
from tapwire_core.db.engine import Database
from tapwire_core.db.schema import migrate
from tapwire_core.db.views.event_stream import AuditReader
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.policy import Policy
from tapwire_core.services.price_rules import publish_new_prices
from tapwire_core.services.sessions import log_out
from tapwire_core.services.users import change_user
from tapwire_demo.broker import Account, EmbeddedBroker
from tapwire_demo.postgres import PostgresSettings, temporary_postgres
from tests.mqtt_tap import connect_tap
from tests.rest import Rest, asgi
from tests.venue import OPERATOR, Venue

COMES_WITHIN_S = 10
INSERT = "INSERT INTO audit (action, actor, subjects) VALUES ('top_up', $1, '{}')"


@dataclass
class Event:
    """One server-sent event."""

    kind: str
    data: Any
    id: str | None


@asynccontextmanager
async def serving(db: Database, live: Live | None = None, **options: Any) -> AsyncIterator[str]:
    """The API on a port of its own: a stream needs a real connection."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        app = asgi(create_app(db, live=live))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1, **options))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listening]))
            try:
                yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            finally:
                server.should_exit = True


@asynccontextmanager
async def stream(
    url: str, rest: Rest, last_event_id: str | None = None, path: str = "/api/events"
) -> AsyncIterator[AsyncIterator[Event]]:
    """An open stream's events."""
    headers = {"Authorization": rest.operator.headers["Authorization"]}
    headers |= {"Last-Event-ID": last_event_id} if last_event_id else {}
    async with (
        asyncio.timeout(COMES_WITHIN_S),
        httpx.AsyncClient(base_url=url, headers=headers, timeout=COMES_WITHIN_S) as client,
        client.stream("GET", path) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        if path == "/api/events" and last_event_id is None:
            assert (await anext(lines)).startswith(":")
        yield _events(lines)


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    fields: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield Event(fields["event"], json.loads(fields["data"]), fields.get("id"))
            fields = {}


async def next_events(events: AsyncIterator[Event], count: int) -> list[Event]:
    """The next events of a stream."""
    return [await anext(events) for _ in range(count)]


async def test_facts_come_as_they_happen_and_a_broken_stream_goes_on_where_it_was(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    async with serving(venue.db) as url:
        async with stream(url, rest) as events:
            grant = await venue.grant(ann)
            (authorized,) = await next_events(events, 1)
        await venue.report(grant, 100)
        await venue.guest()
        async with stream(url, rest, authorized.id) as events:
            missed = await next_events(events, 5)

    assert (authorized.kind, authorized.data["action"]) == ("pour", "pour_authorized")
    assert str(grant.pour_id) in authorized.data["subjects"]
    assert [(event.kind, event.data["action"]) for event in missed] == [
        ("pour", "pour_synced"),
        ("audit", "guest_created"),
        ("audit", "card_bound"),
        ("visit", "visit_opened"),
        ("visit", "card_assigned"),
    ]


async def test_a_stream_asked_for_from_beyond_the_log_begins_from_now_and_says_so(rest: Rest, venue: Venue) -> None:
    async with serving(venue.db) as url:
        async with stream(url, rest, str(2**62)) as events:
            (reset,) = await next_events(events, 1)
            ann = await venue.guest()
            (created,) = await next_events(events, 1)
        async with stream(url, rest, reset.id) as events:
            (resumed,) = await next_events(events, 1)

    assert (reset.kind, reset.data) == ("reset", {})
    assert (created.data["action"], created.data["subjects"]) == ("guest_created", [str(ann.guest_id)])
    assert resumed == created


async def test_the_console_hears_of_a_price_that_begins_also_while_the_node_is_offline(
    rest: Rest, venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tapwire_admin.console.stream.HEARTBEAT_S", 0.1)
    week = {"weekdays": [1, 2, 3, 4, 5, 6, 7], "from": "00:00", "to": "00:00", "valid_to": "2000-01-01", "percent_off": 20}
    rule = {"venue_id": venue.venue_id, "name": "Happy hour", **week}
    assert (await rest.engineer.post("/api/price-rules", json=rule)).status_code == 201
    async with serving(venue.db) as url, stream(url, rest, path="/live") as events:
        await next_events(events, 3)
        await venue.db.pool.execute("UPDATE price_rules SET valid_to = NULL")
        assert await publish_new_prices(venue.db) == 1
        changed = await anext(event async for event in events if event.kind == "changed")

    assert changed.data == {"topics": [str(venue.tap.path)]}


@pytest.mark.parametrize("path", ["/api/events", "/live"])
async def test_a_stream_whose_database_goes_ends_quietly(path: str, caplog: pytest.LogCaptureFixture) -> None:
    async with temporary_postgres(PostgresSettings(durable=False)) as server:
        await migrate(database := await server.create_database("house"))
        async with Database.open(database, Policy()) as db, Rest.open(db) as rest, serving(db) as url:
            async with stream(url, rest, path=path) as events:
                await server.stop()
                told = {event.kind async for event in events}
            answer = await rest.operator.get(path)

    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert told <= {"link", "beat", "audit"}
    assert answer.status_code == 503
    assert [text.split(",")[0] for text in warnings] == [
        "a stream ends: the database is unreachable",
        f"GET {path}: the database is unreachable",
    ]


async def test_a_fact_that_commits_after_a_later_one_is_not_skipped(db: Database) -> None:
    reader = AuditReader(db, 0)
    async with db.pool.acquire() as slow, db.pool.acquire() as fast:
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute(INSERT, "first, and slow")
        await fast.execute(INSERT, "second")
        before = [fact.actor for fact in await reader.read_next()]
        await transaction.commit()
        after = [fact.actor for fact in await reader.read_next()]

        transaction = slow.transaction()
        await transaction.start()
        await slow.execute(INSERT, "never")
        await fast.execute(INSERT, "third")
        await transaction.rollback()
        last = [fact.actor for fact in await reader.read_next()]

    assert (before, after, last) == ([], ["first, and slow", "second"], ["third"])


async def test_a_transaction_that_began_after_a_later_facts_one_is_waited_for_too(db: Database) -> None:
    reader = AuditReader(db, 0)
    async with db.pool.acquire() as early, db.pool.acquire() as late:
        first, second = early.transaction(), late.transaction()
        await first.start()
        await early.execute("SELECT pg_current_xact_id()")
        await second.start()
        await late.execute("SELECT pg_current_xact_id()")
        await late.execute(INSERT, "late, with the smaller id")
        await early.execute(INSERT, "early")
        await first.commit()

        before = [await reader.read_next() for _ in range(3)]
        await second.commit()
        after = await reader.read_next()

    assert before == [[], [], []]
    assert [fact.actor for fact in after] == ["late, with the smaller id", "early"]


async def test_a_stream_from_now_on_tells_what_was_being_written_when_it_began(db: Database) -> None:
    for actor in ("before", "rolled back"):
        with contextlib.suppress(LookupError):
            async with db.transaction() as store:
                await store.connection.execute(INSERT, actor)
                if actor == "rolled back":
                    raise LookupError
    async with db.transaction() as slow:
        await slow.connection.execute(INSERT, "late, with the smaller id")
        async with db.transaction() as quick:
            await quick.connection.execute(INSERT, "there already")
        reader = await AuditReader.from_now(db)
        meanwhile = await reader.read_next()
    async with db.transaction() as store:
        await store.connection.execute(INSERT, "after")

    told = await reader.read_next()

    assert meanwhile == []
    assert [fact.actor for fact in told] == ["late, with the smaller id", "after"]
    assert await reader.read_next() == []


async def test_live_values_come_from_the_broker_and_the_newest_again_to_each_listener(
    rest: Rest, venue: Venue, mosquitto: EmbeddedBroker
) -> None:
    await mosquitto.add_account(Account("bar/taps/left", "secret", BrokerRole.DEVICE))
    live, pour_id = Live(), uuid4()
    following = asyncio.create_task(live.follow(mosquitto.url("watcher"), "5"))
    try:
        async with serving(venue.db, live) as url, connect_tap(mosquitto, "bar/taps/left") as tap:
            async with stream(url, rest) as events:
                await tap.send("state", venue.tap.state(), retain=True)
                (node,) = await next_events(events, 1)
                await tap.send("pour/progress", PourProgress(pour_id=pour_id, volume_ml=120, elapsed_ms=900))
                (progress,) = await next_events(events, 1)
            async with stream(url, rest) as events:
                newest = await next_events(events, 2)
    finally:
        following.cancel()

    assert (node.kind, node.data["path"], node.data["status"], node.id) == ("node", "bar/taps/left", "online", None)
    assert (progress.kind, progress.data["volume_ml"], progress.data["pour_id"]) == ("progress", 120, str(pour_id))
    assert {event.kind for event in newest} == {"node", "progress"}


BAD_PAYLOADS = (b"", b"\xff\xfe", b"[]", b"null", b"7", b"{}", b'{"type":[]}', b'{"type":{}}', b'{"type":null}', b"[" * 9_000)


async def test_no_message_however_bad_ends_what_is_heard_after_it(rest: Rest, venue: Venue, mosquitto: EmbeddedBroker) -> None:
    live = Live()
    following = asyncio.create_task(live.follow(mosquitto.url("watcher"), "5"))
    await mosquitto.add_account(Account("bar/taps/left", "secret", BrokerRole.DEVICE))
    try:
        async with (
            serving(venue.db, live) as url,
            stream(url, rest) as events,
            connect_tap(mosquitto, "bar/taps/left") as tap,
        ):
            await tap.send("state", venue.tap.state(), retain=True)
            await next_events(events, 1)
            for leaf in ("card", "pour/progress", "state"):
                for payload in BAD_PAYLOADS:
                    await tap.send(leaf, payload)
            await tap.send("pour/progress", PourProgress(pour_id=uuid4(), volume_ml=120, elapsed_ms=900))
            (progress,) = await next_events(events, 1)
            assert not following.done()
    finally:
        following.cancel()

    assert (progress.kind, progress.data["volume_ml"]) == ("progress", 120)


async def test_a_stream_ends_when_its_session_does(rest: Rest, venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapwire_admin.routes.event_stream.HEARTBEAT_S", 0.1)
    token = rest.operator.headers["Authorization"].removeprefix("Bearer ")
    async with serving(venue.db) as url, stream(url, rest) as events:
        await log_out(venue.db, Actor("operator"), token)
        assert [event.data["action"] async for event in events] in ([], ["logged_out"])


@pytest.mark.parametrize("path", ["/api/events", "/live"])
@pytest.mark.parametrize("ends", ["logout", "disabled"])
async def test_a_stream_ends_at_once_with_its_session_also_when_another_process_ends_it(
    rest: Rest, venue: Venue, path: str, ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("routes.event_stream", "console.stream"):
        monkeypatch.setattr(f"tapwire_admin.{module}.HEARTBEAT_S", 3_600.0)
    token = rest.operator.headers["Authorization"].removeprefix("Bearer ")
    async with serving(venue.db) as url, stream(url, rest, path=path) as events:
        if path == "/live":
            await next_events(events, 2)
        if ends == "logout":
            await log_out(venue.db, Actor("operator"), token)
        else:
            await change_user(venue.db, OPERATOR, "operator", disabled=True)
        told = [(event.kind, event.data) async for event in events]

    assert told == ([("end", {"reason": "session_ended"})] if path == "/live" else [])


async def test_the_newest_stream_of_a_user_wins_and_the_oldest_is_told_why_it_ends(rest: Rest, venue: Venue) -> None:
    async with serving(venue.db) as url, contextlib.AsyncExitStack() as stack:
        oldest = await stack.enter_async_context(stream(url, rest))
        for path in ("/live", "/api/events") * (MAX_OF_OWNER // 2):
            newest = await stack.enter_async_context(stream(url, rest, path=path))
        last = [(event.kind, event.data) async for event in oldest]
        await venue.guest()
        (created,) = await next_events(newest, 1)

    assert last == [("end", {"reason": "superseded"})]
    assert created.data["action"] == "guest_created"


def test_one_user_takes_no_places_of_others_by_number_or_by_address() -> None:
    streams = OpenStreams(total=6, of_owner=5, of_address=4)
    greedy = [streams.take("operator", "here") for _ in range(4)] + [streams.take("operator", "there")]
    streams.take("engineer", "here")
    for address in ("there", "elsewhere"):
        streams.take("shift_lead", address)

    assert [place.superseded.is_set() for place in greedy] == [True, True, False, False, False]


def test_a_full_house_refuses_who_would_take_more_than_others_have() -> None:
    streams = OpenStreams(total=2)
    for owner in ("ann", "bob"):
        streams.take(owner, owner)

    with pytest.raises(ServiceUnavailableException):
        streams.take("eve", "eve")
    assert streams.take("ann", "ann").owner == "ann"


async def test_the_status_names_the_core_workers_that_show_themselves_and_forgets_those_that_go(
    db: Database, rest: Rest, broker: EmbeddedBroker
) -> None:
    worker = CoreState(instance_id="core-1", software="tapwire 1", contract_version="1.0")
    live = Live()
    following = asyncio.create_task(live.follow(broker.url("watcher"), broker.protocol))
    try:
        async with (
            asyncio.timeout(COMES_WITHIN_S),
            serving(db, live) as url,
            make_client(broker.url("core"), broker.protocol) as core,
            httpx.AsyncClient(base_url=url, headers=rest.operator.headers) as client,
        ):
            await core.publish(core_state_topic("core-1"), encode(worker), qos=1, retain=True)
            while not (status := (await client.get("/api/system/status")).json()["broker"])["core_workers"]:
                await asyncio.sleep(0.02)
            await core.publish(core_state_topic("core-1"), b"", qos=1, retain=True)
            while (later := (await client.get("/api/system/status")).json()["broker"])["core_workers"]:
                await asyncio.sleep(0.02)
    finally:
        following.cancel()

    shown = {
        "type": "core_state",
        "instance_id": "core-1",
        "software": "tapwire 1",
        "contract_version": "1.0",
        "heartbeat_ms": None,
    }
    assert status == {"connected": True, "core_workers": [shown]}
    assert later == {"connected": True, "core_workers": []}
