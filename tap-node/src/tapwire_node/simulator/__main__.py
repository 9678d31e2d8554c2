"""`python -m tapwire_node.simulator --config tap.toml …`: simulate beer lines, readers and guests of these taps until stopped."""

import argparse
import signal
import sys
from pathlib import Path
from threading import Thread
from typing import Final

from tapwire_contracts.logs import InvalidLogFormat, set_up_logs
from tapwire_node.hardware.scenario import InvalidScenario, Scenario, load_scenario
from tapwire_node.hardware.settings import SimulatedHardware
from tapwire_node.settings import InvalidSettings, load_settings
from tapwire_node.simulator.server import Simulator

USER_ERRORS: Final = (InvalidSettings, InvalidScenario, InvalidLogFormat)


def main() -> None:
    """Serve until SIGTERM or SIGINT; exits with 2 for wrong settings."""
    parser = argparse.ArgumentParser(prog="tapwire_node.simulator", description="Simulated taps that outlive their nodes.")
    parser.add_argument("--config", type=Path, required=True, action="append", metavar="tap.toml", help="once for each tap")
    try:
        set_up_logs("simulator")
        simulator = Simulator(*load(parser.parse_args().config))
    except USER_ERRORS as error:
        print(f"tapwire_node.simulator: {error}", file=sys.stderr)
        sys.exit(2)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: Thread(target=simulator.shutdown).start())
    simulator.start()
    simulator.serve_forever(poll_interval=0.5)
    simulator.end()


def load(files: list[Path]) -> tuple[Path, dict[str, tuple[SimulatedHardware, Scenario | None]]]:
    """Read the simulator's socket and the taps from tap.toml files; raises `InvalidSettings` and `InvalidScenario`."""
    taps: dict[str, tuple[SimulatedHardware, Scenario | None]] = {}
    sockets: set[str] = set()
    for file in files:
        settings = load_settings(file)
        hardware = settings.hardware
        if not isinstance(hardware, SimulatedHardware) or hardware.simulator is None:
            raise InvalidSettings(f'{file}: write driver = "simulated" and simulator = "FILE" under [hardware]')
        scenario = load_scenario(Path(hardware.scenario)) if hardware.scenario is not None else None
        taps[settings.tap.path] = hardware, scenario
        sockets.add(hardware.simulator)
    if len(sockets) != 1:
        raise InvalidSettings(
            f"all files must name the same simulator socket, these name {len(sockets)}: {', '.join(sorted(sockets))}"
        )
    return Path(sockets.pop()), taps


if __name__ == "__main__":
    main()
