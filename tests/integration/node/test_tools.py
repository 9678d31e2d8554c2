"""The commands at the node: calibrate, pour-test, clean, doctor, close-valve; each in a process beside the node's."""

import signal
from pathlib import Path

from tapwire_demo.broker import EmbeddedBroker
from tests.integration.node.person import NOBODY, Tool, cleaned
from tests.integration.node.rig import TAP, core_at, process_at, to_toml
from tests.integration.node.rig import tap_settings as make_settings


async def test_calibrate_guides_through_its_pours_and_writes_the_factor(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
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

    assert (code, tool.said[-1]) == (0, "`tapwire-node doctor` shows when it has arrived."), tool.said
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
        assert len({flow["event_id"] for flow in core.all("unattributed_flow", cause="test")}) == 1

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

    assert any("none yet" in line for line in before.said), "it makes no journal"
    subjects = {"node", "pins", "reader", "broker", "SPI", "calibration", "clock", "disk", "journal"}
    assert subjects <= {line.split()[1] for line in before.said}
    assert subjects - {"pins"} | {"valve", "meter", "config"} <= {line.split()[1] for line in beside.said}


async def test_doctor_says_what_to_do_and_fails(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    settings = await make_settings(mosquitto, tmp_path)
    (tmp_path / "journal.sqlite").write_bytes(b"not a database, but long enough to be taken for one" * 100)
    settings["broker"]["url"] = f"mqtt://{TAP.replace('/', '%2F')}:wrong@{mosquitto.host}:{mosquitto.port}"
    (tmp_path / "tap.toml").write_text(to_toml(settings))
    tool = await Tool.start(tmp_path, "doctor")

    assert await tool.end() == 1
    to_do = {line.split()[1] for line in tool.said if line.startswith("DO")}
    assert to_do == {"broker", "journal"}, tool.said


async def test_doctor_reports_a_factor_that_has_not_reached_the_core(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    async with process_at(mosquitto, tmp_path, NOBODY), core_at(mosquitto) as core:
        await core.hear("node_state", phase="IDLE")
        config = tmp_path / "tap.toml"
        config.write_text(config.read_text().replace("pulses_per_liter = 1000", "pulses_per_liter = 950", 1))
        tool = await Tool.start(tmp_path, "doctor")
        assert await tool.end() == 1

    (line,) = [line for line in tool.said if line.startswith("DO")]
    assert 'PATCH /api/taps/bar/left {"pulses_per_liter": 950, "reason": "calibrated"}' in line


async def test_close_valve_needs_neither_journal_nor_broker_nor_node(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    settings = await make_settings(mosquitto, tmp_path)
    settings["journal"]["file"] = "/nowhere/journal.sqlite"
    settings["broker"]["url"] = "mqtt://127.0.0.1:1"
    (tmp_path / "tap.toml").write_text(to_toml(settings))
    tool = await Tool.start(tmp_path, "close-valve")
    assert (await tool.end(), tool.said) == (0, ["valve closed"])
