"""The bar: real servers and real programs, each a process of its own that may be killed, and a link that may fail before each."""

import asyncio
import contextlib
import json
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from tapwire_contracts.topics import DevicePath, tap_path
from tapwire_core.db.engine import Database
from tapwire_core.db.schema import migrate
from tapwire_core.domain.closed_sets import Role
from tapwire_core.domain.policy import Policy
from tapwire_core.services import users
from tapwire_core.settings import MQTT_5
from tapwire_demo.address import ConsoleAddress
from tapwire_demo.broker import BrokerKind, EmbeddedBroker, open_broker
from tapwire_demo.demo import answers
from tapwire_demo.postgres import EmbeddedPostgres, PostgresSettings, temporary_postgres
from tapwire_demo.processes import LOOPBACK, Child, free_port
from tapwire_demo.programs import Program, start_program
from tapwire_node.simulator.client import SimulatorClient
from tapwire_node.simulator.protocol import Action, GroundTruth, SimulatorUnreachable
from tests.chaos.first_data import PULSES_PER_LITER, VENUE, Drinker, found, invite
from tests.chaos.link import Link
from tests.chaos.machines import Member
from tests.chaos.memory import Memory
from tests.chaos.memory_card import Image
from tests.chaos.programs import KeptProgram, KeptServer
from tests.integration.node.rig import to_toml
from tests.integration.node.simulator_rig import BUSY_MACHINE_MS
from tests.venue import OPERATOR

RICH_MINOR: Final = 10_000_00
RICH_AND_POOR: Final = (RICH_MINOR, 1_00)
"""What the two guests of a tap have paid in: the poor one needs a top-up now and then."""
CORES: Final = ("core-1", "core-2")
ADMIN: Final = "admin"
SIMULATOR: Final = "simulator"
READY_S: Final = 90.0
UNLIMITED: Final = str(1_000_000)
"""Decisions per minute: one tap of the load pours as fast as many."""
TEST_TIMEOUT_S: Final = 300
"""Timeout of a test with all these processes on a busy machine."""
CONFLICT_MS: Final = 4_000
LOOK_S: Final = 0.05
CLOSING_S: Final = 0.15
"""Time after which nothing flows through a closed valve."""


@dataclass(slots=True)
class Tap:
    """A tap: its node, and a hand at what is simulated. `lost_ml` flowed while no node was there to count."""

    path: DevicePath
    keg_id: UUID
    node: KeptProgram
    drinkers: list[Drinker]
    socket: Path
    deaths: int = 0
    lost_ml: int = 0
    rewound_ml: int = 0
    """The odometer went back by so much, in all, as the card was set back."""
    lost_facts_ml: int = 0
    """At most so much stood in facts that had no verdict when the card was set back."""
    at_death: Callable[[], None] | None = None
    """Done once when the node is down."""
    _hand: SimulatorClient | None = None
    _known_ml: int = 0

    @property
    def journal(self) -> Path:
        """The node's journal."""
        return self.socket.parent / self.path.device_id / "journal.sqlite"

    def set_card_back(self, image: Image) -> None:
        """Write an older image to the node's memory card; the node is down."""
        odometer_ml, open_ml = Image.of(self.journal).read()
        self.rewound_ml += odometer_ml - image.read()[0]
        self.lost_facts_ml += open_ml
        image.write_back(self.journal)

    @property
    def hand(self) -> SimulatorClient:
        """A hand at the simulated hardware."""
        if self._hand is None:
            self._hand = SimulatorClient(self.socket, str(self.path))
        return self._hand

    def look(self) -> GroundTruth:
        """The valve's real state."""
        return self.hand.look()

    async def after_death(self) -> None:
        """Close the valve that a killed node left open, and note what flowed while nobody counted."""
        self.deaths += 1
        while self.look().node_is_attached:
            await asyncio.sleep(LOOK_S)
        left_at_ml = self.look().left_at_ml or 0
        self.hand.act(Action.SHUT_VALVE)
        await asyncio.sleep(CLOSING_S)
        flowed_ml = self.look().flowed_ml
        self.lost_ml += flowed_ml - max(left_at_ml, self._known_ml)
        self._known_ml = flowed_ml
        if self.at_death is not None:
            self.at_death()
            self.at_death = None


@dataclass(frozen=True, slots=True)
class Stranger:
    """A tap whose node is not ours: whoever has its account speaks for it."""

    path: DevicePath
    keg_id: UUID
    drinker: Drinker

    @property
    def card_uid(self) -> str:
        """The card of its one guest."""
        return self.drinker.card_uid


@dataclass(slots=True)
class Site:
    """Everything that runs."""

    folder: Path
    db: Database
    single: EmbeddedPostgres | None
    """The one database server; a cluster has none."""
    single_broker: EmbeddedBroker | None
    """The one broker; a cluster has none."""
    taps: list[Tap] = field(default_factory=list)
    strangers: list[Stranger] = field(default_factory=list)
    programs: dict[str, KeptProgram | Member] = field(default_factory=dict)
    servers: dict[str, KeptServer] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    database_url: str = ""
    """The current database, as programs log in."""
    standby_port: int | None = None
    """The address of the future standby, which core and admin know of."""
    api_url: str = ""
    staff_password: str = ""

    @property
    def postgres(self) -> EmbeddedPostgres:
        """The one database server."""
        assert self.single is not None, "a cluster has several"
        return self.single

    @property
    def broker(self) -> EmbeddedBroker:
        """The one broker."""
        assert self.single_broker is not None, "a cluster has several"
        return self.single_broker

    @property
    def cores(self) -> list[KeptProgram | Member]:
        """The core workers."""
        return [self.programs[name] for name in CORES]

    def memory(self) -> dict[str, Memory]:
        """The memory of each server and program now."""
        kept: dict[str, KeptServer | KeptProgram | Member] = {**self.servers, **self.programs}
        return {name: each.memory() for name, each in kept.items()}


@asynccontextmanager
async def open_site(
    tap_count: int, *, strangers: int = 0, core_settings: Mapping[str, str] | None = None, standby_port: int | None = None
) -> AsyncIterator[Site]:
    """A bar at work: servers, two core workers, admin API, and a node for each tap, all kept running."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        postgres = await stack.enter_async_context(temporary_postgres(PostgresSettings()))
        await migrate(postgres.url, postgres.application_url_of())
        db = await stack.enter_async_context(Database.open(postgres.url, Policy(), pool_size=4))
        paths = [tap_path(VENUE, f"tap-{number}") for number in range(1, tap_count + 1)]
        foreign = [tap_path(VENUE, f"stranger-{number}") for number in range(1, strangers + 1)]
        accounts = await found(db, paths + foreign)
        broker = await stack.enter_async_context(open_broker(BrokerKind.MOSQUITTO, folder / "broker", accounts))
        site = Site(folder, db, postgres, broker, database_url=postgres.application_url_of(), standby_port=standby_port)
        for server in (postgres, broker):
            site.servers[server.name] = KeptServer(server)
            await stack.enter_async_context(site.servers[server.name].kept())
        for number, path in enumerate(foreign):
            keg_id = await db.pool.fetchval("SELECT keg_id FROM taps WHERE tap_path = $1", str(path))
            site.strangers.append(Stranger(path, keg_id, await invite(db, f"05c0{number:04x}", RICH_MINOR)))
        await _open_services(site, stack, core_settings or {})
        await open_taps(site, stack, {path: await _broker_url(site, stack, path) for path in paths})
        await until_ready(site)
        yield site


async def _broker_url(site: Site, stack: AsyncExitStack, path: DevicePath) -> str:
    """The broker for a node, by way of a link."""
    link = await stack.enter_async_context(Link.opened(f"{path.device_id} to broker", site.broker.device_port))
    site.links[link.name] = link
    return through(site.broker.url(str(path)), link)


async def _open_services(site: Site, stack: AsyncExitStack, core_settings: Mapping[str, str]) -> None:
    """Core workers and admin API, each with a link to the broker and one to the database."""
    await hire_staff(site)
    api_port = free_port()
    site.api_url = f"http://{LOOPBACK}:{api_port}"
    for name in (*CORES, ADMIN):
        to_broker = await stack.enter_async_context(Link.opened(f"{name} to broker", site.broker.port))
        to_database = await stack.enter_async_context(Link.opened(f"{name} to database", site.postgres.port))
        site.links |= {link.name: link for link in (to_broker, to_database)}
        account = "watcher" if name == ADMIN else "core"
        settings = service_settings(_database_url(site, to_database), through(site.broker.url(account), to_broker))
        settings |= core_settings
        if name == ADMIN:
            settings |= {"TAPWIRE_ADMIN_HOST": LOOPBACK, "TAPWIRE_ADMIN_PORT": str(api_port)}
        module = "tapwire_admin" if name == ADMIN else "tapwire_core"
        site.programs[name] = KeptProgram(Program(name, (module, "run"), settings), site.folder)
        await stack.enter_async_context(site.programs[name].kept())


async def hire_staff(site: Site) -> None:
    """Make the operators' login."""
    site.staff_password = secrets.token_urlsafe()
    await users.create_user(site.db, OPERATOR, "staff", Role.SHIFT_LEAD, site.staff_password)


def service_settings(database_url: str, broker_url: str) -> dict[str, str]:
    """Settings of a core worker or admin API, for taps that pour without rest."""
    return {
        "TAPWIRE_DATABASE_URL": database_url,
        "TAPWIRE_BROKER_URL": broker_url,
        "TAPWIRE_DEVICE_DECISIONS_PER_HOUR": UNLIMITED,
        "TAPWIRE_IDENTITY_CONFLICT_MS": str(CONFLICT_MS),
    }


def _database_url(site: Site, link: Link) -> str:
    """The primary by way of a link, then the standby, if there will be one."""
    url = through(site.postgres.application_url_of(), link)
    return url if site.standby_port is None else url.replace(f":{link.port}", f":{link.port},{LOOPBACK}:{site.standby_port}")


async def open_taps(
    site: Site,
    stack: AsyncExitStack,
    broker_urls: Mapping[DevicePath, str],
    paid_minor: tuple[int, int] = RICH_AND_POOR,
    protocol: str = MQTT_5,
) -> None:
    """One simulator that outlives the nodes, and a node for each tap, with the broker's address or addresses for it."""
    files = []
    for path, broker_url in broker_urls.items():
        file = _write_tap(site, path, {"url": broker_url, "protocol": protocol})
        keg_id = await site.db.pool.fetchval("SELECT keg_id FROM taps WHERE tap_path = $1", str(path))
        node = KeptProgram(Program(path.device_id, ("tapwire_node", "run", "--config", file), {}), site.folder)
        site.taps.append(tap := Tap(path, keg_id, node, await _drinkers(site, paid_minor), site.folder / "beer.sock"))
        node.after_death = tap.after_death
        files.append(file)
    arguments = [argument for file in files for argument in ("--config", file)]
    simulator = KeptProgram(Program(SIMULATOR, ("tapwire_node.simulator", *arguments), {}), site.folder)
    site.programs[SIMULATOR] = simulator
    await stack.enter_async_context(simulator.kept())
    async with asyncio.timeout(READY_S):
        while not all(_is_served(tap) for tap in site.taps):
            await asyncio.sleep(LOOK_S)
    for tap in site.taps:
        site.programs[tap.node.name] = tap.node
        await stack.enter_async_context(tap.node.kept())


def _write_tap(site: Site, path: DevicePath, broker: dict[str, str]) -> Path:
    folder = site.folder / path.device_id
    folder.mkdir()
    settings: dict[str, Any] = {
        "tap": {"path": str(path), "pulses_per_liter": PULSES_PER_LITER},
        "broker": broker,
        "journal": {"file": str(folder / "journal.sqlite")},
        "hardware": {"driver": "simulated", "simulator": str(site.folder / "beer.sock"), "pulses_per_liter": PULSES_PER_LITER},
        "process": {"valve_watchdog_ms": BUSY_MACHINE_MS},
    }
    file = folder / "tap.toml"
    file.write_text(to_toml(settings))
    return file


def start_clone(site: Site, tap: Tap) -> Child:
    """Start a second node with a tap's login, and with hardware of its own that nobody comes to."""
    folder = Path(tempfile.mkdtemp(prefix="clone-", dir=site.folder))
    settings: dict[str, Any] = {
        "tap": {"path": str(tap.path), "pulses_per_liter": PULSES_PER_LITER},
        "broker": {"url": site.broker.url(str(tap.path)), "reconnect_first_ms": 100, "reconnect_max_ms": 500},
        "journal": {"file": str(folder / "journal.sqlite")},
        "hardware": {"driver": "simulated", "pulses_per_liter": PULSES_PER_LITER},
    }
    (file := folder / "tap.toml").write_text(to_toml(settings))
    return start_program(Program("clone", ("tapwire_node", "run", "--config", file), {}), folder / "clone.log")


async def _drinkers(site: Site, paid_minor: tuple[int, int]) -> list[Drinker]:
    """The two guests of the next tap."""
    first = len(site.taps) * 2
    return [await invite(site.db, f"04c0{first + count:04x}", paid) for count, paid in enumerate(paid_minor)]


def _is_served(tap: Tap) -> bool:
    with contextlib.suppress(SimulatorUnreachable):
        tap.look()
        return True
    return False


async def until_ready(site: Site) -> None:
    """Wait until every node has its config and the API answers; raises `AssertionError` with who is not ready."""
    deadline = asyncio.get_running_loop().time() + READY_S
    while missing := await _not_ready(site):
        assert asyncio.get_running_loop().time() < deadline, f"not ready: {missing}"
        await asyncio.sleep(LOOK_S)


async def _not_ready(site: Site) -> dict[str, str]:
    """Nodes that are not idle, with the state that the core knows, and an API that does not answer; with the ends of logs."""
    rows = await site.db.pool.fetch("SELECT path, status, state FROM node_status")
    idle = {row["path"] for row in rows if row["status"] == "online" and json.loads(row["state"])["phase"] == "IDLE"}
    known = {row["path"]: row["state"] for row in rows}
    missing = {str(tap.path): f"{known.get(str(tap.path))} {tap.node.log()}" for tap in site.taps if str(tap.path) not in idle}
    port = urlsplit(site.api_url).port
    host = urlsplit(site.api_url).hostname
    assert port
    assert host
    if await answers(ConsoleAddress(host, port)):
        return missing
    return missing | {name: program.log() for name, program in site.programs.items() if name.startswith(ADMIN)}


def through(url: str, link: Link) -> str:
    """The same address by way of a link."""
    port = urlsplit(url).port
    return url.replace(f"@{LOOPBACK}:{port}", f"@{LOOPBACK}:{link.port}")
