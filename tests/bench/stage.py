"""The measured installation: a durable PostgreSQL, Mosquitto, core workers as processes, and a venue with many taps."""

import asyncio
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit

import httpx
import msgspec

from tapwire_contracts.acl import BrokerRole
from tapwire_core.db.engine import Database
from tapwire_core.db.schema import migrate
from tapwire_core.domain.policy import Policy
from tapwire_demo.broker import Account, BrokerKind, EmbeddedBroker, open_broker
from tapwire_demo.postgres import EmbeddedPostgres, PostgresSettings, temporary_postgres
from tapwire_demo.processes import LOOPBACK, free_port
from tests.bench.load import Login, Measured, Plan, TapPlan
from tests.bench.meters import Use
from tests.mqtt_tap import connect_tap
from tests.venue import Guest, SimulatedTap, Venue

KEG_ML: Final = 10_000_000
BALANCE_MINOR: Final = 100_000_000
PRICE_MINOR: Final = 500
ENDS_WITHIN_S: Final = 10
ADMIN_COMES_WITHIN_S: Final = 30
BARE_COMES_WITHIN_S: Final = 30
LOOK_S: Final = 0.1
UNLIMITED: Final = str(1_000_000)
"""Decisions per minute: the load of a few taps is that of many."""
ROOT: Final = Path(__file__).parents[2]
Answer = TypeVar("Answer")


@dataclass
class Place:
    """A tap, its login, and the guest whose card lies on it."""

    tap: SimulatedTap
    guest: Guest
    login: Login


@dataclass
class Stage:
    """All that runs while something is measured."""

    postgres: EmbeddedPostgres
    broker: EmbeddedBroker
    db: Database
    venue: Venue
    places: list[Place]
    cores: list[subprocess.Popen[bytes]] = field(default_factory=list)

    # ── processes ───────────────────────────────────────────────────────────

    async def start_cores(self, count: int) -> None:
        """Run this many core workers; returns when one of them answers."""
        for _ in range(count):
            self.cores.append(self._start("tapwire_core", "core"))
        for _ in range(count):
            async with connect_tap(self.broker, str(self.places[0].tap.path)) as tap:
                await tap.core(at_least=count)

    def end_cores(self, *, at_once: bool = False) -> None:
        """End all workers; `at_once` as a power cut does."""
        for core in self.cores:
            if at_once:
                core.kill()
            else:
                core.terminate()
            core.wait(ENDS_WITHIN_S)
        self.cores.clear()

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[tuple[str, int]]:
        """The admin API while the block runs: its address and its process."""
        port = free_port()
        url = f"http://{LOOPBACK}:{port}"
        admin = self._start("tapwire_admin", "admin", TAPWIRE_ADMIN_HOST=LOOPBACK, TAPWIRE_ADMIN_PORT=str(port))
        try:
            async with asyncio.timeout(ADMIN_COMES_WITHIN_S), httpx.AsyncClient(base_url=url) as client:
                while not await _is_ready(client):
                    await asyncio.sleep(LOOK_S)
            yield url, admin.pid
        finally:
            admin.terminate()
            admin.wait(ENDS_WITHIN_S)

    @asynccontextmanager
    async def bare_core(self, database_url: str) -> AsyncIterator[None]:
        """A core that decides nothing while the block runs; no other one may run."""
        asked = (sys.executable, "-m", "tests.bench.bare_core", self.broker.url("core"), database_url)
        piped, unheard = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        running = await asyncio.create_subprocess_exec(*asked, cwd=ROOT, stdout=piped, stderr=unheard)
        try:
            assert running.stdout is not None
            async with asyncio.timeout(BARE_COMES_WITHIN_S):
                if not await running.stdout.readline():
                    raise RuntimeError("the core that decides nothing ended at its start")
            yield
        finally:
            if running.returncode is None:
                running.terminate()
            await running.wait()

    def _start(self, module: str, account: str, **settings: str) -> subprocess.Popen[bytes]:
        """One of our services, with its database and its login at the broker."""
        given = {
            "TAPWIRE_DATABASE_URL": self.postgres.application_url_of(),
            "TAPWIRE_BROKER_URL": self.broker.url(account),
            "TAPWIRE_DEVICE_DECISIONS_PER_HOUR": UNLIMITED,
            **settings,
        }
        return subprocess.Popen([sys.executable, "-m", module, "run"], env={**os.environ, **given}, stderr=subprocess.DEVNULL)

    def uses(self) -> dict[str, Use]:
        """Processor time of each program so far."""
        assert self.broker.pid is not None
        pids = {"postgres": [self.postgres.pid], "mosquitto": [self.broker.pid], "core": [core.pid for core in self.cores]}
        return {name: Use.of(those) for name, those in pids.items()}

    # ── the load ────────────────────────────────────────────────────────────

    def plans(self, count: int) -> tuple[TapPlan, ...]:
        """The first taps, as they are now."""
        return tuple(
            TapPlan(
                path=str(place.tap.path),
                login=place.login,
                card_uid=place.guest.card_uid,
                journal_id=place.tap.journal_id,
                seq=place.tap.seq,
                odometer_ml=place.tap.odometer_ml,
            )
            for place in self.places[:count]
        )

    async def run(self, plan: Plan) -> Measured:
        """Let the load generator, a process of its own, carry a plan out."""
        measured = await carry_out("tests.bench.load", plan, Measured)
        for place, odometer_ml, seq in zip(self.places, measured.odometers_ml, measured.seqs, strict=False):
            place.tap.odometer_ml, place.tap.seq = odometer_ml, seq
        return measured

    def login(self, username: str) -> Login:
        """Address and login of a broker account."""
        return login_of(self.broker, username)


async def carry_out(module: str, plan: msgspec.Struct, answer: type[Answer]) -> Answer:
    """Let a load generator, a process of its own, carry a plan out."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    written, _ = await running.communicate(msgspec.json.encode(plan))
    return msgspec.json.decode(written, type=answer)


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/ready")).is_success
    except httpx.HTTPError:
        return False


def login_of(broker: EmbeddedBroker, username: str) -> Login:
    """Address and login of an account."""
    parts = urlsplit(broker.url(username))
    assert parts.hostname
    assert parts.port
    assert parts.password
    return Login(parts.hostname, parts.port, username, unquote(parts.password))


@asynccontextmanager
async def open_stage(taps: int) -> AsyncIterator[Stage]:
    """Set everything up with this many taps, each with a keg and a guest who can pay for long."""
    with tempfile.TemporaryDirectory(prefix="tapwire-bench-") as folder:
        async with temporary_postgres(PostgresSettings(durable=True, max_connections=200)) as postgres:
            await migrate(postgres.url, postgres.application_url_of())
            async with Database.open(postgres.url, Policy()) as db:
                venue = await Venue.open(db, keg_ml=KEG_ML, price_minor=PRICE_MINOR)
                taps_there = [venue.tap, *[await venue.another_tap(f"t{number}", KEG_ML) for number in range(1, taps)]]
                guests = [await venue.guest(BALANCE_MINOR) for _ in taps_there]
                async with open_broker(BrokerKind.MOSQUITTO, Path(folder), _accounts(taps_there)) as broker:
                    places = [
                        Place(tap, guest, login_of(broker, str(tap.path))) for tap, guest in zip(taps_there, guests, strict=True)
                    ]
                    stage = Stage(postgres, broker, db, venue, places)
                    try:
                        yield stage
                    finally:
                        stage.end_cores()


def _accounts(taps: Sequence[SimulatedTap]) -> list[Account]:
    roles = {"core": BrokerRole.CORE, "admin": BrokerRole.WATCHER}
    services = [Account(name, secrets.token_urlsafe(), role) for name, role in roles.items()]
    return services + [Account(str(tap.path), secrets.token_urlsafe(), BrokerRole.DEVICE) for tap in taps]
