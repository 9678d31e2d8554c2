"""Many tap nodes in one process, for demonstrations, tests and benchmarks.

    python -m tapwire_node.fleet --config left/tap.toml --config right/tap.toml …

Each is a complete node with a journal and a connection of its own; they share the process and its event loop. Not for real taps: an
error of one node ends them all, and a killed process leaves every valve as it is.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tapwire_contracts.logs import InvalidLogFormat, set_up_logs
from tapwire_contracts.topics import DeviceKind
from tapwire_node.hardware.scenario import InvalidScenario
from tapwire_node.journal import JournalBroken, JournalInUse
from tapwire_node.runtime.tap_node import TapNode, end_node
from tapwire_node.settings import InvalidSettings, Settings, device_path, load_settings

START_BATCH: Final = 10
"""Nodes that start at the same time; all at once would slow one another down."""
START_PAUSE_S: Final = 0.1
USER_ERRORS: Final = (InvalidSettings, InvalidScenario, InvalidLogFormat, JournalBroken, JournalInUse)


@dataclass(frozen=True, slots=True)
class Fleet:
    """The nodes, and their tasks, which end when one of them fails."""

    nodes: list[TapNode] = field(default_factory=list)
    serving: list[asyncio.Task[None]] = field(default_factory=list)


@asynccontextmanager
async def running_fleet(settings: Sequence[Settings]) -> AsyncIterator[Fleet]:
    """Run the nodes while the block runs. Raises `InvalidSettings`, and at the end the error that broke a node."""
    for one in settings:
        if device_path(one).kind is not DeviceKind.TAP:
            raise InvalidSettings(f"tap.path: {one.tap.path} is a desk reader, but a fleet is of taps only")
    fleet = Fleet()
    try:
        for number, one in enumerate(settings, start=1):
            node = TapNode(one)
            fleet.nodes.append(node)
            fleet.serving.append(asyncio.create_task(node.serve()))
            if number % START_BATCH == 0:
                await asyncio.sleep(START_PAUSE_S)
        yield fleet
    finally:
        ends = [end_node(node, serving) for node, serving in zip(fleet.nodes, fleet.serving, strict=True)]
        broken = [ended for ended in await asyncio.gather(*ends, return_exceptions=True) if ended is not None]
    if broken:
        raise broken[0]


async def serve(settings: Sequence[Settings]) -> None:
    """Run the fleet until SIGTERM or SIGINT; raises the error that broke a node."""
    stop_requested = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop_requested.set)
    async with running_fleet(settings) as fleet:
        waiting = asyncio.create_task(stop_requested.wait())
        await asyncio.wait([waiting, *fleet.serving], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()


def main() -> None:
    """The command line; exits with 2 for wrong settings."""
    parser = argparse.ArgumentParser(prog="tapwire_node.fleet", description="Many tap nodes in one process.")
    parser.add_argument("--config", type=Path, required=True, action="append", metavar="tap.toml", help="once for each tap")
    try:
        set_up_logs("fleet")
        asyncio.run(serve([load_settings(file) for file in parser.parse_args().config]))
    except USER_ERRORS as error:
        print(f"tapwire_node.fleet: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
