"""The real node when the broker, the journal, the process or the loop fails."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from tapwire_contracts.topics import ROOT
from tapwire_core.broker.client import Client
from tapwire_demo.broker import EmbeddedBroker
from tapwire_node.controller.events import Part
from tapwire_node.hardware import valve
from tapwire_node.hardware.simulated_tap import VALVE_PIN, WatchedPin
from tapwire_node.journal import Journal, JournalBroken
from tapwire_node.runtime.tap_node import TapNode, end_node, running_node
from tapwire_node.settings import Settings
from tests.integration.node.rig import (
    CARD,
    OTHER_CARD,
    TAP,
    WAIT_S,
    Rig,
    blocked_journal,
    core_at,
    process_at,
    rig_at,
    tap_settings,
    until,
)
from tests.mqtt_tap import protocol_of
from tests.stolen_time import Stolen

LONG_POUR_ML_PER_S = 100
ONE_LONG_POUR = f"""
repeat = false
[[guests]]
cards = ["{CARD}"]
flow_ml_per_s = {LONG_POUR_ML_PER_S}
pause_ms = 300
"""


@pytest.fixture
async def rig(mosquitto: EmbeddedBroker, tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_at(mosquitto, tmp_path) as rig:
        yield rig


async def test_a_pour_goes_on_over_a_broker_restart_and_is_reported_afterwards(broker: EmbeddedBroker, tmp_path: Path) -> None:
    async with rig_at(broker, tmp_path) as rig:
        pour_id = await rig.pour()
        first = rig.core.all("node_state")[-1]
        await broker.stop()
        await rig.poured(60)
        assert rig.node.state.phase.value == "POURING"
        await broker.start()
        rig.tap.reader.remove()

        async with core_at(broker) as core:
            report = await core.hear("pour_completed")
            birth = await core.hear("node_state")

        assert (report["pour_id"], report["volume_ml"]) == (pour_id, rig.tap.flowed_ml)
        assert (report["interrupted"], report["end_reason"]) == (False, "card_removed")
        assert birth["boot_id"] == first["boot_id"]
        assert birth["connection"] > first["connection"]


async def test_without_a_broker_a_card_is_refused_at_once(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    await rig.broker.stop()
    await until(lambda: not rig.node.state.peers.connected, "the loss of the connection")
    rig.tap.reader.present(CARD)
    await rig.phase("CARD_MUST_BE_REMOVED")
    assert "screen: No connection. Please tell the staff." in [record.getMessage() for record in caplog.records]
    await rig.broker.start()


async def test_a_node_can_be_stopped_at_any_moment_of_its_start(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    settings = msgspec.convert(await tap_settings(mosquitto, tmp_path), Settings)
    for wait_ms in range(0, 30, 2):
        async with running_node(settings):
            await asyncio.sleep(wait_ms / 1_000)


async def test_a_retained_command_is_dropped_and_alarmed(
    broker: EmbeddedBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pour_id = str(uuid4())
    async with core_at(broker) as core:
        await core.command("report_pour", pour_id=pour_id, journal_id=str(uuid4()), retain=True)
    async with rig_at(broker, tmp_path) as rig:
        await until(lambda: any("retained command" in record.getMessage() for record in caplog.records), "the alarm")
        await asyncio.sleep(0.2)
        assert rig.core.all("pour_unknown") == []


async def test_the_nodes_state_is_published_again_when_somebody_overwrites_it(rig: Rig) -> None:
    state = await rig.core.hear("node_state", phase="IDLE")
    account = rig.broker.account(TAP)
    async with Client(
        rig.broker.host,
        rig.broker.port,
        username=account.username,
        password=account.password,
        identifier="a-late-will",
        protocol=protocol_of(rig.broker),
    ) as other:
        rig.core.forget()
        late = {**state, "status": "offline", "connection": 0}
        await other.publish(f"{ROOT}/{TAP}/state", str(late).replace("'", '"').replace("None", "null"), qos=1, retain=True)
        await rig.core.hear("node_state", status="offline")
        corrected = await rig.core.hear("node_state", status="online")
    assert (corrected["boot_id"], corrected["connection"]) == (state["boot_id"], state["connection"])


async def test_a_journal_that_cant_be_written_closes_the_valve_and_the_report_comes_when_it_can(rig: Rig) -> None:
    pour_id = await rig.pour()
    await rig.poured(20)
    async with blocked_journal(rig.folder):
        await until(lambda: not rig.tap.valve_is_driven, "the valve to close")
        await rig.core.hear("node_state", phase="OUT_OF_SERVICE", valve="closed")
        assert rig.core.all("pour_completed") == []
    report = await rig.core.hear("pour_completed")

    assert (report["pour_id"], report["end_reason"], report["volume_ml"]) == (pour_id, "fault", rig.tap.flowed_ml)
    rig.tap.reader.remove()
    await rig.phase("IDLE")


async def test_a_hung_event_loop_closes_the_valve(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    async with rig_at(mosquitto, tmp_path, process={"valve_watchdog_ms": 300}) as rig:
        await rig.pour()
        await rig.poured(20)

        before_ml = rig.tap.flowed_ml
        time.sleep(2.0)  # noqa: ASYNC251 - this is the fault
        flowed_ml = rig.tap.flowed_ml
        report = await rig.core.hear("pour_completed")

    assert report["end_reason"] == "fault"
    assert report["volume_ml"] == flowed_ml
    assert flowed_ml - before_ml < 300, "at 200 ml/s it flowed for less than the two seconds that the loop hung"


async def test_an_internal_error_closes_the_valve_and_ends_the_node(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        await break_while_pouring(mosquitto, tmp_path)


async def test_an_internal_error_keeps_the_counted_volume_with_its_pour(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        await break_while_pouring(mosquitto, tmp_path, checkpoint_ms=10_000, checkpoint_ml=10_000)
    with sqlite3.connect(tmp_path / "journal.sqlite") as db:
        (to_ml, odometer_ml) = db.execute("SELECT odometer_to_ml, odometer_ml FROM facts JOIN journal").fetchone()
    db.close()
    assert to_ml == odometer_ml >= 20, "no hole in the odometer"


async def test_an_error_while_stored_reports_are_read_ends_the_node(
    mosquitto: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Journal, "open_facts", lambda *_: 1 // 0)
    node = TapNode(msgspec.convert(await tap_settings(mosquitto, tmp_path), Settings))
    serving = asyncio.create_task(node.serve())

    await asyncio.wait([serving], timeout=WAIT_S)

    with pytest.raises(ZeroDivisionError):
        await end_node(node, serving)


async def test_a_report_that_cant_be_read_is_an_alarm_and_the_others_are_sent(
    mosquitto: EmbeddedBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with rig_at(mosquitto, tmp_path) as rig:
        rig.core.verdicts = False
        pour_ids = []
        for _ in range(2):
            pour_ids.append(await rig.pour())
            rig.tap.reader.remove()
            await rig.phase("IDLE")
    with sqlite3.connect(tmp_path / "journal.sqlite") as db:
        db.execute("UPDATE facts SET end_reason = 'keg_changed' WHERE fact_id = ?", (pour_ids[0],))
    db.close()

    async with rig_at(mosquitto, tmp_path) as rig:
        await rig.core.hear("pour_completed", pour_id=pour_ids[1])
        journal_id = str(rig.node.state.journal.journal_id)
        await rig.core.command("report_pour", pour_id=pour_ids[0], journal_id=journal_id)
        await rig.core.hear("pour_unknown", pour_id=pour_ids[0])
    assert any(f"ALARM: the report {pour_ids[0]} can't be read" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("leaks", [False, True])
async def test_writes_that_wait_at_shutdown_are_reported_after_the_next_start(
    mosquitto: EmbeddedBroker, tmp_path: Path, *, leaks: bool
) -> None:
    given = await tap_settings(mosquitto, tmp_path)
    given["journal"]["retry_ms"] = 60_000
    settings = msgspec.convert(given, Settings)
    async with core_at(mosquitto) as core:
        async with running_node(settings) as node:
            rig = Rig(node, core, mosquitto, tmp_path)
            await rig.phase("IDLE")
            if not leaks:
                await rig.pour()
                await rig.poured(40)
            node._journal._submit(lambda: [node._journal._mark_broken(JournalBroken("disk I/O error"))])
            await rig.phase("OUT_OF_SERVICE")
            if leaks:
                rig.tap.leak_ml_per_s = 200
                await rig.poured(40)
                rig.tap.leak_ml_per_s = 0
                await until(lambda: node.state.closed_valve_flow.leak is None, "the end of the leak")
        flowed_ml = rig.tap.flowed_ml
        assert core.all("pour_completed") == core.all("unattributed_flow") == []
        async with running_node(settings) as node:
            fact = await core.hear("unattributed_flow" if leaks else "pour_completed")
            odometer_ml = node.state.odometer.ml
    assert (fact["volume_ml"], odometer_ml) == (flowed_ml, flowed_ml)


async def break_while_pouring(broker: EmbeddedBroker, folder: Path, **limits: int) -> None:
    given = await tap_settings(broker, folder)
    given["limits"] = {**given["limits"], **limits}
    async with core_at(broker) as core, running_node(msgspec.convert(given, Settings)) as node:
        rig = Rig(node, core, broker, folder)
        await rig.pour()
        await rig.poured(20)
        rig.node.post(lambda _: 1 // 0)  # type: ignore[arg-type, return-value]
        assert not rig.tap.valve_is_driven


@pytest.mark.parametrize("failing_ms", [50, 1_500], ids=["a moment", "longer than the tail"])
async def test_a_valve_that_cant_be_closed_is_a_fault_and_its_flow_is_reported_once(rig: Rig, failing_ms: int) -> None:
    pour_id = await rig.pour()
    await rig.poured(20)
    valve_pin(rig).is_dead = True
    rig.tap.reader.present(OTHER_CARD)
    await until(lambda: Part.VALVE in rig.node.state.faults, "the fault")
    await asyncio.sleep(failing_ms / 1_000)
    valve_pin(rig).is_dead = False
    await until(lambda: not rig.tap.valve_is_driven, "the valve to close")
    await rig.phase("CARD_MUST_BE_REMOVED")
    rig.tap.reader.remove()
    await rig.phase("IDLE")

    report = await rig.core.hear("pour_completed", pour_id=pour_id)
    await until(lambda: rig.node.state.facts_open == 0, "the verdicts")
    flows = {flow["event_id"]: flow["volume_ml"] for flow in rig.core.all("unattributed_flow")}
    assert report["volume_ml"] + sum(flows.values()) == rig.tap.flowed_ml
    assert rig.core.all("node_state", phase="FAULT") or failing_ms < 300, "it is seen when it lasts longer than the pour's end"


async def test_a_node_that_cant_close_its_valve_ends_so_that_another_process_takes_the_pin(
    mosquitto: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valve, "GIVE_UP_MS", 300)
    with pytest.raises(valve.ValveStuck):
        await lose_the_valve(mosquitto, tmp_path)


async def lose_the_valve(broker: EmbeddedBroker, folder: Path) -> None:
    async with rig_at(broker, folder) as rig:
        await rig.pour()
        valve_pin(rig).is_dead = True
        rig.tap.reader.present(OTHER_CARD)
        await rig.core.hear("node_state", status="offline")
        [serving] = [task for task in asyncio.all_tasks() if "TapNode.serve" in repr(task)]
        await asyncio.wait([serving])


def valve_pin(rig: Rig) -> WatchedPin:
    pin = rig.tap.factory.pin(VALVE_PIN)
    assert isinstance(pin, WatchedPin)
    return pin


async def test_a_reader_that_fails_ends_the_pour_and_the_tap_comes_back(rig: Rig) -> None:
    await rig.pour()
    rig.tap.reader.fail("wire off")
    assert (await rig.core.hear("pour_completed"))["end_reason"] == "fault"
    await rig.phase("OUT_OF_SERVICE")
    rig.tap.reader.recover()
    await rig.phase("CARD_MUST_BE_REMOVED")
    rig.tap.reader.remove()
    await rig.phase("IDLE")


async def test_a_node_that_is_killed_mid_pour_reports_the_interrupted_pour_at_its_next_start(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    async with core_at(broker) as core:
        async with process_at(broker, tmp_path, ONE_LONG_POUR) as node:
            question = await core.hear("card_presented")
            pour_id = await core.grant(question)
            with Stolen.measured() as stolen:
                progress = await core.hear("pour_progress", 3)
                await node.kill()
        will = await core.hear("node_state", status="offline")
        core.forget()

        async with process_at(broker, tmp_path, "repeat = false\n[[guests]]\ncards = ['04a1b2c3']\npause_ms = 60000\n"):
            report = await core.hear("pour_completed")
            birth = await core.hear("node_state", status="online", facts_open=0)

        assert (report["pour_id"], report["interrupted"], report["end_reason"]) == (pour_id, True, "power_loss")
        assert report["age_ms"] is None
        most_ml = progress["volume_ml"] + 60 + stolen.flow_ml(LONG_POUR_ML_PER_S)
        assert progress["volume_ml"] - 25 <= report["volume_ml"] <= most_ml, "at most a checkpoint is lost"
        assert report["boot_id"] == question["boot_id"] == will["boot_id"]
        assert birth["journal_id"] == question["journal_id"]
        assert birth["boot_id"] != question["boot_id"]


async def test_a_node_that_is_stopped_closes_reports_and_publishes_offline(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    async with core_at(mosquitto) as core, process_at(mosquitto, tmp_path, ONE_LONG_POUR) as node:
        question = await core.hear("card_presented")
        await core.grant(question)
        await core.hear("pour_progress", 2)
        assert await node.end() == 0

        report = await core.hear("pour_completed")
        goodbye = await core.hear("node_state", status="offline")
        assert report["end_reason"] == "stopped"
        assert (goodbye["facts_open"], goodbye["odometer_ml"], goodbye["valve"]) == (0, report["odometer_to_ml"], "closed")


def test_wrong_settings_end_the_program_with_one_clear_line(tmp_path: Path) -> None:
    config = tmp_path / "tap.toml"
    config.write_text('[tap]\npath = "bar"\n')
    command = [sys.executable, "-m", "tapwire_node", "run", "--config", str(config)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert run.returncode == 2
    assert run.stderr.startswith("tapwire-node: ")
    assert len(run.stderr.splitlines()) == 1


def test_the_node_needs_no_sql_stack() -> None:
    code = "import sys, tapwire_node.__main__; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)
    assert not {"sqlalchemy", "sqlmodel", "asyncpg", "tapwire_core", "mfrc522"} & set(run.stdout.split())
