"""Service runs on the real node: a program at the control socket, and the valve when that program ends."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tapwire_demo.broker import EmbeddedBroker
from tapwire_node.control.socket_file import control_file, short_address
from tests.integration.node.person import Person
from tests.integration.node.rig import WAIT_S, Rig, rig_at, until

START = {"type": "start_run", "cause": "cleaning", "max_volume_ml": 20_000, "max_duration_ms": 60_000}


@pytest.fixture
async def rig(mosquitto: EmbeddedBroker, tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_at(mosquitto, tmp_path) as rig:
        await clean(rig)
        yield rig


async def clean(rig: Rig) -> None:
    """The tap is being cleaned, and its node knows it."""
    await rig.core.configure(status="cleaning", revision=2)
    await rig.phase("OUT_OF_SERVICE")


async def test_a_run_flows_while_it_is_held_and_is_reported_with_its_cause(rig: Rig) -> None:
    person = await Person.come(rig.folder)
    person.say(**START)
    person.hold()
    await person.hear("begun")
    assert rig.tap.valve_is_driven
    shown = await rig.core.hear("node_state", valve="open")
    assert (shown["phase"], shown["pour_id"]) == ("OUT_OF_SERVICE", None)
    assert (await person.hear("progress"))["pulses"] >= 0
    await rig.poured(100)
    person.say(type="stop_run")
    ended = await person.hear("ended")
    flow = await rig.core.hear("unattributed_flow")

    assert (flow["cause"], flow["card_uid"]) == ("cleaning", None)
    assert flow["volume_ml"] == ended["volume_ml"] == ended["pulses"] == rig.tap.flowed_ml
    assert ended["reason"] == "stopped"
    assert not rig.tap.valve_is_driven
    await person.hang_up()


@pytest.mark.parametrize("going", ["hangs up", "falls silent"])
async def test_the_valve_closes_when_the_persons_program_goes(mosquitto: EmbeddedBroker, tmp_path: Path, going: str) -> None:
    async with rig_at(mosquitto, tmp_path, limits={"service_hold_ms": 1_000}) as rig:
        await clean(rig)
        person = await Person.come(rig.folder)
        person.say(**START)
        person.hold()
        await person.hear("begun")
        await (person.hang_up() if going == "hangs up" else person.let_go())

        await until(lambda: not rig.tap.valve_is_driven, "the valve to close")
        flow = await rig.core.hear("unattributed_flow")
        assert flow["volume_ml"] == rig.tap.flowed_ml
        await person.hang_up()


async def test_a_second_person_is_refused_and_the_first_ones_run_goes_on(rig: Rig) -> None:
    first, second = await Person.come(rig.folder), await Person.come(rig.folder)
    first.say(**START)
    first.hold()
    await first.hear("begun")
    second.say(**START)
    assert "in progress" in (await second.hear("refused"))["text"]
    second.say(type="stop_run")
    await second.hang_up()
    await rig.poured(50)

    assert rig.tap.valve_is_driven
    await first.hang_up()


async def test_the_core_ends_a_run_by_the_config(rig: Rig) -> None:
    person = await Person.come(rig.folder)
    person.say(**START)
    person.hold()
    await person.hear("begun")
    await rig.core.configure(status="active", revision=3)
    assert (await person.hear("ended"))["reason"] == "disabled"
    await rig.phase("IDLE")
    person.say(**START)
    assert "cleaning first" in (await person.hear("refused"))["text"]
    await person.hang_up()


@pytest.mark.parametrize("line", [b"{}\n", b"nonsense\n", b'{"type": "start_run", "cause": "beer"}\n', b"x" * 40_000 + b"\n"])
async def test_an_unreadable_request_opens_nothing_and_ends_the_connection(rig: Rig, line: bytes) -> None:
    with short_address(control_file(rig.folder / "journal.sqlite")) as address:
        reader, writer = await asyncio.open_unix_connection(address)
    writer.write(line)
    answer = await asyncio.wait_for(reader.read(), WAIT_S)

    assert b"refused" in answer
    assert not rig.tap.valve_is_driven
    assert rig.node.state.service_run is None
    writer.close()


async def test_only_the_nodes_user_and_group_may_connect(rig: Rig) -> None:
    assert control_file(rig.folder / "journal.sqlite").stat().st_mode & 0o777 == 0o660
