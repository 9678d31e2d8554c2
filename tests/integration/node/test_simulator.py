"""Simulated taps in a process of their own: their state after a node's death, and the node's next start."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tapwire_demo.broker import EmbeddedBroker
from tapwire_node.simulator.client import SimulatorClient
from tapwire_node.simulator.protocol import Action, SimulatorUnreachable
from tests.integration.node.rig import CARD, TAP, Core, core_at, tap_settings, to_toml
from tests.integration.node.simulator_rig import BUSY_MACHINE_MS, Module, simulator_of, until


@dataclass
class Stage:
    """A tap in a simulator, its node as a process, and a core that grants when told to."""

    core: Core
    hand: SimulatorClient
    node: Module
    simulator: Module
    socket: Path

    async def start(self) -> None:
        """Start the node, and wait until it is ready for a card, or waits for one to go."""
        self.core.forget()
        await self.node.start()
        await self.core.hear("node_state", status="online", config_revision=1)

    async def pour(self) -> str:
        """Lay a card on and have it granted; the pour's id, when beer flows."""
        await self.core.hear("node_state", phase="IDLE")
        self.hand.act(Action.PRESENT, card_uid=CARD)
        pour_id = await self.core.grant(await self.core.hear("card_presented"))
        await self.flows()
        return pour_id

    async def flows(self) -> None:
        """Wait until more has flowed."""
        from_ml = self.hand.look().flowed_ml
        await until(lambda: self.hand.look().flowed_ml >= from_ml + 20, "flow")

    async def is_shut(self) -> None:
        """Wait until the valve's pin is not driven any more."""
        await until(lambda: not self.hand.look().valve_is_driven, "a closed valve")


@asynccontextmanager
async def stage_at(broker: EmbeddedBroker, **more: dict[str, Any]) -> AsyncIterator[Stage]:
    """`more` settings by table."""
    with tempfile.TemporaryDirectory(prefix="taps-") as name:
        folder = Path(name)
        settings = await tap_settings(broker, folder)
        settings["process"] = settings["process"] | {"valve_watchdog_ms": BUSY_MACHINE_MS}
        for table, values in more.items():
            settings[table] = settings[table] | values
        async with core_at(broker) as core, simulator_of(folder, settings) as (simulator, files):
            socket = folder / "beer.sock"
            node = Module(folder / "node.log", "tapwire_node", "run", "--config", str(files[0]))
            with SimulatorClient(socket, TAP) as hand:
                stage = Stage(core, hand, node, simulator, socket)
                await stage.start()
                try:
                    yield stage
                finally:
                    await node.end()


@pytest.fixture
async def stage(mosquitto: EmbeddedBroker) -> AsyncIterator[Stage]:
    async with stage_at(mosquitto) as stage:
        yield stage


async def test_a_valve_left_open_by_a_killed_node_flows_until_the_next_start_shuts_it_first_of_all(stage: Stage) -> None:
    pour_id = await stage.pour()
    await stage.node.kill()
    await stage.flows()
    assert stage.hand.look().valve_is_driven
    assert not stage.hand.look().node_is_attached

    await stage.start()
    assert not stage.hand.look().valve_is_driven, "it is shut before the node says anything"
    report = await stage.core.hear("pour_completed", pour_id=pour_id)

    left_at_ml = stage.hand.look().left_at_ml
    assert left_at_ml is not None
    assert report["volume_ml"] <= left_at_ml < stage.hand.look().flowed_ml
    assert report["interrupted"]


async def test_close_valve_closes_the_valve_of_a_killed_node(stage: Stage) -> None:
    await stage.pour()
    await stage.node.kill()
    assert stage.hand.look().valve_is_driven
    assert not stage.hand.act(Action.SHUT_VALVE).valve_is_driven


async def test_a_power_cut_ends_the_node_and_the_valve_falls_closed(stage: Stage) -> None:
    await stage.pour()
    stage.hand.act(Action.CUT_POWER)
    assert await stage.node.wait() == -9
    assert not stage.hand.look().valve_is_driven


async def test_a_pour_at_a_remote_tap_is_metered_and_ends_when_the_card_goes(stage: Stage) -> None:
    pour_id = await stage.pour()
    stage.hand.act(Action.REMOVE)
    report = await stage.core.hear("pour_completed", pour_id=pour_id)
    assert (report["end_reason"], report["volume_ml"]) == ("card_removed", stage.hand.look().flowed_ml)


async def test_a_reader_that_is_lost_closes_the_valve(stage: Stage) -> None:
    await stage.pour()
    stage.hand.act(Action.BREAK_READER)
    assert (await stage.core.hear("pour_completed"))["end_reason"] == "fault"
    stage.hand.act(Action.REMOVE)
    stage.hand.act(Action.MEND_READER)
    await stage.core.hear("node_state", phase="IDLE", facts_open=0, odometer_ml=stage.hand.look().flowed_ml)


async def test_a_stuck_valve_is_reported_as_flow_through_a_closed_valve(stage: Stage) -> None:
    await stage.pour()
    stage.hand.act(Action.STICK_VALVE)
    stage.hand.act(Action.REMOVE)
    flow = await stage.core.hear("unattributed_flow")
    assert flow["cause"] == "closed_valve"
    stage.hand.act(Action.FREE_VALVE)


async def test_a_node_that_loses_its_simulator_ends_its_pour_and_reconnects(stage: Stage) -> None:
    await stage.pour()
    await stage.simulator.kill()
    assert (await stage.core.hear("pour_completed"))["end_reason"] == "fault"
    stage.core.forget()
    await stage.simulator.start()
    await stage.core.hear("node_state", phase="IDLE", valve="closed")


async def test_a_simulator_refuses_an_impossible_action(stage: Stage) -> None:
    with pytest.raises(ValueError, match="card id"):
        stage.hand.act(Action.PRESENT, card_uid="beer")
    with SimulatorClient(stage.socket, "bar/taps/nowhere") as nobody, pytest.raises(SimulatorUnreachable, match="no tap"):
        nobody.look()


async def test_a_node_without_its_simulator_says_what_to_start(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    settings = await tap_settings(mosquitto, tmp_path)
    settings["hardware"]["simulator"] = "nobody.sock"

    (tmp_path / "tap.toml").write_text(to_toml(settings))
    node = Module(tmp_path / "node.log", "tapwire_node", "run", "--config", str(tmp_path / "tap.toml"))
    await node.start()
    assert await node.wait() == 2
    assert "start python -m tapwire_node.simulator" in node.log()


async def test_a_jump_of_the_clock_disturbs_no_pour(stage: Stage) -> None:
    pour_id = await stage.pour()
    stage.hand.act(Action.SET_CLOCK, wrong_by_s=-30 * 365 * 86_400)
    stage.hand.act(Action.REMOVE)
    report = await stage.core.hear("pour_completed", pour_id=pour_id)
    assert (report["end_reason"], report["volume_ml"]) == ("card_removed", stage.hand.look().flowed_ml)
    assert report["age_ms"] < 60_000

    stage.core.forget()
    await stage.pour()
    assert stage.core.all("card_presented")[-1]["read_at"] < "2010"
