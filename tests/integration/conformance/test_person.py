"""The kit at a terminal: it tells a person what to do. The person is played by the rig of a simulated tap, at a pseudo-terminal."""

import asyncio
import fcntl
import os
import pty
import re
import shlex
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from tapwire_conformance.tap.rig import CommandRig, Rig
from tapwire_contracts.acl import BrokerRole
from tapwire_demo.broker import Account, EmbeddedBroker
from tapwire_demo.processes import LOOPBACK, free_port
from tests.integration.conformance.test_command import BENCH
from tests.integration.conformance.whole_node import REQUEST_TIMEOUT_S, whole_node
from tests.integration.node.rig import TAP, until

KIT: Final = (sys.executable, "-m", "tapwire_conformance", "tap")
IMPATIENT: Final = ("--request-timeout", str(REQUEST_TIMEOUT_S), "--quiet", "0.3", "--pour", "40", "--pulses-per-liter", "1000")
CARDS: Final = {"A": "04a1b2c3d4e5f6", "B": "04ffeeddccbbaa"}
DEEDS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...]] = (
    (re.compile(r"Lay card (\w) .* on the reader"), lambda found: f"card-on {CARDS[found[1]]}"),
    (re.compile(r"Take the card off"), lambda _: "card-off"),
    (re.compile(r"Open the faucet, let about (\d+) ml flow"), lambda found: f"pour {found[1]}"),
    (re.compile(r"Let about (\d+) ml flow through the meter while the valve is closed"), lambda found: f"leak {found[1]}"),
    (re.compile(r"Cut the node's power, and give it again"), lambda _: "power-cut"),
)
ENTER: Final = "\n"
CTRL_C: Final = "\x03"


class Terminal:
    """The kit's command at a pseudo-terminal, and who sits there."""

    def __init__(self, process: asyncio.subprocess.Process, end: int) -> None:
        self.process = process
        self.printed = ""
        self._end = end
        asyncio.get_running_loop().add_reader(end, self._read)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._end, keys.encode())

    async def told(self, text: str, times: int = 1) -> None:
        """Wait until the kit has printed something so many times, or has ended."""
        await until(lambda: self.printed.count(text) >= times or self.process.returncode is not None, lambda: self.printed)
        assert self.printed.count(text) >= times, self.printed

    async def ended(self) -> int:
        """Its exit code."""
        code = await asyncio.wait_for(self.process.wait(), 60)
        await asyncio.sleep(0.1)
        return code

    async def play(self, rig: Rig) -> int:
        """Do at the tap what is asked for, until the kit ends; its exit code."""
        done = 0
        rig.do("flow off")  # a person's faucet is closed until they open it
        while self.process.returncode is None:
            orders = re.findall(r">>> ([^\r\n]*)\r?\n", self.printed)
            for order in orders[done:]:
                await asyncio.to_thread(do_at_the_tap, rig, order)
                if "Enter when it is done" in order:
                    self.type(ENTER)
            done = len(orders)
            await asyncio.sleep(0.02)
        return await self.ended()

    def _read(self) -> None:
        try:
            self.printed += os.read(self._end, 65_536).decode(errors="replace")
        except OSError:
            asyncio.get_running_loop().remove_reader(self._end)


def do_at_the_tap(rig: Rig, order: str) -> None:
    """Do what a sentence of the kit's says."""
    request = request_of(order)
    if request.startswith("pour"):
        rig.do("flow on")
    rig.do(request)
    rig.do("flow off")


def sentences(kit: Terminal) -> list[str]:
    """What the person was told to do."""
    return re.findall(r">>> (.*?)\. \(", kit.printed)


def request_of(order: str) -> str:
    """What the rig has to do for a sentence of the kit's; a sentence that says none of it fails the test."""
    for pattern, request in DEEDS:
        if found := pattern.search(order):
            return request(found)
    raise AssertionError(order)


@asynccontextmanager
async def kit_at_a_terminal(mosquitto: EmbeddedBroker, *more: str) -> AsyncIterator[Terminal]:
    """Run `tapwire-conformance tap` without a rig."""
    ours, theirs = pty.openpty()
    way = ("--broker", mosquitto.url("core"), "--path", TAP, *IMPATIENT, *more)
    process = await asyncio.create_subprocess_exec(
        *KIT, *way, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, preexec_fn=_own_terminal
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        asyncio.get_running_loop().remove_reader(ours)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        os.close(ours)


def _own_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


async def test_a_person_who_does_what_the_kit_says_brings_a_node_through(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    port = free_port()
    rules = ("VALVE-1", "VALVE-6", "CLOSE-1", "CLOSE-3", "CLOSE-6", "LINK-4")
    way = ("--link", f"{LOOPBACK}:{port}", "--link-to", f"{mosquitto.host}:{mosquitto.device_port}")
    only = [option for rule_id in rules for option in ("--only", rule_id)]
    async with whole_node(mosquitto, tmp_path, port) as node, kit_at_a_terminal(mosquitto, *only, *way) as kit:
        code = await kit.play(node.rig)

    assert code == 0, kit.printed
    assert "6 kept, 0 broken, 0 not tried; 0 MUST broken" in kit.printed
    assert "Lay card B (any that has no name yet) on the reader" in kit.printed
    assert "Lay card A (04a1b2c3d4e5f6) on the reader" in kit.printed


async def test_a_wrong_card_is_named_and_the_right_one_goes_on(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    async with whole_node(mosquitto, tmp_path) as node, kit_at_a_terminal(mosquitto, "--only", "VALVE-2") as kit:
        await kit.told(">>> Lay card A")
        kit.type(ENTER)
        await kit.told("The node does not say so: on its reader lies no card, its valve is closed. Lay card A")
        node.rig.do(f"card-on {CARDS['A']}")
        await kit.told(">>> Take the card off")
        node.rig.do("card-off")
        await kit.told(">>> Lay card A", times=2)
        node.rig.do(f"card-on {CARDS['B']}")
        kit.type(ENTER)
        await kit.told(f"on its reader lies card {CARDS['B']}")
        node.rig.do(f"card-on {CARDS['A']}")
        await kit.told(">>> Take the card off", times=2)
        node.rig.do("card-off")
        code = await kit.ended()

    assert code in (0, 1), kit.printed


async def test_a_person_who_lets_a_leak_flow_is_told_how_much_and_when_to_say_so(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    async with whole_node(mosquitto, tmp_path) as node, kit_at_a_terminal(mosquitto, "--only", "FLOW-1") as kit:
        code = await kit.play(node.rig)

    assert code == 0, kit.printed
    assert "1 kept, 0 broken, 0 not tried" in kit.printed
    assert sentences(kit) == ["Let about 20 ml flow through the meter while the valve is closed"]


async def test_a_power_cut_by_a_person_is_seen_by_the_kit_itself(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    await mosquitto.add_account(Account(TAP, "s3cret", BrokerRole.DEVICE))
    node_at = f"{mosquitto.host}:{mosquitto.device_port}"
    bench = CommandRig(shlex.join([sys.executable, str(BENCH), TAP, "s3cret", node_at, str(tmp_path / "journal.json"), "fast"]))
    try:
        async with kit_at_a_terminal(mosquitto, "--only", "REPORT-6") as kit:
            code = await kit.play(bench)
    finally:
        bench.end()

    assert code == 0, kit.printed
    assert "1 kept, 0 broken, 0 not tried" in kit.printed
    assert sentences(kit) == [
        "Lay card A (any that has no name yet) on the reader, and leave it there",
        "Open the faucet, let about 40 ml flow or as much as comes, and close it",
        "Cut the node's power, and give it again",
    ]
    assert kit.printed.count("Enter when it is done") == 1


async def test_what_a_person_cannot_do_is_not_tried_and_fails_nothing(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    async with whole_node(mosquitto, tmp_path), kit_at_a_terminal(mosquitto, "--only", "FLOW-1") as kit:
        await kit.told(">>> Let about 20 ml flow through the meter while the valve is closed. (Enter when it is done")
        kit.type("n" + ENTER)
        code = await kit.ended()

    assert code == 0, kit.printed
    assert "nobody could leak 20" in kit.printed
    assert "0 kept, 0 broken, 1 not tried" in kit.printed


async def test_ctrl_c_in_the_middle_of_a_pour_asks_nothing_more_and_closes_the_valve(
    mosquitto: EmbeddedBroker, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    async with whole_node(mosquitto, tmp_path) as node:
        async with kit_at_a_terminal(mosquitto, "--only", "CLOSE-2", "--json", str(report)) as kit:
            await kit.told(">>> Lay card A")
            node.rig.do(f"card-on {CARDS['A']}")
            await kit.told(">>> Take the card off")
            assert node.rig.do("valve") == "open"
            kit.type(CTRL_C)
            code = await kit.ended()
        await until(lambda: node.rig.do("valve") == "closed", "the valve to close")

    assert code == 2, kit.printed
    assert kit.printed.count(">>>") == 2
    assert kit.printed.splitlines()[-1].startswith("tapwire-conformance: broken off; what was tried so far")
    assert report.exists()


async def test_a_terminal_that_goes_away_ends_the_run_in_one_sentence(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    async with whole_node(mosquitto, tmp_path):
        process = await asyncio.create_subprocess_exec(
            *KIT,
            *("--broker", mosquitto.url("core"), "--path", TAP, "--only", "VALVE-1"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == 2
    assert printed.decode().splitlines()[-1].startswith("tapwire-conformance: nobody is at the terminal: its input has ended")
