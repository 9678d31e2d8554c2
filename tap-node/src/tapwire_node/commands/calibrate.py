"""`tapwire-node calibrate`: measure the meter's pulses per litre by pours into a measuring vessel.

The factor is Σ pulses ÷ Σ litres of all pours. Pours that disagree (air in the line, foam, a misreading) give no usable factor, so
their spread is shown, and above `MAX_SPREAD_PER_MILLE` nothing is written.

The node uses `pulses_per_liter` of the tap's config, which an engineer sets in the core. This command writes the one in tap.toml,
which applies until the first config has come and with which `doctor` compares the config.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tomlkit

from tapwire_contracts.reasons import FlowCause
from tapwire_contracts.topics import DevicePath
from tapwire_node.commands.service_runs import carry_out_run, run_summary
from tapwire_node.commands.tap_toml import atomic_replacement, read_document, table_of
from tapwire_node.commands.terminal import Terminal
from tapwire_node.control.client import NodeConnection
from tapwire_node.control.messages import StartRun
from tapwire_node.settings import Settings, device_path

ML_PER_LITER: Final = 1_000
MAX_SPREAD_PER_MILLE: Final = 20
"""Largest difference of the factors: 2 % of their mean."""
MIN_VESSEL_ML: Final = 50
"""A smaller volume can't be read precisely enough."""
MAX_VESSEL_ML: Final = 20_000
MAX_DURATION_MS: Final = 300_000


@dataclass(frozen=True, slots=True)
class MeasuredPour:
    """One pour: the meter's pulses and the vessel's volume."""

    pulses: int
    volume_ml: int

    @property
    def pulses_per_liter(self) -> int:
        """The pour's factor, rounded half up."""
        return factor_of(self.pulses, self.volume_ml)


def factor_of(pulses: int, volume_ml: int) -> int:
    """Pulses per litre, rounded half up."""
    return (2 * pulses * ML_PER_LITER + volume_ml) // (2 * volume_ml)


def spread_per_mille(pours: list[MeasuredPour]) -> int:
    """The spread of the factors in thousandths of their mean, rounded up."""
    factors = [pour.pulses_per_liter for pour in pours]
    return -(-(max(factors) - min(factors)) * len(factors) * 1_000 // sum(factors))


def calibrate(settings: Settings, config: Path, volume_ml: int, times: int) -> int:
    """Guide a person through the calibration; return the exit code. Raises `ServiceRunRefused`, `NodeUnreachable`, `NoAnswer`."""
    terminal = Terminal()
    terminal.say(f"Calibration in {times} pours. You need a measuring vessel (or a scale) for {volume_ml + volume_ml // 2} ml.")
    with NodeConnection.open(Path(settings.journal.file)) as node:
        terminal.say(f"The node counts {node.status().pulses_per_liter} pulses per litre now.")
        pours = [measure_pour(node, terminal, volume_ml, f"Pour {number} of {times}") for number in range(1, times + 1)]
    factor = factor_of(sum(pour.pulses for pour in pours), sum(pour.volume_ml for pour in pours))
    spread = spread_per_mille(pours)
    found = ", ".join(str(pour.pulses_per_liter) for pour in pours)
    terminal.say(f"Pulses per litre: {found}; together {factor}, spread {spread / 10:.1f} %.")
    if factor < 1:
        terminal.say("NOT written: the meter gave almost no pulses. Check its plug and hardware.meter_pin.")
        return 1
    if spread > MAX_SPREAD_PER_MILLE:
        terminal.say(
            f"NOT written: more than {MAX_SPREAD_PER_MILLE / 10:.1f} % apart. Flush the air out of the line and try again."
        )
        return 1
    save_factor(terminal, config, factor)
    terminal.say(how_to_apply(device_path(settings), factor))
    return 0


def measure_pour(node: NodeConnection, terminal: Terminal, volume_ml: int, name: str) -> MeasuredPour:
    """Pour into the vessel, again until the person has entered its volume."""
    while True:
        terminal.ask(f"{name}: put the empty vessel under the tap and press Enter. Press Enter again to stop.")
        start = StartRun(cause=FlowCause.CALIBRATION, max_volume_ml=volume_ml, max_duration_ms=MAX_DURATION_MS)
        run = carry_out_run(node, terminal, start)
        terminal.say(run_summary(run))
        read_ml = ask_volume(terminal)
        if read_ml is not None:
            measured = MeasuredPour(run.pulses, read_ml)
            terminal.say(f"{name}: {measured.pulses_per_liter} pulses per litre.")
            return measured


def ask_volume(terminal: Terminal) -> int | None:
    """Ask for the vessel's volume in ml; None when the pour is to be repeated."""
    while True:
        answer = terminal.ask("How many ml are in the vessel (or g on the scale)? Leave empty to repeat this pour.")
        if not answer:
            return None
        if answer.isascii() and answer.isdigit() and MIN_VESSEL_ML <= int(answer) <= MAX_VESSEL_ML:
            return int(answer)
        terminal.say(f"Please write whole millilitres from {MIN_VESSEL_ML} to {MAX_VESSEL_ML}.")


def save_factor(terminal: Terminal, config: Path, factor: int) -> None:
    """Write the factor to tap.toml, or tell the person to do so."""
    try:
        write_factor(config, factor)
    except OSError as error:
        terminal.say(f"{config} can't be written ({error.strerror}): add `pulses_per_liter = {factor}` under [tap] by hand.")
    else:
        terminal.say(f"Written to {config}: pulses_per_liter = {factor}.")


def write_factor(config: Path, factor: int) -> None:
    """Set `pulses_per_liter` in tap.toml; raises `OSError`."""
    document = read_document(config)
    table_of(document, "tap")["pulses_per_liter"] = factor
    with atomic_replacement(config) as put:
        put(tomlkit.dumps(document))


def how_to_apply(path: DevicePath, factor: int) -> str:
    """Text: how an engineer applies the factor in the core."""
    return (
        f"Now an engineer must set it in the core; the node uses it from the next pour on:\n"
        f'  PATCH /api/taps/{path.venue_id}/{path.device_id} {{"pulses_per_liter": {factor}, "status": "active"}}\n'
        f"`tapwire-node doctor` shows when it has arrived."
    )
