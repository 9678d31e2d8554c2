"""A real tap node with simulated hardware at a real broker, and a core that does only what the test says."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec
import pytest

from tapwire_contracts.acl import BrokerRole
from tapwire_contracts.mqtt_clients import NO_DELAY
from tapwire_contracts.topics import ROOT
from tapwire_core.broker.client import Client
from tapwire_demo.broker import Account, EmbeddedBroker
from tapwire_node.hardware.simulated_tap import SimulatedTap
from tapwire_node.runtime.tap_node import TapNode, running_node
from tapwire_node.settings import Settings
from tests.mqtt_tap import protocol_of

TAP: Final = "bar/taps/left"
CARD: Final = "04a1b2c3"
OTHER_CARD: Final = "04ffffff"
WAIT_S: Final = 20.0
LOOK_S: Final = 0.005
FLOW_ML_PER_S: Final = 200
SHORT: Final = {
    "limits": {
        "request_timeout_ms": 5_000,
        "question_repeat_ms": 150,
        "card_debounce_ms": 80,
        "tail_ms": 300,
        "tail_quiet_ms": 100,
        "settle_wait_ms": 300,
        "checkpoint_ms": 40,
        "leak_quiet_ms": 200,
        "leak_report_ms": 600,
        "core_absence_ms": 200,
        "journal_stall_ms": 5_000,
        "service_hold_ms": 5_000,
    },
    "process": {"tick_ms": 10, "idle_tick_ms": 20, "valve_watchdog_ms": 5_000, "shutdown_ms": 2_000},
}


class Core:
    """A core worker's connection: it records everything of the tap and answers only when told to."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._heard: list[dict[str, Any]] = []
        self._news = asyncio.Condition()
        self.verdicts = True
        """True: each fact gets its verdict at once."""

    async def listen(self) -> None:
        async for message in self._client.messages:
            assert isinstance(message.payload, bytes)
            heard = json.loads(message.payload)
            async with self._news:
                self._heard.append(heard)
                self._news.notify_all()
            if self.verdicts and heard["type"] == "pour_completed":
                await self.settle(heard)
            if self.verdicts and heard["type"] == "unattributed_flow":
                await self.command("flow_recorded", event_id=heard["event_id"])

    def all(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """Received messages of a type, with these values."""
        return [heard for heard in self._heard if heard["type"] == kind and fields.items() <= heard.items()]

    async def hear(self, kind: str, count: int = 1, **fields: Any) -> dict[str, Any]:
        """Wait for the `count`-th message of a type with these values."""
        try:
            async with asyncio.timeout(WAIT_S), self._news:
                await self._news.wait_for(lambda: len(self.all(kind, **fields)) >= count)
        except TimeoutError:
            raise AssertionError(f"waited in vain for {count} {kind} with {fields}, heard {self.all(kind)}") from None
        return self.all(kind, **fields)[count - 1]

    def forget(self) -> None:
        """Count from here."""
        self._heard.clear()

    async def new_question(self, known: Collection[str]) -> dict[str, Any]:
        """Wait for a question that has none of these ids: a slow machine has a node repeat itself."""
        new: list[dict[str, Any]] = []

        def heard() -> bool:
            new[:] = [question for question in self.all("card_presented") if question["event_id"] not in known]
            return bool(new)

        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(heard)
        return new[0]

    async def command(self, kind: str, *, retain: bool = False, **fields: Any) -> None:
        """Send the tap a command."""
        await self._client.publish(f"{ROOT}/{TAP}/command", json.dumps({"type": kind, **fields}), qos=1, retain=retain)

    async def grant(self, question: dict[str, Any], **changes: Any) -> str:
        """Say yes; returns the pour's id."""
        grant = {
            "request_id": question["event_id"],
            "pour_id": str(uuid4()),
            "card_uid": question["card_uid"],
            "max_volume_ml": 10_000,
            "max_duration_ms": 60_000,
            "idle_timeout_ms": 15_000,
            "display": {"message": "Enjoy!"},
            **changes,
        }
        await self.command("pour_authorized", **grant)
        return str(grant["pour_id"])

    async def settle(self, report: dict[str, Any]) -> None:
        """Give a report its verdict."""
        await self.command(
            "pour_settled",
            pour_id=report["pour_id"],
            status="accepted",
            outcome="pending_updated_to_synced",
            reason=None,
            volume_ml=report["volume_ml"],
            amount_minor=1,
            balance_minor=1,
            currency="EUR",
        )

    async def configure(self, **changes: Any) -> None:
        """Publish the tap's config."""
        config = {
            "type": "tap_config",
            "status": "active",
            "beverage": None,
            "sell_price_per_liter_minor": 700,
            "currency": "EUR",
            "pulses_per_liter": 1_000,
            "max_pour_ml": 10_000,
            "locale": "en",
            "revision": 1,
            **changes,
        }
        await self._client.publish(f"{ROOT}/{TAP}/config", json.dumps(config), qos=1, retain=True)

    async def show_up(self, instance_id: str = "core-1", contract_version: str = "1.0", **more: int) -> None:
        """Publish a core worker's presence."""
        named = {"instance_id": instance_id, "software": "test", "contract_version": contract_version}
        state = {"type": "core_state", **named, **more}
        await self._client.publish(f"{ROOT}/core/{instance_id}/state", json.dumps(state), qos=1, retain=True)


def service_client(broker: EmbeddedBroker, username: str, identifier: str) -> Client:
    """A client with a service's account."""
    password = broker.account(username).password
    return Client(
        broker.host,
        broker.port,
        username=username,
        password=password,
        identifier=identifier,
        protocol=protocol_of(broker),
        socket_options=NO_DELAY,
    )


@asynccontextmanager
async def core_at(broker: EmbeddedBroker) -> AsyncIterator[Core]:
    """A connected core that has shown up and published an active config."""
    async with service_client(broker, "core", f"core-{uuid4()}") as client:
        core = Core(client)
        leaves = ("state", "card", "pour/progress", "pour/completed", "flow")
        await client.subscribe([(f"{ROOT}/{TAP}/{leaf}", 1) for leaf in leaves])
        listening = asyncio.create_task(core.listen())
        await core.show_up()
        await core.configure()
        try:
            yield core
        finally:
            listening.cancel()


async def tap_settings(broker: EmbeddedBroker, folder: Path, scenario: Path | None = None) -> dict[str, Any]:
    """A tap.toml's content, with the tap's account at the broker."""
    try:
        broker.account(TAP)
    except KeyError:
        await broker.add_account(Account(TAP, "s3cret", BrokerRole.DEVICE))
    hardware = {"driver": "simulated", "flow_ml_per_s": FLOW_ML_PER_S, "pulses_per_liter": 1_000, "closing_ms": 20}
    return {
        "tap": {"path": TAP, "pulses_per_liter": 1_000},
        "broker": {
            "url": broker.url(TAP),
            "protocol": broker.protocol,
            "reconnect_first_ms": 50,
            "reconnect_max_ms": 200,
            "resend_first_ms": 200,
            "resend_max_ms": 400,
            "resend_spread_ms": 100,
            "correct_state_ms": 100,
            "timeout_ms": 2_000,
        },
        "journal": {"file": str(folder / "journal.sqlite"), "retry_ms": 200},
        "hardware": hardware if scenario is None else {**hardware, "scenario": str(scenario)},
        **SHORT,
    }


class Rig:
    """A node in this process, and its core."""

    def __init__(self, node: TapNode, core: Core, broker: EmbeddedBroker, folder: Path) -> None:
        self.node = node
        self.core = core
        self.broker = broker
        self.folder = folder

    @property
    def tap(self) -> SimulatedTap:
        """The simulated hardware."""
        assert self.node.hardware.simulated is not None
        return self.node.hardware.simulated

    async def phase(self, phase: str) -> None:
        """Wait until the node is in this phase."""
        await until(lambda: self.node.state.phase.value == phase, lambda: f"phase {phase}, it is {self.node.state.phase}")

    async def poured(self, ml: int) -> None:
        """Wait until at least this much has gone through the meter since the last call."""
        from_ml = self.tap.flowed_ml
        await until(lambda: self.tap.flowed_ml - from_ml >= ml, f"{ml} ml")

    async def pour(self, card: str = CARD, **changes: Any) -> str:
        """Lay a card on and have it granted; returns the pour's id when the valve is open."""
        await self.phase("IDLE")
        asked = {question["event_id"] for question in self.core.all("card_presented")}
        self.tap.reader.present(card)
        question = await self.core.new_question(asked)
        pour_id = await self.core.grant(question, **changes)
        await self.phase("POURING")
        return pour_id


async def until(holds: Callable[[], object], what: Callable[[], object] | str, patience_s: float = WAIT_S) -> None:
    """Wait until something holds."""
    try:
        async with asyncio.timeout(patience_s):
            while not holds():
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise AssertionError(f"waited in vain for {what if isinstance(what, str) else what()}") from None


@asynccontextmanager
async def rig_at(broker: EmbeddedBroker, folder: Path, **more: dict[str, int]) -> AsyncIterator[Rig]:
    """Node and core, ready for a card; `more` settings by table."""
    given = await tap_settings(broker, folder)
    for table, values in more.items():
        given[table] = given[table] | values
    async with core_at(broker) as core, running_node(msgspec.convert(given, Settings)) as node:
        rig = Rig(node, core, broker, folder)
        await rig.phase("IDLE")
        yield rig


class NodeProcess:
    """A node in a process of its own, with guests from a scenario."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self.log = log

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def kill(self) -> None:
        """Kill it like a power cut."""
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def end(self) -> int:
        """Stop it like systemd; returns the exit code."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self._process.wait(), WAIT_S)


@asynccontextmanager
async def process_at(broker: EmbeddedBroker, folder: Path, guests: str) -> AsyncIterator[NodeProcess]:
    """`tapwire-node run` with these guests."""
    scenario = folder / "guests.toml"
    scenario.write_text(guests)
    config = folder / "tap.toml"
    config.write_text(to_toml(await tap_settings(broker, folder, scenario)))
    log = folder / "node.log"
    with log.open("ab") as sink:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tapwire_node", "run", "--config", str(config), stderr=sink, env=dict(os.environ)
        )
    node = NodeProcess(process, log)
    try:
        yield node
    finally:
        await node.end()


class Notified:
    """The socket at which systemd would listen."""

    def __init__(self, folder: Path) -> None:
        self._here = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.address = f"@tapwire-test-{os.getpid()}-{folder.name}"
        self._here.bind(f"\0{self.address[1:]}")
        self._here.setblocking(False)

    def start_the_next(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Start programs under it from now on, with a watchdog."""
        monkeypatch.setenv("NOTIFY_SOCKET", self.address)
        monkeypatch.setenv("WATCHDOG_USEC", "400000")

    async def hear(self, text: str) -> None:
        async with asyncio.timeout(WAIT_S):
            while (await asyncio.get_running_loop().sock_recv(self._here, 4_096)).decode() != text:
                pass

    async def fall_silent(self, seconds: float) -> None:
        """Wait until no sign of life has come for this long."""
        async with asyncio.timeout(WAIT_S):
            with suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(seconds):
                        await self.hear("WATCHDOG=1")


def to_toml(settings: dict[str, Any]) -> str:
    """Two levels of tables are all that a tap.toml has."""
    lines = []
    for name, table in settings.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines)


@asynccontextmanager
async def blocked_journal(folder: Path) -> AsyncIterator[None]:
    """Somebody holds the journal's write lock."""
    with sqlite3.connect(folder / "journal.sqlite", isolation_level=None) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")
    db.close()
