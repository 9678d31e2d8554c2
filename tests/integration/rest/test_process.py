"""`tapwire-admin run` as a process: settings, a database that isn't ours yet, and one that goes away."""

import asyncio
import itertools
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import Role
from tapwire_core.domain.policy import Policy
from tapwire_core.services.users import create_user
from tapwire_core.services.venues import change_venue
from tapwire_demo.postgres import EmbeddedPostgres
from tapwire_demo.processes import free_port
from tests.rest import Rest, done, refusal, with_key
from tests.venue import OPERATOR, Venue

STARTS_WITHIN_S = 60
GUESTS = 20
HANDS = 4
"""Check-outs at once."""
PASSWORD = "correct horse"


async def start(**variables: str) -> asyncio.subprocess.Process:
    """`tapwire-admin run` with these settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TAPWIRE_")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tapwire_admin", "run", env={**kept, **variables}, stderr=asyncio.subprocess.PIPE
    )


@asynccontextmanager
async def running(database_url: str, **settings: str) -> AsyncIterator[httpx.AsyncClient]:
    """The admin API as a process of its own, and a client of it."""
    async with started(database_url, **settings) as (process, client):
        yield client
    assert process.returncode == 0


@asynccontextmanager
async def started(database_url: str, **settings: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx.AsyncClient]]:
    """The admin API as a process of its own, which somebody may kill, and a client of it."""
    port = free_port()
    process = await start(TAPWIRE_DATABASE_URL=database_url, TAPWIRE_ADMIN_PORT=str(port), **settings)
    # read all along: a program whose log nobody reads stands still once the pipe is full
    log = asyncio.create_task(process.communicate())
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=STARTS_WITHIN_S) as client:
            async with asyncio.timeout(STARTS_WITHIN_S):
                while not await _lives(client):
                    await asyncio.sleep(0.05)
            yield process, client
    finally:
        if process.returncode is None:
            process.terminate()
        await log


async def _lives(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/live")).status_code == 200
    except httpx.TransportError:
        return False


async def test_it_serves_logs_in_tells_a_paired_device_its_broker_and_ends_when_told_to(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("an authority\n")
    broker = {
        "TAPWIRE_DEVICE_BROKER_URL": "mqtts://broker.example",
        "TAPWIRE_BROKER_CA_FILE": str(tmp_path / "ca.crt"),
        "TAPWIRE_BROKER_PROTOCOL": "3.1.1",
    }
    async with Database.open(database_url, Policy()) as db:
        await create_user(db, OPERATOR, "anna", Role.ENGINEER, PASSWORD)

    metrics_port = free_port()
    async with running(database_url, TAPWIRE_ADMIN_METRICS_PORT=str(metrics_port), **broker) as client:
        session = done(await client.post("/api/session", json={"username": "anna", "password": PASSWORD}), 201)
        by_anna = {"Authorization": f"Bearer {session['token']}"}
        me = done(await client.get("/api/me", headers=by_anna))
        asked = done(await client.post("/api/devices/pairings"), 201)
        accepted = {"code": asked["code"], "path": "bar/taps/left"}
        done(await client.post("/api/devices/pairings/accept", json=accepted, headers=by_anna))
        device = done(await client.post("/api/devices/pairings/claim", json={"claim": asked["claim"]}))
        metrics = await client.get(f"http://127.0.0.1:{metrics_port}/metrics")
        elsewhere = [await client.get(url) for url in ("/metrics", f"http://127.0.0.1:{metrics_port}/health/live")]

    assert me == {"username": "anna", "role": "engineer", "venues": None}
    assert "tapwire_admin_request_seconds_count" in metrics.text
    assert [answer.status_code for answer in elsewhere] == [404, 404]
    given = device["broker_url"], device["broker_ca"], device["broker_protocol"]
    assert given == ("mqtts://broker.example", "an authority\n", "3.1.1")


async def test_it_does_not_start_on_a_database_that_was_not_migrated(empty_owner_url: str) -> None:
    process = await start(TAPWIRE_DATABASE_URL=empty_owner_url, TAPWIRE_ADMIN_PORT="0")
    _, errors = await process.communicate()

    assert process.returncode == 1
    assert b"tapwire-core migrate" in errors.splitlines()[-1]
    assert b"Traceback" not in errors


async def test_it_does_not_start_without_settings() -> None:
    process = await start()
    _, errors = await process.communicate()

    assert process.returncode == 1
    assert b"TAPWIRE_DATABASE_URL" in errors


async def test_a_database_that_goes_away_is_said_so_and_comes_back(postgres: EmbeddedPostgres, migrated_database: str) -> None:
    name = "goes_away"
    await postgres.clone_database(migrated_database, name)
    url = postgres.application_url_of(name)
    async with Database.open(url, Policy()) as db:
        await create_user(db, OPERATOR, "anna", Role.ENGINEER, PASSWORD)
    async with (
        Database.open(await postgres.create_database("elsewhere"), Policy(), pool_size=1) as elsewhere,
        running(url) as client,
    ):
        done(await client.get("/health/ready"))
        await elsewhere.pool.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await elsewhere.pool.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)

        refusal(await client.get("/health/ready"), 503, "unavailable")
        done(await client.get("/health/live"))
        await elsewhere.pool.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        done(await client.get("/health/ready"))
        done(await client.post("/api/session", json={"username": "anna", "password": PASSWORD}), 201)


@pytest.mark.lasts
async def test_check_outs_that_a_kill_cuts_off_are_whole_or_were_never_begun(database_url: str, rest: Rest, venue: Venue) -> None:
    """Killed twice in the middle of check-outs; each time the next API is asked the same again, by the same keys."""
    chance = random.Random(7)
    await change_venue(venue.db, OPERATOR, "bar", card_deposit_minor=5_00)
    inside = [await venue.guest(balance_minor=20_00) for _ in range(GUESTS)]
    by_lead = {"Authorization": rest.shift_lead.headers["Authorization"]}
    keys = {guest.visit_id: by_lead | with_key() for guest in inside}
    heard: dict[UUID, dict[str, Any]] = {}

    async def check_out_all(client: httpx.AsyncClient, kill: Callable[[], None], kill_after: int) -> None:
        """Ask for each check-out; some milliseconds after so many answers the API is killed."""
        left, answered = list(inside), itertools.count(1)

        async def hand() -> None:
            while left:
                visit_id = left.pop(0).visit_id
                body = {"payout": {"method": "cash"}, "card_returned": True}
                answer = await client.post(f"/api/visits/{visit_id}/check-out", json=body, headers=keys[visit_id])
                receipt = done(answer)
                assert heard.setdefault(visit_id, receipt) == receipt, "the same request again has the same answer"
                if next(answered) == kill_after:
                    asyncio.get_running_loop().call_later(chance.uniform(0, 0.03), kill)

        ended = await asyncio.gather(*(hand() for _ in range(HANDS)), return_exceptions=True)
        assert [one for one in ended if isinstance(one, BaseException) and not isinstance(one, httpx.TransportError)] == []

    async def states() -> set[tuple[Any, ...]]:
        await venue.books_balance()
        return {tuple(row) for row in await venue.db.pool.fetch(STATE_OF_STAYS)}

    whole, never_begun = ("closed", "available", 0, 0, 20_00, 4), ("active", "bound", 15_00, 5_00, None, 2)
    for kill_after in (2, 9):
        async with started(database_url) as (process, client):
            await check_out_all(client, process.kill, kill_after)
            assert await process.wait() == -signal.SIGKILL
        assert await states() == {whole, never_begun}
    await check_out_all(rest.nobody, process.kill, GUESTS + 1)

    assert await states() == {whole}
    assert [receipt["paid_out_minor"] for receipt in heard.values()] == [20_00] * GUESTS


STATE_OF_STAYS = """
    SELECT visits.status, cards.status, balance_minor, deposit_minor, paid_out_minor,
        (SELECT count(*) FROM money_movements WHERE money_movements.guest_id = visits.guest_id)
    FROM visits JOIN guests USING (guest_id) JOIN cards ON cards.card_uid = visits.card_uid LEFT JOIN check_outs USING (visit_id)"""
"""What is left of each stay: the visit, its card, the guest's money, the card's deposit, the payout, and how much was booked."""
