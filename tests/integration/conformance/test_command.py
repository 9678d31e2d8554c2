"""The kit's command, by the smallest node of the makers' page: it passes, and the reports say so."""

import asyncio
import json
import shlex
import sys
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from tapwire_conformance.tap.catalogue import TAP_RULES
from tapwire_contracts.acl import BrokerRole
from tapwire_demo.broker import Account, EmbeddedBroker
from tapwire_demo.processes import LOOPBACK, free_port

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


async def try_smallest_node(mosquitto: EmbeddedBroker, folder: Path, *more: str | Path) -> tuple[int | None, str]:
    """Try the smallest node, by its bench as the rig."""
    await mosquitto.add_account(Account(PATH, "s3cret", BrokerRole.DEVICE))
    link = f"{LOOPBACK}:{free_port()}"
    rig = shlex.join([sys.executable, str(BENCH), PATH, "s3cret", link, str(folder / "journal.json"), "fast"])
    to = f"{mosquitto.host}:{mosquitto.device_port}"
    way = ("--broker", mosquitto.url("core"), "--path", PATH, "--link", link, "--link-to", to, "--rig", rig)
    return await run_kit("tap", *way, *IMPATIENT, *more)


async def test_the_smallest_node_passes_and_every_report_says_so(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    files = ("--json", tmp_path / "report.json", "--junit", tmp_path / "report.xml")
    code, printed = await try_smallest_node(mosquitto, tmp_path, *files)

    assert code == 0, printed
    results = json.loads((tmp_path / "report.json").read_text())["results"]
    assert [(each["rule_id"], each["outcome"]) for each in results] == [(rule.rule_id, "kept") for rule in TAP_RULES.rules]
    assert all(each["messages"] for each in results)
    suite = ElementTree.parse(tmp_path / "report.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == (str(len(results)), "0", "0")
    assert printed.splitlines()[-1] == f"{len(results)} kept, 0 broken, 0 not tried; 0 MUST broken"
