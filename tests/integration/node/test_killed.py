"""Kill -9, again and again, at each step of a pour: nothing is lost, nothing is booked twice, and the valve is closed again."""

import asyncio
import contextlib
import json
import random
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from tapwire_contracts.acl import BrokerRole
from tapwire_core.db.engine import Database
from tapwire_core.domain.policy import Policy
from tapwire_core.mqtt.connection import BrokerAddress
from tapwire_core.services import taps
from tapwire_core.worker.worker import Worker
from tapwire_demo.broker import Account, EmbeddedBroker
from tapwire_node.journal.inspection import export
from tapwire_node.simulator.client import SimulatorClient
from tapwire_node.simulator.protocol import Action
from tests.besides import besides
from tests.integration.node.rig import tap_settings
from tests.integration.node.simulator_rig import BUSY_MACHINE_MS, PATIENCE_S, Ear, Module, ear_at, simulator_of, until
from tests.integration.node.test_with_core import PACE
from tests.stolen_time import Stolen
from tests.thoroughness import short_or_long
from tests.venue import OPERATOR, PRICE_MINOR, Guest, Venue

TAPS: Final = short_or_long(4, 6)
KILLS: Final = TAPS * short_or_long(9, 18)
FLOW_ML_PER_S: Final = 40
PULSES_PER_LITER: Final = 10_000
TOLERANCE_ML: Final = 20
"""Of the two tolerances, 20 ml and 250 ms of flow, the larger at this flow."""
STEPS: Final = ("question", "grant", "journal", "valve open", "flow", "card taken", "valve closed", "report", "verdict")
"""Events before the kill; a few random milliseconds then decide on which side of the journal's write it falls."""


@dataclass
class Kill:
    """One kill: where it fell, what had flowed of the pour then, and what the journal said of it."""

    step: str
    truth_ml: int
    checkpoints_ml: dict[str, int]


@dataclass
class Victim:
    """A tap whose node is killed again and again."""

    path: str
    config: Path
    guest: Guest
    hand: SimulatorClient
    ear: Ear
    node: Module
    dice: random.Random
    kills: list[Kill] = field(default_factory=list)
    pours: dict[str, Kill] = field(default_factory=dict)

    async def suffer(self, step: str) -> None:
        """A pour, a kill at this step of it, and the start after that."""
        asked = {kind: len(self.ear.all(self.path, kind)) for kind in ("card_presented", "pour_authorized", "pour_completed")}
        before = self.hand.look().flowed_ml
        await self.lay_card(asked["card_presented"])
        await self.reach(step, asked, before)
        await asyncio.sleep(self.dice.uniform(0, 0.02))
        await self.node.kill()
        await until(lambda: not self.hand.look().node_is_attached, "the simulator to see that the node is gone")
        left_at_ml = self.hand.look().left_at_ml
        assert left_at_ml is not None
        kill = Kill(step, left_at_ml - before, self.checkpoints())
        self.hand.act(Action.REMOVE)
        if self.dice.random() < 0.5:
            self.hand.act(Action.SHUT_VALVE)
        await self.start()
        self.kills.append(kill)
        for granted in self.ear.all(self.path, "pour_authorized")[asked["pour_authorized"] :]:
            self.pours.setdefault(granted["pour_id"], kill)

    async def lay_card(self, asked: int) -> None:
        """Lay the card on; again, as a guest would, where the tap was not ready for it yet."""
        deadline = time.monotonic() + PATIENCE_S
        while len(self.ear.all(self.path, "card_presented")) == asked:
            assert time.monotonic() < deadline, self.story()
            self.hand.act(Action.REMOVE)
            await asyncio.sleep(0.2)
            self.hand.act(Action.PRESENT, card_uid=self.guest.card_uid)
            with contextlib.suppress(AssertionError):
                await until(lambda: len(self.ear.all(self.path, "card_presented")) > asked, "a question", patience_s=10)

    async def reach(self, step: str, asked: dict[str, int], before: int) -> None:
        """Wait until the pour has come to this step."""
        heard = self.ear.all
        match step:
            case "question":
                pass
            case "grant" | "journal":
                await until(lambda: len(heard(self.path, "pour_authorized")) > asked["pour_authorized"], self.story)
                if step == "journal":
                    await asyncio.sleep(0.005)
            case "valve open":
                await until(lambda: self.hand.look().valve_is_driven, self.story)
            case _:
                enough_ml = before + self.dice.randint(5, 60)
                await until(lambda: self.hand.look().flowed_ml >= enough_ml, self.story)
                if step != "flow":
                    await self.reach_end(step, asked)

    def story(self) -> str:
        """This tap's last known state, for the message of a timeout."""
        return f"{self.path}, {self.hand.look()}, its node says:\n{self.node.log()[-2_000:]}"

    async def reach_end(self, step: str, asked: dict[str, int]) -> None:
        """Take the card off, and wait until the end of the pour has come to this step."""
        self.hand.act(Action.REMOVE)
        if step in ("valve closed", "report", "verdict"):
            await until(lambda: not self.hand.look().valve_is_driven, self.story)
        if step in ("report", "verdict"):
            await until(lambda: len(self.ear.all(self.path, "pour_completed")) > asked["pour_completed"], self.story)
        if step == "verdict":
            told = self.ear.all(self.path, "pour_completed")[asked["pour_completed"]]["pour_id"]
            await until(lambda: told in {verdict["pour_id"] for verdict in self.ear.all(self.path, "pour_settled")}, self.story)

    async def start(self) -> None:
        """Start the node, and wait until all that it had to say is said; the valve is closed before it says anything."""
        states = self.ear.all(self.path, "node_state")
        boots = {state["boot_id"] for state in states}
        await self.node.start()

        def is_back() -> bool:
            return bool(states) and states[-1]["status"] == "online" and states[-1]["boot_id"] not in boots

        await until(lambda: not self.node.runs or is_back(), self.node.log)
        assert not self.hand.look().valve_is_driven
        await until(
            lambda: not self.node.runs or (states[-1]["facts_open"] == 0 and states[-1]["phase"] == "IDLE"),
            lambda: f"rest of {self.path}: {states[-1]}",
        )
        assert self.node.runs, self.node.log()

    def checkpoints(self) -> dict[str, int]:
        """The journal's pours without a verdict, as a technician reads them."""
        facts = [json.loads(line) for line in export(self.config.parent / "journal.sqlite")]
        return {fact["fact_id"]: fact["volume_ml"] for fact in facts if fact["verdict"] is None}


@pytest.fixture
async def busy_venue(database_url: str) -> AsyncIterator[Venue]:
    """A venue whose core soon asks for pours that no report comes for."""
    async with Database.open(database_url, Policy(start_window_ms=400)) as db:
        venue = await Venue.open(db)
        yield venue
        await venue.books_balance()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="taps-") as folder:
        yield Path(folder)


@asynccontextmanager
async def core_of(venue: Venue, broker: EmbeddedBroker) -> AsyncIterator[None]:
    address = BrokerAddress(url=broker.url("core"), protocol=broker.protocol, shared=True)
    async with besides(Worker(venue.db, address, PACE, f"core-{secrets.token_hex(4)}").run()):
        yield


async def settings_of(venue: Venue, broker: EmbeddedBroker, folder: Path, tap_id: str) -> dict[str, Any]:
    """A tap's settings with its own account, on a flow that shows what is lost, with checkpoints as far apart as they may be."""
    path = f"bar/taps/{tap_id}"
    if tap_id != "left":
        await venue.another_tap(tap_id)
    await taps.change_tap(venue.db, OPERATOR, venue.tap.path.parse(path), pulses_per_liter=PULSES_PER_LITER, reason="a new meter")
    await broker.add_account(Account(path, "s3cret", BrokerRole.DEVICE))
    settings = await tap_settings(broker, folder)
    settings["tap"]["path"] = path
    settings["broker"]["url"] = broker.url(path)
    checkpoints = {"checkpoint_ms": 250, "checkpoint_ml": 20}
    patience = {"request_timeout_ms": 5_000, "question_repeat_ms": 500}
    return settings | {
        "hardware": settings["hardware"] | {"flow_ml_per_s": FLOW_ML_PER_S, "pulses_per_liter": PULSES_PER_LITER},
        "limits": settings["limits"] | checkpoints | patience,
        "broker": settings["broker"] | {"resend_first_ms": 1_000, "resend_max_ms": 4_000, "timeout_ms": 10_000},
        "process": settings["process"] | {"valve_watchdog_ms": BUSY_MACHINE_MS},
    }


@asynccontextmanager
async def victims_at(venue: Venue, broker: EmbeddedBroker, folder: Path, count: int) -> AsyncIterator[list[Victim]]:
    """Nodes at work on taps of one simulator, each with a guest of its own."""
    ids = ["left", *(f"tap-{number}" for number in range(1, count))]
    configs = [await settings_of(venue, broker, folder, tap_id) for tap_id in ids]
    async with core_of(venue, broker), ear_at(broker) as ear, simulator_of(folder, *configs) as (_, files):
        victims = []
        for number, (config, file) in enumerate(zip(configs, files, strict=True)):
            path = config["tap"]["path"]
            node = Module(file.parent / "node.log", "tapwire_node", "run", "--config", str(file))
            guest = await venue.guest(balance_minor=100_000_00)
            hand = SimulatorClient(folder / "beer.sock", path)
            victims.append(Victim(path, file, guest, hand, ear, node, random.Random(number)))
        try:
            await asyncio.gather(*(victim.start() for victim in victims))
            yield victims
        finally:
            await asyncio.gather(*(victim.node.end() for victim in victims))


@pytest.mark.lasts
@pytest.mark.thorough
@pytest.mark.timeout(300)
async def test_a_node_killed_again_and_again_reports_every_pour_once_and_closely(
    busy_venue: Venue, mosquitto: EmbeddedBroker, short_folder: Path
) -> None:
    async with victims_at(busy_venue, mosquitto, short_folder, TAPS) as victims:
        with Stolen.measured() as stolen:
            await asyncio.gather(*(kill_through(victim) for victim in victims))
        await no_pour_pending(busy_venue)

        slack_ml = TOLERANCE_ML + stolen.flow_ml(FLOW_ML_PER_S)
        for victim in victims:
            await check(busy_venue, victim, slack_ml)
        assert sum(len(victim.kills) for victim in victims) == KILLS
        assert {kill.step for victim in victims for kill in victim.pours.values()} == set(STEPS)
    assert await incidents(busy_venue) == []


async def kill_through(victim: Victim) -> None:
    """A share of the kills, at every step in a random order."""
    steps = [STEPS[number % len(STEPS)] for number in range(KILLS // TAPS)]
    victim.dice.shuffle(steps)
    for step in steps:
        await victim.suffer(step)


async def no_pour_pending(venue: Venue) -> None:
    async with asyncio.timeout(30):
        while await venue.db.pool.fetchval("SELECT count(*) FROM pours WHERE sync_status = 'pending_sync'"):
            await asyncio.sleep(0.05)


async def check(venue: Venue, victim: Victim, slack_ml: int) -> None:
    """Each pour ended once, with no less than its last checkpoint and not far from the truth; its guest paid just that."""
    reports = victim.ear.all(victim.path, "pour_completed")
    charged_minor = 0
    for pour_id, kill in victim.pours.items():
        pour = await venue.pour(UUID(pour_id))
        volume_ml = int(str(pour["volume_ml"]))
        told = {(report["volume_ml"], report["odometer_from_ml"]) for report in reports if report["pour_id"] == pour_id}
        assert len(told) <= 1, (kill, told)
        assert pour["sync_status"] == ("synced" if volume_ml else "voided"), kill
        assert kill.checkpoints_ml.get(pour_id, 0) <= volume_ml <= kill.truth_ml + 1, kill
        assert kill.truth_ml - volume_ml <= slack_ml, (kill, volume_ml, slack_ml)
        charged_minor += int(str(pour["amount_minor"]))
        assert pour["amount_minor"] == volume_ml * PRICE_MINOR // 1_000
    assert await venue.balance(victim.guest) == (100_000_00 - charged_minor, 0)


async def incidents(venue: Venue) -> list[str]:
    return [row["kind"] for row in await venue.db.pool.fetch("SELECT kind FROM incidents")]
