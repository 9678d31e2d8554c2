"""`tapwire-node run --config tap.toml`, `tapwire-node journal show|pending|export --config tap.toml`."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Final

from tapwire_contracts.logs import InvalidLogFormat, set_up_logs
from tapwire_node import SOFTWARE
from tapwire_node.app import run_node
from tapwire_node.hardware.scenario import InvalidScenario
from tapwire_node.journal import JournalBroken, JournalInUse
from tapwire_node.journal.reading import READINGS
from tapwire_node.settings import InvalidSettings, load_settings
from tapwire_node.simulator.wire import SimulatorGone

REFUSALS: Final = (InvalidSettings, InvalidScenario, InvalidLogFormat, JournalBroken, JournalInUse, SimulatorGone)
"""What a person can put right; anything else is an error of ours and ends with a traceback."""


def main() -> None:
    """The command line; exits with 2 for wrong settings."""
    arguments = parser().parse_args()
    try:
        settings = load_settings(arguments.config)
        if arguments.command == "run":
            set_up_logs(settings.tap.path)
            asyncio.run(run_node(settings))
        else:
            for line in READINGS[arguments.what](Path(settings.journal.file)):
                print(line)
    except REFUSALS as error:
        print(f"tapwire-node: {error}", file=sys.stderr)
        sys.exit(2)


def parser() -> argparse.ArgumentParser:
    """What may be asked."""
    top = argparse.ArgumentParser(prog="tapwire-node", description="The program at the tap.")
    top.add_argument("--version", action="version", version=SOFTWARE)
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="serve one tap until told to end")
    journal = commands.add_parser("journal", help="read the journal, also while the node runs")
    journal.add_argument("what", choices=sorted(READINGS), help="a summary, the facts without a verdict, or all as JSON lines")
    for command in (run, journal):
        command.add_argument("--config", type=Path, required=True, metavar="tap.toml")
    return top


if __name__ == "__main__":
    main()
