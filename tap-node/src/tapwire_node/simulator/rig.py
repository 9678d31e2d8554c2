"""`python -m tapwire_node.simulator.rig --config tap.toml`: a rig for `tapwire-conformance tap --rig`, at a simulated tap.

It runs the node of this tap.toml, whose simulator must be running, and reads the kit's requests from its standard input, one a line
(docs/conformance.md has the protocol). At the end of the input it ends the node.
"""

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tapwire_node.hardware.settings import SimulatedHardware
from tapwire_node.settings import InvalidSettings, load_settings
from tapwire_node.simulator.client import SimulatorClient
from tapwire_node.simulator.protocol import Action, SimulatorUnreachable

LOOK_S: Final = 0.01
STILL_S: Final = 0.3
"""When nothing has flowed for this long, the flow has ended."""
ENDS_WITHIN_S: Final = 20.0
DEFAULT_FLOW_ML_PER_S: Final = 50


class UnknownRequest(Exception):
    """The rig has no such request; the text is the answer."""


class NodeProcess:
    """The node, as systemd would run it."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; its log goes to the standard error."""
        self._process = subprocess.Popen([sys.executable, "-m", "tapwire_node", "run", "--config", str(self._config)])  # noqa: S603

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it, or kill it as a power cut would."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(ENDS_WITHIN_S)


class SimulatorRig:
    """Carries out the kit's requests at one tap of a simulator."""

    def __init__(self, tap: SimulatorClient, node: NodeProcess, flow_ml_per_s: int) -> None:
        self._tap = tap
        self._node = node
        self._flow_ml_per_s = flow_ml_per_s

    def do(self, request: str) -> str:
        """Carry out a request and return its answer; raises `UnknownRequest`, and `ValueError` for an unreadable one."""
        verb, _, argument = request.partition(" ")
        match verb:
            case "card-on":
                self._tap.act(Action.PRESENT, card_uid=argument)
            case "card-off":
                self._tap.act(Action.REMOVE)
            case "flow":
                self._tap.act(Action.SET_FLOW, ml_per_s=self._flow_ml_per_s if argument == "on" else 0)
            case "pour":
                self._let_flow(int(argument))
            case "leak":
                self._tap.act(Action.SET_LEAK, ml_per_s=self._flow_ml_per_s)
                self._let_flow(int(argument))
                self._tap.act(Action.SET_LEAK, ml_per_s=0)
            case "power-cut":
                self._node.end(signal.SIGKILL)
                self._tap.act(Action.SHUT_VALVE)
                self._node.start()
            case "valve":
                return "open" if self._tap.look().valve_is_driven else "closed"
            case "flowed":
                return str(self._tap.look().flowed_ml)
            case _:
                raise UnknownRequest(f"there is no request {verb}")
        return "ok"

    def _let_flow(self, ml: int) -> None:
        last_ml = self._tap.look().flowed_ml
        until_ml, still_since_s = last_ml + ml, time.monotonic()
        while last_ml < until_ml and time.monotonic() - still_since_s < STILL_S:
            time.sleep(LOOK_S)
            if (now_ml := self._tap.look().flowed_ml) > last_ml:
                last_ml, still_since_s = now_ml, time.monotonic()


def main() -> None:
    """Serve until the input ends; exits with 2 for wrong settings, or without a simulator."""
    config = parser().parse_args().config
    try:
        settings = load_settings(config)
        hardware = settings.hardware
        if not isinstance(hardware, SimulatedHardware) or hardware.simulator is None:
            raise InvalidSettings(f'{config}: write driver = "simulated" and simulator = "FILE" under [hardware]')
        with SimulatorClient(Path(hardware.simulator), settings.tap.path) as tap:
            node = NodeProcess(config)
            node.start()
            try:
                serve(SimulatorRig(tap, node, hardware.flow_ml_per_s or DEFAULT_FLOW_ML_PER_S))
            finally:
                node.end()
    except (InvalidSettings, SimulatorUnreachable) as error:
        print(f"tapwire_node.simulator.rig: {error}", file=sys.stderr)
        sys.exit(2)


def serve(rig: SimulatorRig) -> None:
    """Answer each line of the input by one line."""
    for line in sys.stdin:
        try:
            answer = rig.do(line.strip())
        except (UnknownRequest, ValueError) as error:
            answer = f"no {error}"
        print(answer, flush=True)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m tapwire_node.simulator.rig", description="A rig for the conformance kit.")
    made.add_argument("--config", type=Path, required=True, metavar="tap.toml", help="the node's; its simulator must be running")
    return made


if __name__ == "__main__":
    main()
