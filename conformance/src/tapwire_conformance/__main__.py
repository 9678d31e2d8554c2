"""`tapwire-conformance tap …` and `tapwire-conformance core …`: try a tap node, or a core, against the contract."""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from tapwire_conformance.broker import BrokerUnusable, BrokerUrl
from tapwire_conformance.core.api import Api, ApiUnusable
from tapwire_conformance.core.catalogue import CORE_RULES
from tapwire_conformance.core.stage import CoreStage, Timing
from tapwire_conformance.own_broker import OwnBroker
from tapwire_conformance.report import as_json, as_junit, listing, progress, table
from tapwire_conformance.rules import Broken, Catalogue, UnknownRule
from tapwire_conformance.runner import Result, try_rules
from tapwire_conformance.tap.catalogue import TAP_RULES
from tapwire_conformance.tap.link import Link
from tapwire_conformance.tap.person import PersonRig
from tapwire_conformance.tap.rig import CommandRig, Rig, RigUnusable
from tapwire_conformance.tap.stage import NodeSettings, TapStage
from tapwire_conformance.transcript import Transcript
from tapwire_contracts.programs import add_common_options
from tapwire_contracts.topics import DevicePath, InvalidPath

PACKAGE: Final = "tapwire-conformance"
LOOPBACK: Final = "127.0.0.1"
HOUR_S: Final = 3_600
STDIN: Final = "-"
UNUSABLE: Final = 2
"""Exit code when nothing could be tried: wrong options, or no broker, API or rig."""


class Unusable(Exception):
    """The options can't be used; the text says why."""


def main() -> None:
    """Try what the command line says; exits with 1 when a MUST was not kept, with 2 when it could not be tried."""
    arguments = parser().parse_args()
    try:
        sys.exit(arguments.run(arguments))
    except (Unusable, UnknownRule, InvalidPath, BrokerUnusable, ApiUnusable, RigUnusable, Broken) as error:
        print(f"{PACKAGE}: {error}", file=sys.stderr)
        sys.exit(UNUSABLE)
    except KeyboardInterrupt:
        print(f"\n{PACKAGE}: broken off; what was tried so far is in the reports that were asked for", file=sys.stderr)
        sys.exit(UNUSABLE)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog=PACKAGE, description="Try a tap node, or a core, against every rule of the contract.")
    add_common_options(made, PACKAGE)
    sides = made.add_subparsers(required=True, metavar="tap|core")
    tap = sides.add_parser("tap", help="play the core against a tap node", description=_TAP)
    tap.add_argument("--broker", help="the broker with a login that acts as the core, mqtt://core:secret@host:1884")
    tap.add_argument("--path", help="the node's path, such as bar/taps/left")
    tap.add_argument("--rig", metavar="COMMAND", help="a program that acts at the tap; without it a person is told what to do")
    tap.add_argument(
        "--link", metavar="[HOST:]PORT", help="listen here for the node, which then uses this address as its broker: it can be cut"
    )
    tap.add_argument("--link-to", metavar="HOST:PORT", help="the devices' listener behind --link (default: that of --broker)")
    tap.add_argument("--request-timeout", type=float, default=5.0, metavar="S", help="the node's request_timeout_ms (5)")
    tap.add_argument("--quiet", type=float, default=2.0, metavar="S", help="how long the valve is watched to stay closed (2)")
    tap.add_argument("--pour", type=int, default=100, metavar="ML", help="volume of a trial pour (100)")
    tap.add_argument("--pulses-per-liter", type=int, default=450, metavar="N", help="the meter's factor, for the config (450)")
    _add_shared(tap)
    tap.set_defaults(run=run_tap)
    core = sides.add_parser("core", help="play tap nodes, honest and lying, against a core", description=_CORE)
    core.add_argument("--broker", help="the devices' listener, mqtt://host:1883; with user:secret@ all taps use this login")
    core.add_argument("--api", help="the admin API, http://host:8080")
    core.add_argument("--token", help="an engineer's token; - reads it from the standard input")
    core.add_argument("--sweep", type=float, default=60.0, metavar="S", help="longest wait for what the core does by itself (60)")
    core.add_argument(
        "--decisions-per-hour", type=int, metavar="N", help="use up a device's device_decisions_per_hour, which is N at this core"
    )
    core.add_argument("--slow", action="store_true", help="try the rule that takes an hour too")
    _add_shared(core)
    core.set_defaults(run=run_core)
    return made


_TAP: Final = "Try a tap node, real or simulated, in any language. No core may run at the broker meanwhile. Beer will flow."
_CORE: Final = "Try a core. It gets a venue of the kit's own, with guests, pours and incidents: use a core that nobody works with."


def _add_shared(side: argparse.ArgumentParser) -> None:
    side.add_argument(
        "--broker-command", action="append", default=[], metavar="COMMAND",
        help="a broker that the kit starts at the address of --broker, kills and starts again; repeatable: each is tried in turn",
    )  # fmt: skip
    side.add_argument("--ca-file", help="the certificate authority of broker and API, where it is not one of the system's")
    side.add_argument("--only", action="append", default=[], metavar="RULE", help="a rule (AUTH-14) or group (AUTH); repeatable")
    side.add_argument("--list", action="store_true", help="list the rules, and end")
    side.add_argument("--junit", type=Path, metavar="FILE", help="write the report as JUnit XML")
    side.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON, with all messages")


def run_core(arguments: argparse.Namespace) -> int:
    """`tapwire-conformance core`; the exit code."""
    if arguments.list:
        return _list(CORE_RULES)
    rules = CORE_RULES.chosen(arguments.only)
    broker, transcript = _broker(arguments), Transcript()
    for name in ("api", "token"):
        if not getattr(arguments, name):
            raise Unusable(f"--{name} is missing")
    token = sys.stdin.readline().strip() if arguments.token == STDIN else arguments.token
    try:
        api = Api(arguments.api, token, transcript, arguments.ca_file)
    except ValueError as error:
        raise Unusable(f"--api: {error}") from error
    timing = Timing(sweep_s=arguments.sweep, decisions_per_hour=arguments.decisions_per_hour)
    wait_an_hour: Callable[[], None] | None = (lambda: time.sleep(HOUR_S + 1)) if arguments.slow else None
    results: list[Result] = []
    with ExitStack() as opened:
        own = _own_broker(arguments, broker, opened)
        stage = opened.enter_context(CoreStage.opened(broker, api, transcript, timing, wait_an_hour, arguments.ca_file, own))
        try:
            for result in try_rules(rules, stage):
                results.append(result)
                print(progress(result), flush=True)
        finally:
            _write("core", results, arguments)
    return _close(results)


def run_tap(arguments: argparse.Namespace) -> int:
    """`tapwire-conformance tap`; the exit code."""
    if arguments.list:
        return _list(TAP_RULES)
    rules = TAP_RULES.chosen(arguments.only)
    broker, transcript = _broker(arguments), Transcript()
    if not arguments.path:
        raise Unusable("--path is missing")
    settings = NodeSettings(
        request_timeout_s=arguments.request_timeout,
        quiet_s=arguments.quiet,
        pour_ml=arguments.pour,
        pulses_per_liter=arguments.pulses_per_liter,
    )
    results: list[Result] = []
    with ExitStack() as opened:
        own = _own_broker(arguments, broker, opened)
        link = opened.enter_context(_link(arguments, broker)) if arguments.link else None
        path = DevicePath.parse(arguments.path)
        rig: Rig
        if arguments.rig:
            rig = started = CommandRig(arguments.rig)
            opened.callback(started.end)
        else:
            rig = PersonRig(transcript, path, link)
        stage = opened.enter_context(TapStage.opened(broker, path, rig, link, transcript, settings, arguments.ca_file, own))
        try:
            for result in try_rules(rules, stage):
                results.append(result)
                print(progress(result), flush=True)
        finally:
            _write("tap", results, arguments)
    return _close(results)


def _own_broker(arguments: argparse.Namespace, broker: BrokerUrl, opened: ExitStack) -> OwnBroker | None:
    """The broker of the kit's own, started; None where it is another's."""
    return opened.enter_context(OwnBroker(arguments.broker_command, broker)) if arguments.broker_command else None


def _link(arguments: argparse.Namespace, broker: BrokerUrl) -> Link:
    try:
        host, _, port = arguments.link.rpartition(":")
        to_host, _, to_port = (arguments.link_to or f"{broker.host}:{broker.port}").rpartition(":")
        return Link(host or LOOPBACK, int(port), (to_host, int(to_port)))
    except (OSError, ValueError) as error:
        raise Unusable(f"--link: {error}") from error


def _list(catalogue: Catalogue[Any]) -> int:
    print("\n".join(listing(catalogue.rules)))
    return 0


def _broker(arguments: argparse.Namespace) -> BrokerUrl:
    if not arguments.broker:
        raise Unusable("--broker is missing")
    try:
        return BrokerUrl.parse(arguments.broker)
    except ValueError as error:
        raise Unusable(f"--broker: {error}") from error


def _write(side: str, results: list[Result], arguments: argparse.Namespace) -> None:
    """Write the files that were asked for, also of a run that was broken off."""
    for file, made in ((arguments.junit, as_junit), (arguments.json, as_json)):
        if file is not None:
            file.write_text(made(side, results), encoding="utf-8")


def _close(results: list[Result]) -> int:
    print()
    print("\n".join(table(results)))
    return int(any(result.is_fatal for result in results))


if __name__ == "__main__":
    main()
