"""`tapwire-node calibrate`: how many pulses the meter gives per litre, from pours into a measuring vessel.

The factor is Σ pulses ÷ Σ litres of all pours. It says nothing when the pours disagree (air in the line, foam, a wrong reading), so
their spread is shown, and above `MAX_SPREAD_PER_MILLE` nothing is written.

The factor that counts is `pulses_per_liter` of the tap's config, which the core publishes: an engineer sets it there. What is
written here is the one in tap.toml, which counts until the first config has come, and against which `doctor` compares the config.
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
"""The highest and the lowest factor may differ by 2 % of their mean."""
MIN_VESSEL_ML: Final = 50
"""A vessel of less can't be read well enough."""
MAX_VESSEL_ML: Final = 20_000
MAX_DURATION_MS: Final = 300_000


@dataclass(frozen=True, slots=True)
class MeasuredPour:
    """One pour: what the meter counted, and what the vessel held."""

    pulses: int
    volume_ml: int

    @property
    def pulses_per_liter(self) -> int:
        """Its factor, rounded half up."""
        return factor_of(self.pulses, self.volume_ml)


def factor_of(pulses: int, volume_ml: int) -> int:
    """Pulses per litre, rounded half up."""
    return (2 * pulses * ML_PER_LITER + volume_ml) // (2 * volume_ml)


def spread_per_mille(pours: list[MeasuredPour]) -> int:
    """How far the factors lie apart, in thousandths of their mean, rounded up."""
    factors = [pour.pulses_per_liter for pour in pours]
    return -(-(max(factors) - min(factors)) * len(factors) * 1_000 // sum(factors))


def calibrate(settings: Settings, config: Path, volume_ml: int, times: int) -> int:
    """The guided calibration; the exit code. Raises `ServiceRunRefused`, `NodeUnreachable`, `NoAnswer`."""
    terminal = Terminal()
    terminal.say(f"Calibration in {times} pours. You need a measuring vessel (or a scale) for {volume_ml + volume_ml // 2} ml.")
    with NodeConnection.open(Path(settings.journal.file)) as node:
        terminal.say(f"The node counts {node.status().pulses_per_liter} pulses per litre now.")
        pours = [measure(node, terminal, volume_ml, f"Pour {number} of {times}") for number in range(1, times + 1)]
    factor = factor_of(sum(pour.pulses for pour in pours), sum(pour.volume_ml for pour in pours))
    spread = spread_per_mille(pours)
    found = ", ".join(str(pour.pulses_per_liter) for pour in pours)
    terminal.say(f"Pulses per litre: {found}; together {factor}, spread {spread / 10:.1f} %.")
    if factor < 1:
        terminal.say("NOT written: the meter gave almost no pulses. Look at its plug and at hardware.meter_pin.")
        return 1
    if spread > MAX_SPREAD_PER_MILLE:
        terminal.say(f"NOT written: more than {MAX_SPREAD_PER_MILLE / 10:.1f} % apart. Let the line run free of air and try again.")
        return 1
    save_factor(terminal, config, factor)
    terminal.say(how_to_apply(device_path(settings), factor))
    return 0


def measure(node: NodeConnection, terminal: Terminal, volume_ml: int, name: str) -> MeasuredPour:
    """One pour into the vessel, again until the person has read it."""
    while True:
        terminal.ask(f"{name}: put the empty vessel under the tap, then press Enter. Enter again stops, at your mark.")
        start = StartRun(cause=FlowCause.CALIBRATION, max_volume_ml=volume_ml, max_duration_ms=MAX_DURATION_MS)
        run = carry_out_run(node, terminal, start)
        terminal.say(run_summary(run))
        read_ml = ask_volume(terminal)
        if read_ml is not None:
            measured = MeasuredPour(run.pulses, read_ml)
            terminal.say(f"{name}: {measured.pulses_per_liter} pulses per litre.")
            return measured


def ask_volume(terminal: Terminal) -> int | None:
    """What the vessel holds; None when this pour is to be made again."""
    while True:
        answer = terminal.ask("How many ml are in the vessel (or g on the scale)? Nothing: pour this one again.")
        if not answer:
            return None
        if answer.isascii() and answer.isdigit() and MIN_VESSEL_ML <= int(answer) <= MAX_VESSEL_ML:
            return int(answer)
        terminal.say(f"Please write whole millilitres from {MIN_VESSEL_ML} to {MAX_VESSEL_ML}.")


def save_factor(terminal: Terminal, config: Path, factor: int) -> None:
    """Write the factor to tap.toml, or say what to write there."""
    try:
        write_factor(config, factor)
    except OSError as error:
        terminal.say(f"{config} can't be written ({error.strerror}): write `pulses_per_liter = {factor}` under [tap] there.")
    else:
        terminal.say(f"Written to {config}: pulses_per_liter = {factor}.")


def write_factor(config: Path, factor: int) -> None:
    """Change the one value in tap.toml; raises `OSError` where that can't be."""
    document = read_document(config)
    table_of(document, "tap")["pulses_per_liter"] = factor
    with atomic_replacement(config) as put:
        put(tomlkit.dumps(document))


def how_to_apply(path: DevicePath, factor: int) -> str:
    """What an engineer must do, so that the node counts with it."""
    return (
        f"Now an engineer sets it in the core, and the node counts with it from the next pour on:\n"
        f'  PATCH /api/taps/{path.venue_id}/{path.device_id} {{"pulses_per_liter": {factor}, "status": "active"}}\n'
        f"`tapwire-node doctor` says whether it has arrived."
    )
