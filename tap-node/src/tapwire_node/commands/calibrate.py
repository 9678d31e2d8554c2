"""`tapwire-node calibrate`: measure the meter's pulses per litre by pours into a measuring vessel.

The factor is Σ pulses ÷ Σ litres of all pours. Pours that disagree (air in the line, foam, a misreading) give no usable factor, so
their spread is shown, and above `MAX_SPREAD_PER_MILLE` nothing is written.

The node uses `pulses_per_liter` of the tap's config, which the core has. With an admin API and a code that the console shows, this
command books the measurement there, and the core sets the factor; without them an engineer sets it by hand. The one in tap.toml,
which is written too, applies until the first config has come, and `doctor` compares the config with it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import tomlkit
from msgspec import Struct

from tapwire_contracts.reasons import FlowCause
from tapwire_contracts.topics import DevicePath
from tapwire_node.commands.admin_api import AdminApi, ApiUnreachable, ApiUnusable, Refusal
from tapwire_node.commands.service_runs import carry_out_run, run_summary
from tapwire_node.commands.tap_toml import atomic_replacement, read_document, table_of
from tapwire_node.commands.terminal import Terminal
from tapwire_node.control.client import NodeConnection
from tapwire_node.control.messages import StartRun
from tapwire_node.settings import Settings, device_path

CALIBRATIONS: Final = "/api/public/calibrations"
ML_PER_LITER: Final = 1_000
MAX_SPREAD_PER_MILLE: Final = 20
"""Largest difference of the factors: 2 % of their mean."""
MIN_VESSEL_ML: Final = 50
"""A smaller volume can't be read precisely enough."""
MAX_VESSEL_ML: Final = 20_000
MAX_DURATION_MS: Final = 300_000


class Measurement(Struct, frozen=True):
    """A calibration as the admin API takes it."""

    reference_ml: int
    metered_ml: int
    pulses_per_liter: int


class BookedCalibration(Struct, frozen=True):
    """The part of the admin API's answer that this command shows."""

    tap: str
    pulses_per_liter_after: int


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


def calibration_door(settings: Settings, config: Path, api: str | None, ca_file: Path | None) -> AdminApi | None:
    """The admin API of the options, else of [pairing] in the file; None where neither names one. Raises `ApiUnusable`."""
    pairing = settings.pairing
    if api is None and pairing is None:
        return None
    if ca_file is None and pairing is not None and pairing.ca_file is not None:
        ca_file = config.resolve().parent / pairing.ca_file
    return AdminApi(api or (pairing.api if pairing else ""), ca_file)


def calibrate(
    settings: Settings, config: Path, volume_ml: int, times: int, door: AdminApi | None = None, code: str | None = None
) -> int:
    """Guide a person through the calibration; return the exit code. Raises `ServiceRunRefused`, `NodeUnreachable`, `NoAnswer`.

    `door`: the API that books it by a code; the `code` is asked for unless it is given.
    """
    if code and door is None:
        raise ApiUnusable(f"the admin API is not known: use --api https://HOST, or set api under [pairing] in {config}")
    terminal = Terminal()
    terminal.say(f"Calibration in {times} pours. You need a measuring vessel (or a scale) for {volume_ml + volume_ml // 2} ml.")
    with NodeConnection.open(Path(settings.journal.file)) as node:
        in_use = node.status().pulses_per_liter
        terminal.say(f"The node counts {in_use} pulses per litre now.")
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
    booked = book(door, terminal, code, measurement_of(pours, in_use)) if door is not None else None
    if booked is not None:
        save_factor(terminal, config, booked.pulses_per_liter_after)
        terminal.say(f"Booked: the core now has {booked.pulses_per_liter_after} pulses per litre for {booked.tap}.")
        terminal.say("Set the tap back to active; `tapwire-node doctor` shows when the factor has arrived.")
        return 0
    save_factor(terminal, config, factor)
    terminal.say(how_to_apply(device_path(settings), factor))
    return 0


def measurement_of(pours: list[MeasuredPour], pulses_per_liter: int) -> Measurement:
    """What all pours together measured; `metered_ml` is what the node counts with this factor, rounded half up."""
    pulses = sum(pour.pulses for pour in pours)
    metered_ml = (2 * pulses * ML_PER_LITER + pulses_per_liter) // (2 * pulses_per_liter)
    return Measurement(sum(pour.volume_ml for pour in pours), metered_ml, pulses_per_liter)


def book(door: AdminApi, terminal: Terminal, code: str | None, measured: Measurement) -> BookedCalibration | None:
    """Book a measurement by a code, again until it is booked; None when the person leaves that to an engineer.

    An answer that was lost does no harm: the same measurement with the same code is booked once.
    """
    while True:
        code = code or terminal.ask(
            "Enter a code from this tap's page in the console (Calibrate, Make a code). Leave empty to set the factor by hand."
        )
        if not code:
            return None
        try:
            return door.post(CALIBRATIONS, {"code": code, **msgspec.structs.asdict(measured)}, BookedCalibration)
        except ApiUnreachable as error:
            terminal.say(f"{error}. Enter the same code to try again.")
        except Refusal as error:
            terminal.say(f"NOT booked: {error}")
            if error.code not in ("not_found", "rate_limited"):
                return None
        code = None


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
    change = f'{{"pulses_per_liter": {factor}, "reason": "calibrated", "status": "active"}}'
    return (
        f"Now an engineer must set it in the core; the node uses it from the next pour on:\n"
        f"  PATCH /api/taps/{path.venue_id}/{path.device_id} {change}\n"
        f"`tapwire-node doctor` shows when it has arrived."
    )
