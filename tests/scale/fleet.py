"""Very many taps: real servers and services, and nodes with simulated hardware, a hundred in each process."""

import asyncio
import json
import os
import random
import resource
import secrets
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import httpx
import psutil

from tapwire_contracts.acl import BrokerRole
from tapwire_contracts.topics import DevicePath, tap_path
from tapwire_core.db.engine import Database
from tapwire_core.db.schema import migrate
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.domain.policy import Policy
from tapwire_core.progress import Advance, untold
from tapwire_core.services import beverages, guests, kegs, money, shifts, taps, venues, visits
from tapwire_demo.broker import Account, BrokerKind, EmbeddedBroker, open_broker
from tapwire_demo.postgres import EmbeddedPostgres, PostgresSettings, temporary_postgres
from tapwire_demo.processes import LOOPBACK, Child, free_port
from tapwire_demo.programs import Program, start_program
from tests.venue import OPERATOR

BROKER: Final = "Mosquitto"
POSTGRES: Final = "PostgreSQL"
CORE: Final = "core"
ADMIN: Final = "admin API"
NODES: Final = "nodes"
A_PROCESS: Final = 100
"""Taps of one process."""
WORKERS: Final = 2
VENUE: Final = "field"
KEG_ML: Final = 10_000_000
BALANCE_MINOR: Final = 100_000_000
PRICE_MINOR: Final = 500
POUR_ML: Final = 300
FLOW_ML_PER_S: Final = 60
PAUSES_S: Final = (55.0, 115.0)
"""Between two guests of a tap: with the five seconds of a pour one in an average of 90 s."""
GUESTS_A_ROUND: Final = 4
FIRST_S: Final = (20.0, 60.0)
"""After the start the first guest lays the card on."""
GUESTS_AT: Final = 4
"""One tap of so many has guests: more of them at once are more than two processor cores can simulate."""
NICE: Final = 19
"""Of the nodes' processes: real ones have machines of their own, and take nothing from the services."""
KEEPALIVE_S: Final = 60
FIRST_ML: Final = 100
FIRST_FLOW_ML_PER_S: Final = 200
"""A short one: two thousand lines of beer that flow at once are more than two processor cores can simulate."""
PATIENCE_MS: Final = 15_000
RETRY_MS: Final = 10_000
"""Until a guest who was refused lays the card on again."""
SETTING_UP_AT_ONCE: Final = 8
READY_S: Final = 60.0
LOOK_S: Final = 0.25
FILES_A_TAP: Final = 8
"""Connection, journal and what belongs to it, in a node's process."""
FILES_BESIDE: Final = 200
BUSY_MACHINE_MS: Final = 60_000
"""Of a node's own watchdog: a process with a hundred of them on a full machine may be late."""
IDLE_TICK_MS: Final = 1_000
TICK_MS: Final = 100
"""A real node has a machine of its own, and looks ten times at rest and fifty times a second while it pours."""
MEMORY: Final = Path("/dev/shm")


class TooFewFiles(Exception):
    """This user may not open as many files as so many taps need."""


class NotInTime(Exception):
    """Something did not happen within its bound."""


def need_files(tap_count: int) -> int:
    """Raise the limit of open files to what is needed, as far as this user may; returns the limit. Raises `TooFewFiles`."""
    needed = max(tap_count + FILES_BESIDE, min(tap_count, A_PROCESS) * FILES_A_TAP + FILES_BESIDE)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise TooFewFiles(f"{tap_count} taps need {needed} open files in one process, and `ulimit -Hn` says {hard}: raise it")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
        return needed
    return soft


@dataclass
class Field:
    """A venue with very many taps, and all that runs there."""

    folder: Path
    postgres: EmbeddedPostgres
    broker: EmbeddedBroker
    db: Database
    paths: list[DevicePath]
    cores: list[Child] = field(default_factory=list)
    admin: Child | None = None
    fleets: list[Child] = field(default_factory=list)
    admin_port: int = field(default_factory=free_port)
    starts: int = 0
    """So many times something was started: each has its log."""

    @property
    def busy(self) -> list[DevicePath]:
        """The taps with guests."""
        return self.paths[::GUESTS_AT]

    # ── what runs ───────────────────────────────────────────────────────────

    def start_services(self) -> None:
        """Start core workers and admin API."""
        self.starts += 1
        self.cores = [self._start(f"core-{number}", "tapwire_core", "core") for number in range(WORKERS)]
        address = {"TAPWIRE_ADMIN_HOST": LOOPBACK, "TAPWIRE_ADMIN_PORT": str(self.admin_port)}
        self.admin = self._start("admin", "tapwire_admin", "watcher", address)

    async def until_ready(self) -> None:
        """Wait until the admin API answers."""
        async with bounded("the admin API", READY_S), httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{self.admin_port}") as client:
            while not await _is_ready(client):
                await asyncio.sleep(LOOK_S)

    def start_fleets(self, *, with_guests: bool) -> None:
        """Start all nodes at once, with guests at one tap of `GUESTS_AT`, or at none."""
        self.starts += 1
        settings = {path: "festival.toml" if with_guests and path in self.busy else "rest.toml" for path in self.paths}
        for number, first in enumerate(range(0, len(self.paths), A_PROCESS)):
            files = [self.folder / path.device_id / settings[path] for path in self.paths[first : first + A_PROCESS]]
            arguments = [argument for file in files for argument in ("--config", str(file))]
            program = Program(f"fleet-{number}", ("tapwire_node.fleet", *arguments), {})
            self.fleets.append(start_program(program, self.folder / f"{program.name}.{self.starts}.log"))
            _give_way(self.fleets[-1].pid)

    def kill(self, *, fleets: bool = False, services: bool = False) -> None:
        """Kill processes as a power cut does."""
        killed = [*(self.fleets if fleets else ()), *([*self.cores, self.admin] if services else ())]
        for child in killed:
            if child is not None:
                child.send(signal.SIGKILL)
        for child in killed:
            if child is not None:
                child.kill()
        if fleets:
            self.fleets.clear()
        if services:
            self.cores, self.admin = [], None

    async def restart_broker(self) -> None:
        """Kill the broker, and start it again."""
        assert self.broker.pid is not None
        os.kill(self.broker.pid, signal.SIGKILL)
        while self.broker.running:
            await asyncio.sleep(LOOK_S)
        await self.broker.start()

    def pids(self) -> dict[str, list[int]]:
        """The processes of each program, of which the first ones have the others as children."""
        assert self.broker.pid is not None
        return {
            BROKER: [self.broker.pid],
            POSTGRES: [self.postgres.pid],
            CORE: [core.pid for core in self.cores],
            ADMIN: [self.admin.pid] if self.admin else [],
            NODES: [fleet.pid for fleet in self.fleets],
        }

    def _start(self, name: str, module: str, account: str, settings: Mapping[str, str] | None = None) -> Child:
        given = {"TAPWIRE_DATABASE_URL": self.postgres.application_url_of(), "TAPWIRE_BROKER_URL": self.broker.url(account)}
        return start_program(
            Program(name, (module, "run"), given | dict(settings or {})), self.folder / f"{name}.{self.starts}.log"
        )

    # ── what the books know ─────────────────────────────────────────────────

    async def now(self) -> datetime:
        """The database's time."""
        moment: datetime = await self.db.pool.fetchval("SELECT clock_timestamp()")
        return moment

    async def pours_since(self, since: datetime) -> int:
        """Pours that were settled since then."""
        return int(await self.db.pool.fetchval("SELECT count(*) FROM pours WHERE settled_at >= $1", since))

    async def until_online(self, since: datetime, patience_s: float, advance: Advance = untold) -> list[float]:
        """Wait until each node was heard since then, and is online; the seconds until each was, of those that were in time."""
        statement = "SELECT count(*) FROM node_status WHERE status = 'online' AND seen_at >= $1"
        return await self._until_all("online", len(self.paths), statement, since, patience_s, advance)

    async def until_poured(self, since: datetime, patience_s: float, advance: Advance = untold) -> list[float]:
        """Wait until each tap with guests has had a settled pour since then; the seconds until each had it, of those in time."""
        statement = "SELECT count(DISTINCT tap_path) FROM pours WHERE authorized_at >= $1 AND sync_status = 'synced'"
        await self._until_all("poured", len(self.busy), statement, since, patience_s, advance)
        rows = await self.db.pool.fetch(
            """SELECT extract(epoch FROM min(settled_at) - $1)::float FROM pours
               WHERE authorized_at >= $1 AND sync_status = 'synced' GROUP BY tap_path ORDER BY 1""",
            since,
        )
        return [row[0] for row in rows]

    async def why_dry(self, since: datetime) -> dict[str, int]:
        """What keeps taps with guests from a settled pour since then, and how many: the tap's state and its pending pour's."""
        rows = await self.db.pool.fetch(
            """SELECT concat_ws(', ', tap.status, tap.status_reason, node.status, pour.sync_status) AS state, count(*) AS taps
               FROM taps tap LEFT JOIN node_status node ON node.path = tap.tap_path
               LEFT JOIN pours pour ON pour.tap_path = tap.tap_path AND pour.sync_status = 'pending_sync'
               WHERE tap.tap_path = ANY($2) AND NOT EXISTS (
                   SELECT FROM pours its WHERE its.tap_path = tap.tap_path AND authorized_at >= $1 AND its.sync_status = 'synced')
               GROUP BY 1""",
            since,
            [str(path) for path in self.busy],
        )
        return {row["state"]: row["taps"] for row in rows}

    async def _until_all(
        self, step: str, wanted: int, statement: str, since: datetime, patience_s: float, advance: Advance
    ) -> list[float]:
        seen_s: list[float] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while len(seen_s) < wanted:
                    there = int(await self.db.pool.fetchval(statement, since))
                    passed_s = (await self.now() - since).total_seconds()
                    seen_s += [passed_s] * (there - len(seen_s))
                    advance(step, there, wanted)
                    await asyncio.sleep(LOOK_S)
        return seen_s


def _give_way(pid: int) -> None:
    """Let a process take what the others leave; where each session is a group of the scheduler's, by its group."""
    psutil.Process(pid).nice(NICE)
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(NICE), encoding="ascii")


@asynccontextmanager
async def bounded(what: str, seconds: float) -> AsyncIterator[None]:
    """Bound a wait; raises `NotInTime` with what was waited for."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise NotInTime(f"not within {seconds:g} s: {what}") from error


async def _is_ready(client: httpx.AsyncClient) -> bool:
    with suppress(httpx.HTTPError):
        return (await client.get("/health/ready")).is_success
    return False


@asynccontextmanager
async def open_field(tap_count: int, advance: Advance = untold) -> AsyncIterator[Field]:
    """Database, broker and so many taps, each with a keg and a guest who can pay for long; no program runs yet."""
    need_files(tap_count)
    paths = [tap_path(VENUE, f"tap-{number:05}") for number in range(tap_count)]
    with _node_folder() as folder:
        async with temporary_postgres(PostgresSettings(durable=True, max_connections=200)) as postgres:
            await migrate(postgres.url, postgres.application_url_of())
            async with Database.open(postgres.application_url_of(), Policy()) as db:
                cards = await _set_up(db, paths, advance)
                async with open_broker(BrokerKind.MOSQUITTO, folder / "broker", _accounts(paths)) as broker:
                    for path in paths:
                        _write_tap(folder / path.device_id, path, broker, cards[path])
                    opened = Field(folder, postgres, broker, db, paths)
                    try:
                        yield opened
                    finally:
                        opened.kill(fleets=True, services=True)


@contextmanager
def _node_folder() -> Iterator[Path]:
    """In memory where that is possible: each real tap has a disk of its own, and these would all share one."""
    where = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="tapwire-field-", dir=where) as folder:
        yield Path(folder)


def _accounts(paths: Sequence[DevicePath]) -> list[Account]:
    roles = {"core": BrokerRole.CORE, "watcher": BrokerRole.WATCHER}
    services = [Account(name, secrets.token_urlsafe(), role) for name, role in roles.items()]
    return services + [Account(str(path), secrets.token_urlsafe(), BrokerRole.DEVICE) for path in paths]


async def _set_up(db: Database, paths: Sequence[DevicePath], advance: Advance) -> dict[DevicePath, str]:
    """The venue, by use cases; the card of each tap's guest."""
    await venues.create_venue(db, OPERATOR, venue_id=VENUE, name="The Field", time_zone="Europe/Berlin")
    await shifts.open_shift(db, OPERATOR, VENUE)
    beverage_id = await beverages.create_beverage(db, OPERATOR, name="Pils", sell_price_per_liter_minor=PRICE_MINOR)
    cards = {path: f"04{number:012x}" for number, path in enumerate(paths)}
    done, turns = 0, asyncio.Semaphore(SETTING_UP_AT_ONCE)

    async def set_up(path: DevicePath, card_uid: str) -> None:
        nonlocal done
        async with turns:
            await taps.create_tap(db, OPERATOR, venue_id=VENUE, tap_id=path.device_id, name=path.device_id)
            keg_id = await kegs.create_keg(db, OPERATOR, venue_id=VENUE, beverage_id=beverage_id, initial_volume_ml=KEG_ML)
            await taps.put_keg(db, OPERATOR, path, keg_id)
            guest_id = await guests.create_guest(db, OPERATOR, first_name="Ann", age_checked=True)
            await money.top_up(db, OPERATOR, guest_id, BALANCE_MINOR, PaymentMethod.CASH, VENUE)
            await visits.open_and_assign_card(db, OPERATOR, VENUE, guest_id, card_uid)
            done += 1
            advance("setting up taps", done, len(paths))

    await asyncio.gather(*(set_up(path, card_uid) for path, card_uid in cards.items()))
    return cards


def _write_tap(folder: Path, path: DevicePath, broker: EmbeddedBroker, card_uid: str) -> None:
    """The node's settings, once with guests and once without; they share the journal."""
    folder.mkdir()
    common = "\n".join(
        [
            f'[tap]\npath = "{path}"',
            f"[broker]\nurl = {json.dumps(broker.url(str(path)))}\nkeepalive_s = {KEEPALIVE_S}",
            '[journal]\nfile = "journal.sqlite"\nreserve_kib = 64',
            f"[process]\nvalve_watchdog_ms = {BUSY_MACHINE_MS}\nidle_tick_ms = {IDLE_TICK_MS}\ntick_ms = {TICK_MS}",
            '[hardware]\ndriver = "simulated"\n',
        ]
    )
    (folder / "rest.toml").write_text(common)
    (folder / "festival.toml").write_text(f'{common}scenario = "guests.toml"\n')
    dice = random.Random(str(path))
    first = _guest(card_uid, dice.uniform(*FIRST_S), FIRST_FLOW_ML_PER_S, FIRST_ML)
    others = [_guest(card_uid, dice.uniform(*PAUSES_S), FLOW_ML_PER_S, POUR_ML) for _ in range(GUESTS_A_ROUND)]
    (folder / "guests.toml").write_text("".join([first, *others]))


def _guest(card_uid: str, pause_s: float, flow_ml_per_s: int, volume_ml: int) -> str:
    return (
        f'[[guests]]\ncards = ["{card_uid}"]\nflow_ml_per_s = {flow_ml_per_s}\nleave_after_ml = {volume_ml}\n'
        f"pause_ms = {round(pause_s * 1_000)}\npatience_ms = {PATIENCE_MS}\nretry_after_ms = {RETRY_MS}\n"
    )
