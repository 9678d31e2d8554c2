"""Service runs on the real node: a person's program at the control socket, and what becomes of the valve when it goes."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tapwire_demo.broker import EmbeddedBroker
from tapwire_node.control.socket_file import address_of, control_file
from tests.integration.node_rig import TAP, WAIT_S, Core, NodeProcess, Rig, core_at, process_at, rig_at, to_toml, until
from tests.integration.node_rig import tap_settings as make_settings

NOBODY = '[[guests]]\ncards = ["04a1b2c3"]\npause_ms = 3_600_000\n'
START = {"type": "start_run", "cause": "cleaning", "max_volume_ml": 20_000, "max_duration_ms": 60_000}


@pytest.fixture
async def rig(mosquitto: EmbeddedBroker, tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_at(mosquitto, tmp_path) as rig:
        await rig.core.configure(status="cleaning", revision=2)
        await rig.phase("OUT_OF_SERVICE")
        yield rig


class Person:
    """A program at the control socket that says what the test says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._holding: asyncio.Task[None] | None = None

    @classmethod
    async def come(cls, folder: Path) -> "Person":
        with address_of(control_file(folder / "journal.sqlite")) as address:
            return cls(*await asyncio.open_unix_connection(address))

    def say(self, **line: Any) -> None:
        self._writer.write(json.dumps(line).encode() + b"\n")

    def hold(self) -> None:
        """Say again and again that we are here."""
        self._holding = asyncio.create_task(self._keep_holding())

    async def _keep_holding(self) -> None:
        while True:
            self.say(type="hold")
            await asyncio.sleep(0.1)

    async def hear(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_S):
            while True:
                line = await self._reader.readline()
                assert line, f"the node hung up before it said {kind}"
                heard: dict[str, Any] = json.loads(line)
                if heard["type"] == kind:
                    return heard

    async def let_go(self) -> None:
        """Fall silent, with the connection open."""
        if self._holding is not None:
            self._holding.cancel()
            with suppress(asyncio.CancelledError):
                await self._holding

    async def hang_up(self) -> None:
        await self.let_go()
        self._writer.close()


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
async def test_the_valve_closes_when_the_persons_program_goes(rig: Rig, going: str) -> None:
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
    assert "not over" in (await second.hear("refused"))["text"]
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
async def test_what_can_t_be_read_opens_nothing_and_ends_the_connection(rig: Rig, line: bytes) -> None:
    with address_of(control_file(rig.folder / "journal.sqlite")) as address:
        reader, writer = await asyncio.open_unix_connection(address)
    writer.write(line)
    answer = await asyncio.wait_for(reader.read(), WAIT_S)

    assert b"refused" in answer
    assert not rig.tap.valve_is_driven
    assert rig.node.state.service is None
    writer.close()


async def test_only_the_nodes_user_and_group_may_connect(rig: Rig) -> None:
    assert control_file(rig.folder / "journal.sqlite").stat().st_mode & 0o777 == 0o660


# ── a node and its tools in processes of their own ─────────────────────────


class Tool:
    """`tapwire-node SOMETHING` in a process, with a terminal that the test plays."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[str] = []

    @classmethod
    async def start(cls, folder: Path, *arguments: str) -> "Tool":
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "tapwire_node", *arguments, "--config", str(folder / "tap.toml"))
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT))

    async def until(self, text: str) -> str:
        """Read until a line has this text."""
        assert self.process.stdout is not None
        async with asyncio.timeout(2 * WAIT_S):
            while line := (await self.process.stdout.readline()).decode().rstrip():
                self.said.append(line)
                if text in line:
                    return line
        raise AssertionError(f"it never said {text}, but {self.said}")

    async def answer(self, prompt: str, text: str) -> None:
        """Wait for a prompt and type a line."""
        await self.until(prompt)
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n".encode())

    async def end(self) -> int:
        """Its exit code, once it has ended by itself."""
        assert self.process.stdout is not None
        async with asyncio.timeout(2 * WAIT_S):
            self.said += (await self.process.stdout.read()).decode().splitlines()
            return await self.process.wait()


async def cleaned(core: Core) -> None:
    """The tap is being cleaned, and its node knows it."""
    await core.hear("node_state", phase="IDLE")
    await core.configure(status="cleaning", revision=2)
    await core.hear("node_state", phase="OUT_OF_SERVICE", config_revision=2)


async def test_calibrate_leads_through_its_pours_and_writes_the_factor(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    async with process_at(mosquitto, tmp_path, NOBODY), core_at(mosquitto) as core:
        await cleaned(core)
        tool = await Tool.start(tmp_path, "calibrate", "--ml", "100", "--times", "2")
        for _ in range(2):
            await tool.answer("press Enter", "")
            pulses = int((await tool.until("pulses in")).split(", ")[1].split()[0])
            await tool.answer("How many ml", "a glass")
            await tool.answer("whole millilitres", str(pulses * 2))  # the meter gives 500 a litre, in truth
        code = await tool.end()
        flows = core.all("unattributed_flow")

    assert (code, tool.said[-1]) == (0, "`tapwire-node doctor` says whether it has arrived."), tool.said
    assert any('PATCH /api/taps/bar/left {"pulses_per_liter": 500' in line for line in tool.said)
    assert "pulses_per_liter = 500" in (tmp_path / "tap.toml").read_text()
    assert {flow["cause"] for flow in flows} == {"calibration"}


async def test_pours_that_disagree_calibrate_nothing(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    async with process_at(mosquitto, tmp_path, NOBODY), core_at(mosquitto) as core:
        await cleaned(core)
        tool = await Tool.start(tmp_path, "calibrate", "--ml", "100", "--times", "2")
        for volume_ml in ("100", "120"):
            await tool.answer("press Enter", "")
            await tool.answer("How many ml", volume_ml)
        code = await tool.end()

    assert code == 1
    assert any("NOT written" in line for line in tool.said)
    assert "pulses_per_liter = 1000" in (tmp_path / "tap.toml").read_text().split("[broker]")[0]


async def test_pour_test_and_clean_say_what_flowed(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    async with process_at(mosquitto, tmp_path, NOBODY), core_at(mosquitto) as core:
        await cleaned(core)
        test = await Tool.start(tmp_path, "pour-test", "--ml", "60")
        assert await test.end() == 0, test.said
        clean = await Tool.start(tmp_path, "clean", "--ml", "20000", "--seconds", "60")
        await clean.until("pulses")
        await clean.answer("pulses", "")
        assert await clean.end() == 0, clean.said
        await core.hear("unattributed_flow", cause="cleaning")
        assert len(core.all("unattributed_flow", cause="test")) == 1

    assert test.said[-1].startswith("ok")
    assert any("it was stopped" in line for line in clean.said)


async def test_a_tool_that_is_killed_or_stopped_in_mid_run_closes_the_valve(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    async with process_at(mosquitto, tmp_path, NOBODY), core_at(mosquitto) as core:
        await cleaned(core)
        for count, number in enumerate((signal.SIGKILL, signal.SIGSTOP), start=1):
            tool = await Tool.start(tmp_path, "clean", "--ml", "20000")
            await tool.until("pulses")
            tool.process.send_signal(number)
            flow = await core.hear("unattributed_flow", count)
            assert (flow["cause"], flow["volume_ml"] > 0) == ("cleaning", True)
            await core.hear("node_state", valve="closed", facts_open=0)
            if number is signal.SIGSTOP:
                tool.process.kill()
            await tool.process.wait()


async def test_a_node_that_is_killed_in_mid_run_reports_it_from_its_journal(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    async with core_at(mosquitto) as core:
        async with process_at(mosquitto, tmp_path, NOBODY) as node:
            await cleaned(core)
            tool = await Tool.start(tmp_path, "clean", "--ml", "20000")
            for _ in range(3):
                await tool.until("pulses")
            told_ml = int(tool.said[-2].split()[0])
            await node.kill()
            assert await tool.end() == 2
        async with process_at(mosquitto, tmp_path, NOBODY):
            flow = await core.hear("unattributed_flow")

    assert (flow["cause"], flow["age_ms"]) == ("cleaning", None)
    assert flow["volume_ml"] >= told_ml - 50


async def test_doctor_finds_nothing_to_do_with_and_without_the_node(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    (tmp_path / "tap.toml").write_text(to_toml(await make_settings(mosquitto, tmp_path)))
    before = await Tool.start(tmp_path, "doctor")
    assert await before.end() == 0, before.said
    async with process_at(mosquitto, tmp_path, NOBODY), core_at(mosquitto) as core:
        await core.hear("node_state", phase="IDLE")
        beside = await Tool.start(tmp_path, "doctor")
        assert await beside.end() == 0, beside.said

    subjects = {"node", "pins", "reader", "broker", "SPI", "calibration", "clock", "disk", "journal"}
    assert subjects <= {line.split()[1] for line in before.said}
    assert subjects - {"pins"} | {"valve", "meter", "config"} <= {line.split()[1] for line in beside.said}
    assert not (tmp_path / "journal.sqlite").exists() or before.said != beside.said


async def test_doctor_says_what_to_do_and_fails(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    settings = await make_settings(mosquitto, tmp_path)
    (tmp_path / "journal.sqlite").write_bytes(b"not a database, but long enough to be taken for one" * 100)
    settings["broker"]["url"] = f"mqtt://{TAP.replace('/', '%2F')}:wrong@{mosquitto.host}:{mosquitto.port}"
    (tmp_path / "tap.toml").write_text(to_toml(settings))
    tool = await Tool.start(tmp_path, "doctor")

    assert await tool.end() == 1
    to_do = {line.split()[1] for line in tool.said if line.startswith("DO")}
    assert to_do == {"broker", "journal"}, tool.said


async def test_doctor_tells_a_factor_that_has_not_reached_the_core(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    async with process_at(mosquitto, tmp_path, NOBODY), core_at(mosquitto) as core:
        await core.hear("node_state", phase="IDLE")
        config = tmp_path / "tap.toml"
        config.write_text(config.read_text().replace("pulses_per_liter = 1000", "pulses_per_liter = 950", 1))
        tool = await Tool.start(tmp_path, "doctor")
        assert await tool.end() == 1

    (line,) = [line for line in tool.said if line.startswith("DO")]
    assert 'PATCH /api/taps/bar/left {"pulses_per_liter": 950}' in line


async def test_close_valve_needs_neither_journal_nor_broker_nor_node(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    settings = await make_settings(mosquitto, tmp_path)
    settings["journal"]["file"] = "/nowhere/journal.sqlite"
    settings["broker"]["url"] = "mqtt://127.0.0.1:1"
    (tmp_path / "tap.toml").write_text(to_toml(settings))
    tool = await Tool.start(tmp_path, "close-valve")
    assert (await tool.end(), tool.said) == (0, ["valve closed"])


# ── systemd ─────────────────────────────────────────────────────────────────


class Notified:
    """The socket at which systemd would listen."""

    def __init__(self, folder: Path) -> None:
        self._here = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.address = f"@tapwire-test-{os.getpid()}-{folder.name}"
        self._here.bind(f"\0{self.address[1:]}")
        self._here.setblocking(False)

    async def hear(self, text: str) -> None:
        async with asyncio.timeout(WAIT_S):
            while (await asyncio.get_running_loop().sock_recv(self._here, 4_096)).decode() != text:
                pass

    async def is_silent_for(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.hear("WATCHDOG=1")
                return False
        return True

    def drain(self) -> None:
        with suppress(BlockingIOError):
            while self._here.recv(4_096):
                pass


@pytest.fixture
async def supervised(
    mosquitto: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[NodeProcess, Notified]]:
    systemd = Notified(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.address)
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    async with process_at(mosquitto, tmp_path, NOBODY) as node:
        yield node, systemd


async def test_systemd_is_told_of_start_life_and_end(supervised: tuple[NodeProcess, Notified]) -> None:
    node, systemd = supervised
    await systemd.hear("READY=1")
    for _ in range(3):
        await systemd.hear("WATCHDOG=1")
    assert await node.end() == 0
    await systemd.hear("STOPPING=1")


async def test_a_node_that_stands_still_gives_no_sign_of_life(supervised: tuple[NodeProcess, Notified]) -> None:
    node, systemd = supervised
    await systemd.hear("WATCHDOG=1")
    node.signal(signal.SIGSTOP)
    await asyncio.sleep(0)
    systemd.drain()
    assert await systemd.is_silent_for(1.0)
    node.signal(signal.SIGCONT)
    await systemd.hear("WATCHDOG=1")
