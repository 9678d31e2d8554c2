"""Metrics of core and admin API, and a worker's health."""

import asyncio
import json
import logging
import time
from urllib.error import HTTPError
from urllib.request import urlopen
from uuid import UUID

import pytest

from tapwire_contracts.acl import BrokerRole
from tapwire_contracts.logs import JsonLine
from tapwire_contracts.tasks import end_tasks
from tapwire_core.monitoring.health_server import STUCK_AFTER_S, WorkerHealth, serve_health
from tapwire_core.monitoring.metrics import BooksMetrics, WorkerMetrics
from tapwire_core.mqtt.connection import BrokerAddress
from tapwire_core.services.devices import add_device
from tapwire_core.services.nodes import note_state
from tapwire_core.worker.worker import Intervals, Worker
from tapwire_demo.broker import Account, EmbeddedBroker
from tapwire_demo.processes import free_port
from tests.mqtt_tap import connect_tap
from tests.rest import Rest, done, metrics_page
from tests.venue import OPERATOR, Venue

PACE = Intervals(sweep_s=0.05, outbox_s=0.5, database_check_s=0.05, reconnect_max_s=0.3)
WITHIN_S = 20.0


async def test_the_metrics_say_whether_the_books_balance_and_what_waits(venue: Venue) -> None:
    await venue.grant(await venue.guest(balance_minor=100_00))

    lines = await looked_at(venue)

    assert lines['tapwire_books_differences{rule="balance = sum of movements"}'] == 0
    assert (lines["tapwire_pending_pours"], lines["tapwire_held_minor"]) == (1, 10_000)
    assert lines['tapwire_pending_pours_older_than{seconds="0"}'] == 1
    assert lines['tapwire_pending_pours_older_than{seconds="360"}'] == 0
    assert time.time() - lines["tapwire_books_checked_timestamp_seconds"] < WITHIN_S


async def test_each_device_is_shown_with_what_it_has_not_settled_until_it_is_revoked(venue: Venue) -> None:
    for path in (venue.tap.path, "bar/taps/never-seen"):
        await add_device(venue.db, OPERATOR, path)
    await note_state(venue.db, venue.tap.path, venue.tap.state(facts_open=3))

    lines = await looked_at(venue)

    assert lines['tapwire_device_online{path="bar/taps/left"}'] == 1
    assert lines['tapwire_device_online{path="bar/taps/never-seen"}'] == 0
    assert lines['tapwire_device_unsettled_facts{path="bar/taps/left"}'] == 3
    assert lines['tapwire_device_contract_differs{path="bar/taps/left"}'] == 0


async def test_a_worker_counts_what_it_decided_and_is_ready_while_broker_and_database_are_there(
    venue: Venue, mosquitto: EmbeddedBroker
) -> None:
    await mosquitto.add_account(Account(str(venue.tap.path), "secret", BrokerRole.DEVICE))
    worker = Worker(venue.db, BrokerAddress(url=mosquitto.url("core")), PACE, "core-1")
    port = free_port()
    with serve_health(worker.metrics.registry, worker.health, port):
        assert await status(port, "/health/ready") == 503
        running = asyncio.create_task(worker.run())
        try:
            async with connect_tap(mosquitto, str(venue.tap.path)) as tap:
                await tap.core()
                await until(port, "/health/ready", 200)
                await tap.send("card", venue.tap.question((await venue.guest()).card_uid))
                await tap.command("pour_denied")
                await tap.send("card", b"{")
            async with asyncio.timeout(WITHIN_S):
                while not (lines := await scraped(port))["tapwire_dead_letters_kept_total"]:
                    await asyncio.sleep(0.05)
            await mosquitto.stop()
            await until(port, "/health/ready", 503)
            assert await status(port, "/health/live") == 200
        finally:
            await end_tasks(running)

    assert lines['tapwire_decisions_total{reason="insufficient_funds"}'] == 1
    assert lines['tapwire_decisions_total{reason="granted"}'] == 0
    assert lines['tapwire_message_seconds_count{type="card_presented"}'] == 1
    assert lines["tapwire_broker_connects_total"] == 1


async def test_every_log_line_of_a_pour_has_its_id_and_the_first_one_the_questions(
    venue: Venue, mosquitto: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await mosquitto.add_account(Account(str(venue.tap.path), "secret", BrokerRole.DEVICE))
    ann = await venue.guest(balance_minor=300_00)
    question = venue.tap.question(ann.card_uid)
    running = asyncio.create_task(Worker(venue.db, BrokerAddress(url=mosquitto.url("core")), PACE, "core-1").run())
    try:
        async with connect_tap(mosquitto, str(venue.tap.path)) as tap:
            await tap.core()
            await tap.send("card", question)
            pour_id = (await tap.command("pour_authorized"))["pour_id"]
            await tap.send("pour/completed", venue.tap.report(UUID(pour_id), ann.card_uid, 100))
            await tap.command("pour_settled")
            async with asyncio.timeout(WITHIN_S):
                while len(lines := facts_of(caplog, pour_id)) < 2:
                    await asyncio.sleep(0.05)
    finally:
        await end_tasks(running)

    assert lines[0]["event_id"] == str(question.event_id)
    assert lines[1]["outcome"] == "pending_updated_to_synced"


def facts_of(caplog: pytest.LogCaptureFixture, pour_id: str) -> list[dict[str, object]]:
    """The facts that were logged with a pour's id, in their order, as the JSON lines have them."""
    lines = [json.loads(JsonLine("core").format(record)) for record in caplog.records]
    return [line for line in lines if line.get("pour_id") == pour_id]


async def test_a_worker_whose_event_loop_is_stuck_does_not_live() -> None:
    port, health = free_port(), WorkerHealth(beat_at=time.monotonic() - STUCK_AFTER_S, is_ready=True)
    with serve_health(WorkerMetrics().registry, health, port):
        assert await status(port, "/health/live") == 503
        assert await status(port, "/health/ready") == 503
        health.beat()
        assert await status(port, "/health/live") == 200
        assert await status(port, "/elsewhere") == 404


async def test_the_http_doors_decisions_are_counted_by_the_admin_api(venue: Venue, rest: Rest) -> None:
    def counted(page: str) -> float:
        return parsed(page)['tapwire_decisions_total{reason="card_unknown"}']

    before = counted(metrics_page())
    secret = (await add_device(venue.db, OPERATOR, venue.tap.path)).secret
    await rest.nobody.post("/api/visits/authorize-pour", json={"card_uid": "04ffffff"}, headers={"X-Internal-Token": secret})
    report = {
        "pours": [{"pour_id": "00000000-0000-4000-8000-000000000000", "card_uid": "04ffffff", "volume_ml": 0, "duration_ms": 1}]
    }
    done(await rest.nobody.post("/api/sync/pours", json=report, headers={"X-Internal-Token": secret}))
    page = metrics_page()

    assert counted(page) - before == 1
    assert parsed(page)['tapwire_settlements_total{outcome="audit_missing_pending"}'] >= 1


async def looked_at(venue: Venue) -> dict[str, float]:
    """A worker's metrics after a look at the books."""
    metrics, port = WorkerMetrics(), free_port()
    books = BooksMetrics(metrics.registry)
    await books.update_backlog(venue.db)
    await books.update_differences(venue.db)
    with serve_health(metrics.registry, WorkerHealth(), port):
        return await scraped(port)


async def scraped(port: int) -> dict[str, float]:
    """Every sample of a worker's `/metrics`."""
    return parsed((await asyncio.to_thread(urlopen, f"http://127.0.0.1:{port}/metrics")).read().decode())


def parsed(page: str) -> dict[str, float]:
    """Every sample of a page."""
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))}


async def status(port: int, path: str) -> int:
    """A worker's answer."""
    try:
        return int((await asyncio.to_thread(urlopen, f"http://127.0.0.1:{port}{path}")).status)
    except HTTPError as error:
        return error.code


async def until(port: int, path: str, wanted: int) -> None:
    """Wait for an answer."""
    async with asyncio.timeout(WITHIN_S):
        while await status(port, path) != wanted:
            await asyncio.sleep(0.05)
