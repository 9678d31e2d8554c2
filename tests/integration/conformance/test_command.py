"""The kit's command, by the smallest node of the makers' page: it passes, and the reports say so."""

import asyncio
import json
import shlex
import sys
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pytest

from tapwire_conformance.tap.catalogue import TAP_RULES
from tapwire_core.db.engine import Database
from tapwire_demo.broker import EmbeddedBroker
from tapwire_demo.processes import LOOPBACK, free_port
from tests.integration.conformance.kits_broker import KitsBroker
from tests.integration.conformance.whole_core import whole_core
from tests.integration.node.rig import TAP, tap_settings
from tests.integration.node.simulator_rig import simulator_of

BENCH: Final = Path(__file__).parents[3] / "conformance" / "examples" / "bench.py"
PATH: Final = "bar/taps/left"
IMPATIENT: Final = ("--request-timeout", "0.9", "--quiet", "0.3", "--pour", "40")


async def run_kit(*arguments: str | Path) -> tuple[int | None, str]:
    """Run `tapwire-conformance`; its exit code, and all that it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tapwire_conformance",
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    return process.returncode, printed.decode()


async def try_smallest_node(broker: KitsBroker, folder: Path, *more: str | Path) -> tuple[int | None, str]:
    """Try the smallest node, by its bench as the rig, at brokers that the kit kills."""
    link = f"{LOOPBACK}:{free_port()}"
    rig = shlex.join([sys.executable, str(BENCH), PATH, "s3cret", link, str(folder / "journal.json"), "fast"])
    kills = (argument for command in broker.commands for argument in ("--broker-command", command))
    way = ("--broker", broker.url("core"), "--path", PATH, "--link", link, "--rig", rig)
    return await run_kit("tap", *way, *kills, *IMPATIENT, *more)


@pytest.mark.lasts
async def test_the_smallest_node_passes_and_every_report_says_so(kits_broker: KitsBroker, tmp_path: Path) -> None:
    files = ("--json", tmp_path / "report.json", "--junit", tmp_path / "report.xml")
    code, printed = await try_smallest_node(kits_broker, tmp_path, *files)

    assert code == 0, printed
    results = json.loads((tmp_path / "report.json").read_text())["results"]
    assert [(each["rule_id"], each["outcome"]) for each in results] == [(rule.rule_id, "kept") for rule in TAP_RULES.rules]
    assert all(each["messages"] for each in results)
    suite = ElementTree.parse(tmp_path / "report.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == (str(len(results)), "0", "0")
    assert printed.splitlines()[-1] == f"{len(results)} kept, 0 broken, 0 not tried; 0 MUST broken"


async def test_our_node_as_a_process_survives_a_power_cut_by_the_rig_of_its_simulator(
    mosquitto: EmbeddedBroker, tmp_path: Path
) -> None:
    async with simulator_of(tmp_path, await tap_settings(mosquitto, tmp_path)) as (_, (config,)):
        rig = shlex.join([sys.executable, "-m", "tapwire_node.simulator.rig", "--config", str(config)])
        way = ("--broker", mosquitto.url("core"), "--path", TAP, "--rig", rig, "--pulses-per-liter", "1000")
        rules = ("--only", "VALVE-1", "--only", "REPORT-6", "--only", "FLOW-1", "--only", "LINK-3")
        code, printed = await run_kit("tap", *way, *rules, *IMPATIENT)

    assert code == 0, printed
    assert "3 kept, 0 broken, 1 not tried; 0 MUST broken" in printed
    assert "the node's connection can't be cut: --link makes an address" in printed


async def test_the_command_judges_a_core_and_a_broken_must_ends_it_with_1(
    db: Database, mosquitto: EmbeddedBroker, tmp_path: Path
) -> None:
    async with whole_core(db, mosquitto) as core:
        way = ("--broker", core.broker_url, "--api", core.api_url, "--token", core.token, "--sweep", "0.01")
        good = await run_kit("core", *way, "--only", "AUTH-17", "--only", "AUTH-11", "--json", tmp_path / "report.json")
        bad = await run_kit("core", *way, "--only", "RECOVER-1")
        lost = await run_kit("core", *way[:-4], "--token", "guess", "--only", "AUTH-17")

    assert good[0] == 0, good[1]
    assert "it takes an hour: --slow waits for it" in good[1]
    results = json.loads((tmp_path / "report.json").read_text())["results"]
    assert [(each["rule_id"], each["outcome"]) for each in results] == [("AUTH-11", "not tried"), ("AUTH-17", "kept")]
    assert bad[0] == 1, bad[1]
    assert "within 0.01 s there came no report_pour" in bad[1]
    assert (lost[0], lost[1].splitlines()[-1].startswith("tapwire-conformance: POST /api/venues was refused: 401")) == (2, True)


async def test_a_broker_command_that_does_not_start_or_is_not_alone_there_is_said_with_2(mosquitto: EmbeddedBroker) -> None:
    nobody = ("--broker", f"mqtt://core:secret@{LOOPBACK}:{free_port()}")
    fails = ("--broker-command", "sh -c 'echo no such listener >&2; exit 3'")
    node, core, taken, missing = await asyncio.gather(
        run_kit("tap", *nobody, *fails, "--path", PATH),
        run_kit("core", *nobody, *fails, "--api", f"http://{LOOPBACK}:1", "--token", "guess"),
        run_kit("tap", "--broker", mosquitto.url("core"), *fails, "--path", PATH),
        run_kit("tap", *nobody, "--broker-command", "no-such-broker -v", "--path", PATH),
    )

    assert [each[0] for each in (node, core, taken, missing)] == [2, 2, 2, 2]
    assert node[1] == core[1]
    assert "does not start:\nno such listener" in node[1]
    assert f"something listens at {mosquitto.host}:{mosquitto.port} already" in taken[1]
    assert "the broker 'no-such-broker -v' can't be started" in missing[1]


async def test_rules_are_listed_and_what_cannot_be_used_is_said_with_2() -> None:
    listed, nowhere, unknown = await asyncio.gather(
        run_kit("tap", "--list"),
        run_kit("tap", "--broker", f"mqtt://core:secret@{LOOPBACK}:{free_port()}", "--path", "left"),
        run_kit("core", "--only", "AUTH-99"),
    )

    assert listed[0] == 0
    assert all(rule.rule_id in listed[1] for rule in TAP_RULES.rules)
    assert nowhere[0] == 2
    assert nowhere[1].startswith("tapwire-conformance: 'left' is not a device path: write VENUE/taps/TAP")
    assert unknown[0] == 2
    assert "there is no rule AUTH-99" in unknown[1]
