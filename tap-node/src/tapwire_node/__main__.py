"""The command line: `tapwire-node run --config tap.toml`, and the commands for a person at the node (`tapwire-node --help`)."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Final

from tapwire_contracts.logs import InvalidLogFormat, set_up_logs
from tapwire_contracts.programs import UnitsNotInstalled, add_common_options, add_units_options, print_units_installed
from tapwire_node import PACKAGE
from tapwire_node.commands.admin_api import ApiUnusable
from tapwire_node.commands.calibrate import calibrate, calibration_door
from tapwire_node.commands.close_valve import ValveNotOurs, close_valve
from tapwire_node.commands.doctor import doctor
from tapwire_node.commands.pair import pair
from tapwire_node.commands.service_runs import ServiceRunRefused, clean, pour_test
from tapwire_node.commands.terminal import NoAnswer
from tapwire_node.control.client import NodeUnreachable
from tapwire_node.hardware.pin_libraries import PinsUnavailable
from tapwire_node.hardware.scenario import InvalidScenario
from tapwire_node.journal import JournalBroken, JournalInUse
from tapwire_node.journal.inspection import INSPECTIONS
from tapwire_node.runtime.tap_node import run_node
from tapwire_node.settings import InvalidSettings, Settings, load_settings
from tapwire_node.simulator.protocol import SimulatorUnreachable

CA_FILE_HELP: Final = "CA certificate of the admin API (default: the CAs that this machine trusts)"
USER_ERRORS: Final = (
    InvalidSettings,
    InvalidScenario,
    InvalidLogFormat,
    JournalBroken,
    JournalInUse,
    NodeUnreachable,
    ServiceRunRefused,
    NoAnswer,
    PinsUnavailable,
    ValveNotOurs,
    SimulatorUnreachable,
    ApiUnusable,
    UnitsNotInstalled,
)
"""Errors that a person can fix; any other one is a bug and ends with a traceback."""
INTERRUPTED: Final = 130
"""The exit code after Ctrl-C, by the shell's convention."""


def main() -> None:
    """Run the command line; exits with 2 for `USER_ERRORS`, with 1 where a check failed."""
    arguments = parser().parse_args()
    try:
        if arguments.command == "install-unit":
            print_units_installed(PACKAGE, arguments)
            return
        if arguments.command == "pair":
            sys.exit(pair(arguments.config, arguments.api, arguments.ca_file, again=arguments.again))
        sys.exit(run_command(arguments, load_settings(arguments.config)))
    except USER_ERRORS as error:
        print(f"tapwire-node: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def run_command(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run a command and return the exit code."""
    match arguments.command:
        case "run":
            set_up_logs(settings.tap.path)
            asyncio.run(run_node(settings))
        case "journal":
            for line in INSPECTIONS[arguments.what](Path(settings.journal.file)):
                print(line)
        case "doctor":
            return doctor(settings)
        case "clean":
            return clean(settings, arguments.ml, arguments.seconds)
        case "pour-test":
            return pour_test(settings, arguments.ml, arguments.seconds)
        case "calibrate":
            door = calibration_door(settings, arguments.config, arguments.api, arguments.ca_file)
            return calibrate(settings, arguments.config, arguments.ml, arguments.times, door, arguments.code)
        case "close-valve":
            print(close_valve(settings))
    return 0


def parser() -> argparse.ArgumentParser:
    """The parser of commands and options."""
    top = argparse.ArgumentParser(prog="tapwire-node", description="The program at the tap.")
    add_common_options(top, PACKAGE)
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="serve one tap or desk reader until stopped")
    journal = commands.add_parser("journal", help="read the journal, also while the node runs")
    journal.add_argument("what", choices=sorted(INSPECTIONS), help="a summary, the facts without a verdict, or all as JSON lines")
    commands.add_parser("doctor", help="check what keeps the tap from pouring, also while the node runs")
    clean = commands.add_parser("clean", help="flush the line; needs a running node and the tap's status cleaning")
    clean.add_argument("--ml", type=positive, default=5_000, help="largest volume (default 5000)")
    clean.add_argument("--seconds", type=positive, default=300, help="longest duration (default 300)")
    test = commands.add_parser("pour-test", help="open the valve, count, close; needs the same as clean")
    test.add_argument("--ml", type=positive, default=100, help="volume (default 100)")
    test.add_argument("--seconds", type=positive, default=30, help="longest duration (default 30)")
    calibrate = commands.add_parser(
        "calibrate", help="find the meter's pulses per litre with a measuring vessel; needs the same as clean"
    )
    calibrate.add_argument("--ml", type=positive, default=500, help="approximate volume of each pour (default 500)")
    calibrate.add_argument("--times", type=positive, default=3, help="number of pours (default 3)")
    calibrate.add_argument("--api", metavar="https://HOST", help="the admin API that books it (default: api under [pairing])")
    calibrate.add_argument("--code", help="the code that the console shows for this tap (default: asked for when it is measured)")
    calibrate.add_argument("--ca-file", type=Path, help=CA_FILE_HELP)
    pairing = commands.add_parser(
        "pair", help="pair a new device: show a code, wait for an engineer to accept it, write the settings"
    )
    pairing.add_argument("--api", metavar="https://HOST", help="the admin API (default: api under [pairing])")
    pairing.add_argument("--ca-file", type=Path, help=CA_FILE_HELP)
    pairing.add_argument("--again", action="store_true", help="pair a device that already has a secret")
    commands.add_parser("close-valve", help="close the valve after the node was killed; needs nothing but tap.toml")
    for command in commands.choices.values():
        command.add_argument("--config", type=Path, required=True, metavar="tap.toml")
    units = commands.add_parser("install-unit", help="write the systemd units of nodes and of pairing")
    add_units_options(units, has_settings=False)
    return top


def positive(text: str) -> int:
    """Parse a whole number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


if __name__ == "__main__":
    main()
