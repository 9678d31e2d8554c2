"""The real node and the real core, with a real broker and database between them: nothing is left over in the books."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec
import pytest

from tapwire_contracts.reasons import FlowCause
from tapwire_contracts.tasks import end_tasks
from tapwire_core.domain.closed_sets import TapStatus
from tapwire_core.domain.policy import Policy
from tapwire_core.mqtt.connection import BrokerAddress
from tapwire_core.services import taps
from tapwire_core.services.pour_recovery import force_unlock
from tapwire_core.services.restore import settle_journal
from tapwire_core.worker.worker import Intervals, Worker
from tapwire_demo.broker import EmbeddedBroker
from tapwire_node.controller.events import ServiceRunHeld, ServiceRunRequested, ServiceRunStopped
from tapwire_node.hardware.simulated_tap import SimulatedTap
from tapwire_node.journal.inspection import export
from tapwire_node.runtime.tap_node import TapNode, running_node
from tapwire_node.settings import Settings
from tests.integration.node.person import Tool
from tests.integration.node.rig import FLOW_ML_PER_S, TAP, tap_settings, to_toml, until
from tests.stolen_time import Stolen
from tests.venue import OPERATOR, Guest, Venue

PACE = Intervals(sweep_s=0.05, ask_again_s=0.2, outbox_s=0.5, progress_s=0.05, database_check_s=0.1, reconnect_max_s=0.3)
CONFLICT_MS = 4_000
BUSY_MACHINE_ML = 5_000
"""Volume that may flow on while a busy machine keeps the node waiting; each test says how much."""


@dataclass
class Bar:
    """A venue whose one tap has a real node."""

    venue: Venue
    node: TapNode
    broker: EmbeddedBroker

    @property
    def tap(self) -> SimulatedTap:
        assert self.node.hardware.simulated is not None
        return self.node.hardware.simulated

    async def phase(self, phase: str) -> None:
        await until(lambda: self.node.state.phase.value == phase, f"phase {phase}, it is {self.node.state.phase}")

    async def start_pour(self, guest: Guest) -> None:
        await self.phase("IDLE")
        self.tap.reader.present(guest.card_uid)
        await self.phase("POURING")

    async def flowed(self, ml: int) -> None:
        await until(lambda: self.tap.flowed_ml >= ml, f"{ml} ml")

    async def settled(self) -> None:
        """The card is taken off, every fact has its verdict, and the core knows the odometer."""
        self.tap.reader.remove()
        await self.phase("IDLE")
        await until(lambda: self.node.state.facts_open == 0, "the verdicts")
        await asyncio.sleep(0.2)

    async def service_run(self, max_volume_ml: int, *, stop: bool = False) -> None:
        """A run from its start to its verdict, held all the time; stopped as soon as the valve is open, if so said."""
        self.node.post(partial(ServiceRunRequested, cause=FlowCause.CLEANING, max_volume_ml=max_volume_ml, max_duration_ms=20_000))
        await until(lambda: self.node.state.valve_open, "the valve to open")
        if stop:
            self.node.post(ServiceRunStopped)

        def is_over() -> bool:
            self.node.post(ServiceRunHeld)
            return self.node.state.service_run is None and self.node.state.facts_open == 0

        await until(is_over, "the run's verdict")

    async def all_incidents(self) -> list[str]:
        rows = await self.venue.db.pool.fetch("SELECT kind FROM incidents")
        return [row["kind"] for row in rows]


@pytest.fixture
def venue(venue: Venue) -> Venue:
    """A venue whose house takes nothing amiss that a busy machine did, and soon believes that a second node is gone."""
    policy = Policy(overpour_tolerance_ml=BUSY_MACHINE_ML, identity_conflict_ms=CONFLICT_MS)
    return replace(venue, db=replace(venue.db, policy=policy))


@pytest.fixture
async def bar(venue: Venue, mosquitto: EmbeddedBroker, tmp_path: Path) -> AsyncIterator[Bar]:
    settings = msgspec.convert(await tap_settings(mosquitto, tmp_path), Settings)
    assert str(venue.tap.path) == TAP
    await taps.change_tap(venue.db, OPERATOR, venue.tap.path, pulses_per_liter=1_000, max_pour_ml=5_000, reason="a new meter")
    address = BrokerAddress(url=mosquitto.url("core"), protocol=mosquitto.protocol, shared=True)
    worker = Worker(venue.db, address, PACE, f"core-{secrets.token_hex(4)}")
    running = asyncio.create_task(worker.run())
    async with running_node(settings) as node:
        bar = Bar(venue, node, mosquitto)
        await bar.phase("IDLE")
        yield bar
    await end_tasks(running)


async def test_what_flowed_is_what_is_charged(bar: Bar) -> None:
    ann = await bar.venue.guest(balance_minor=300_00)
    before_ml = await bar.venue.keg_ml()
    await bar.start_pour(ann)
    await bar.flowed(100)
    await bar.settled()

    poured_ml = bar.tap.flowed_ml
    assert await bar.venue.balance(ann) == (300_00 - poured_ml * 50, 0)
    assert await bar.venue.keg_ml() == before_ml - poured_ml
    assert await bar.all_incidents() == []
    await bar.venue.books_balance()


async def test_a_service_run_moves_stock_as_line_cleaning_and_raises_nothing(bar: Bar) -> None:
    before_ml = await bar.venue.keg_ml()
    await taps.change_tap(bar.venue.db, OPERATOR, bar.venue.tap.path, status=TapStatus.CLEANING)
    await bar.phase("OUT_OF_SERVICE")
    await bar.service_run(max_volume_ml=100)
    bar.tap.flow_ml_per_s = 0
    await bar.service_run(max_volume_ml=100, stop=True)
    await taps.change_tap(bar.venue.db, OPERATOR, bar.venue.tap.path, status=TapStatus.ACTIVE)
    await bar.settled()

    assert bar.tap.flowed_ml >= 90
    assert await bar.venue.keg_ml() == before_ml - bar.tap.flowed_ml
    kinds = await bar.venue.db.pool.fetch("SELECT DISTINCT kind FROM stock_movements")
    assert [row["kind"] for row in kinds] == ["line_cleaning"]
    assert await bar.all_incidents() == []
    await bar.venue.books_balance()


async def test_without_money_nothing_flows(bar: Bar) -> None:
    ann = await bar.venue.guest(balance_minor=0)
    await bar.phase("IDLE")
    bar.tap.reader.present(ann.card_uid)
    await bar.phase("CARD_MUST_BE_REMOVED")

    assert bar.tap.flowed_ml == 0
    assert await bar.venue.audited("insufficient_funds_denied") == 1
    assert await bar.all_incidents() == []


async def test_the_valve_closes_when_the_money_is_used_up_and_the_house_bears_the_overpour(bar: Bar) -> None:
    ann = await bar.venue.guest(balance_minor=50_00)
    with Stolen.measured() as stolen:
        await bar.start_pour(ann)
        await bar.phase("CARD_MUST_BE_REMOVED")
    await bar.settled()

    assert 100 <= bar.tap.flowed_ml <= 120 + stolen.flow_ml(FLOW_ML_PER_S)
    assert await bar.venue.balance(ann) == (0, 0)
    assert await bar.all_incidents() == []
    await bar.venue.books_balance()


async def test_two_pours_in_a_row_need_no_help(bar: Bar) -> None:
    ann = await bar.venue.guest(balance_minor=300_00)
    for total_ml in (50, 100):
        await bar.start_pour(ann)
        await bar.flowed(total_ml)
        await bar.settled()

    assert await bar.venue.audited("pour_authorized") == 2
    assert await bar.venue.balance(ann) == (300_00 - bar.tap.flowed_ml * 50, 0)
    assert await bar.all_incidents() == []


async def test_locking_the_tap_ends_the_pour_and_charges_it(bar: Bar) -> None:
    ann = await bar.venue.guest(balance_minor=300_00)
    await bar.start_pour(ann)
    await bar.flowed(50)
    await taps.change_tap(bar.venue.db, OPERATOR, bar.venue.tap.path, status=TapStatus.LOCKED, reason="leaks")
    await bar.phase("OUT_OF_SERVICE")
    bar.tap.reader.remove()
    await until(lambda: bar.node.state.facts_open == 0, "the verdict")
    await taps.change_tap(bar.venue.db, OPERATOR, bar.venue.tap.path, status=TapStatus.ACTIVE)
    await bar.settled()

    assert await bar.venue.balance(ann) == (300_00 - bar.tap.flowed_ml * 50, 0)
    assert await bar.all_incidents() == []


async def test_force_unlock_stops_the_pour_and_what_flowed_is_an_incident(bar: Bar) -> None:
    ann = await bar.venue.guest(balance_minor=300_00)
    await bar.start_pour(ann)
    await bar.flowed(50)
    await force_unlock(bar.venue.db, OPERATOR, ann.visit_id, reason="looks stuck")
    await bar.phase("CARD_MUST_BE_REMOVED")
    await bar.settled()

    assert await bar.venue.balance(ann) == (300_00, 0)
    assert await bar.all_incidents() == ["late_mismatch"]
    await bar.venue.books_balance()


async def test_a_leak_is_unattributed_and_leaves_no_gap(bar: Bar) -> None:
    before_ml = await bar.venue.keg_ml()
    bar.tap.leak_ml_per_s = 100
    await bar.flowed(90)
    bar.tap.leak_ml_per_s = 0
    await until(lambda: bar.node.state.closed_valve_flow.leak is None, "the end of the leak")
    await bar.settled()

    assert await bar.venue.keg_ml() == before_ml - bar.tap.flowed_ml
    assert set(await bar.all_incidents()) == {"unattributed_flow"}
    await bar.venue.books_balance()


async def test_a_pour_over_a_broker_restart_is_charged_once(bar: Bar) -> None:
    ann = await bar.venue.guest(balance_minor=300_00)
    await bar.start_pour(ann)
    await bar.broker.stop()
    await bar.flowed(60)
    bar.tap.reader.remove()
    await until(lambda: bar.node.state.phase.value != "POURING", "the end of the pour")
    await bar.broker.start()
    await bar.settled()

    assert await bar.venue.audited("pour_synced") == 1
    assert await bar.venue.balance(ann) == (300_00 - bar.tap.flowed_ml * 50, 0)
    assert await bar.all_incidents() == []


async def test_a_pour_whose_broker_stays_away_ends_within_its_cap_and_is_settled_when_it_is_back(bar: Bar) -> None:
    ann = await bar.venue.guest(balance_minor=50_00)
    await bar.start_pour(ann)
    await bar.flowed(20)
    with Stolen.measured() as stolen:
        await bar.broker.stop()
        await until(lambda: bar.node.state.phase.value != "POURING", "the end at the cap")
    capped_ml = bar.tap.flowed_ml
    await until(
        lambda: bar.node.state.facts_open == 1 and bar.node.state.phase.value == "CARD_MUST_BE_REMOVED", "the report, unsent"
    )
    assert not bar.tap.valve_is_driven
    await bar.broker.start()
    await bar.settled()

    assert 100 <= capped_ml <= bar.tap.flowed_ml <= 120 + stolen.flow_ml(FLOW_ML_PER_S)
    assert [row["sync_status"] for row in await bar.venue.db.pool.fetch("SELECT sync_status FROM pours")] == ["synced"]
    assert await bar.venue.balance(ann) == (0, 0)
    assert await bar.all_incidents() == []
    await bar.venue.books_balance()


async def test_settling_an_exported_journal_changes_nothing(bar: Bar, tmp_path: Path) -> None:
    ann = await bar.venue.guest(balance_minor=300_00)
    await bar.start_pour(ann)
    await bar.flowed(50)
    await bar.settled()
    before = await bar.venue.balance(ann)

    settled = await settle_journal(bar.venue.db, OPERATOR, bar.venue.tap.path, export(tmp_path / "journal.sqlite"))

    assert [(fact.outcome, fact.volume_ml) for fact in settled] == [("pending_updated_to_synced", bar.tap.flowed_ml)]
    assert await bar.venue.balance(ann) == before
    await bar.venue.books_balance()


async def test_two_nodes_with_one_login_are_an_incident_that_both_logs_and_the_doctor_name_until_one_is_off(
    bar: Bar, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ann, clone_folder = await bar.venue.guest(balance_minor=300_00), tmp_path / "clone"
    clone_folder.mkdir()
    cloned = await tap_settings(bar.broker, clone_folder)
    (clone_folder / "tap.toml").write_text(to_toml(cloned))
    async with running_node(msgspec.convert(cloned, Settings)) as clone:
        await until(lambda: clone.state.other_node and bar.node.state.other_node, "each to see the other")
        while not (found := await bar.venue.incidents("identity_conflict")):
            await asyncio.sleep(0.02)
        doctor = await Tool.start(clone_folder, "doctor")
        assert await doctor.end() == 1
        await bar.phase("IDLE")
        bar.tap.reader.present(ann.card_uid)
        await bar.phase("CARD_MUST_BE_REMOVED")
        bar.tap.reader.remove()

    boots = {clone.state.other_node, bar.node.state.other_node}
    alarms = {record.getMessage() for record in caplog.records if "uses this tap's login" in record.getMessage()}
    assert [incident["tap_path"] for incident in found] == [TAP]
    assert {boot for boot in boots if any(str(boot) in alarm for alarm in alarms)} == boots != {None}
    assert any(line.startswith("DO") and str(clone.state.other_node) in line for line in doctor.said), doctor.said
    assert bar.tap.flowed_ml == clone.hardware.simulated.flowed_ml == 0  # type: ignore[union-attr]
    while await bar.venue.incidents("identity_conflict"):
        await asyncio.sleep(0.05)
    await bar.start_pour(ann)
    await bar.settled()
