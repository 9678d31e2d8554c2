"""Opening the hardware with the driver that tap.toml names."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import assert_never

from gpiozero import DigitalInputDevice, OutputDevice

from tapwire_node.hardware.flow_meter import FlowMeter
from tapwire_node.hardware.mfrc522_reader import Mfrc522
from tapwire_node.hardware.pcsc_reader import PcscReader
from tapwire_node.hardware.pin_libraries import opening_pins
from tapwire_node.hardware.polled_reader import PolledReader
from tapwire_node.hardware.reader import Reader
from tapwire_node.hardware.remote_tap import RemoteTap
from tapwire_node.hardware.scenario import ScenarioPlayer, load_scenario
from tapwire_node.hardware.settings import (
    DeskHardware,
    GpioHardware,
    Mfrc522Hardware,
    Mfrc522Wiring,
    PcscHardware,
    SimulatedHardware,
    TapHardware,
)
from tapwire_node.hardware.simulated_tap import METER_PIN, VALVE_PIN, SimulatedReader, SimulatedTap
from tapwire_node.hardware.valve import Valve, ValveListener


@dataclass(frozen=True, slots=True)
class Hardware:
    """A tap's parts. For a simulated tap: `simulated` is its control, and `guests` plays its scenario.

    `remote` is the connection to a simulated tap in another process, which then has the guests.
    """

    valve: Valve
    meter: FlowMeter
    reader: Reader
    simulated: SimulatedTap | None = None
    guests: ScenarioPlayer | None = None
    remote: RemoteTap | None = None

    def start(self) -> None:
        """Start the simulation, if there is one."""
        if self.simulated is not None:
            self.simulated.start()
        if self.remote is not None:
            self.remote.start()
        if self.guests is not None:
            self.guests.start()

    def end(self) -> None:
        """Close the valve first, then release everything."""
        self.valve.end()
        if self.guests is not None:
            self.guests.end()
        self.reader.end()
        if self.simulated is not None:
            self.simulated.end()
        if self.remote is not None:
            self.remote.end()
        self.meter.end()


def open_hardware(settings: TapHardware, watchdog_ms: int, listener: ValveListener, tap: str = "") -> Hardware:
    """Open a tap's parts, with the valve closed; raises `PinsUnavailable`.

    `tap` is the path by which a simulator process knows the tap; optional where it has only one.
    """
    match settings:
        case SimulatedHardware(simulator=str(simulator)):
            return open_remote(RemoteTap(Path(simulator), tap), watchdog_ms, listener)
        case SimulatedHardware():
            return open_simulated(settings, watchdog_ms, listener)
        case GpioHardware():
            return open_gpio(settings, watchdog_ms, listener)
        case _:
            assert_never(settings)


def open_simulated(settings: SimulatedHardware, watchdog_ms: int, listener: ValveListener) -> Hardware:
    """Open a tap that is simulated in this process; raises `InvalidScenario`."""
    scenario = load_scenario(Path(settings.scenario)) if settings.scenario is not None else None
    tap = SimulatedTap(settings)
    return Hardware(
        valve=Valve(OutputDevice(VALVE_PIN, initial_value=False, pin_factory=tap.factory), watchdog_ms, listener),
        meter=FlowMeter(DigitalInputDevice(METER_PIN, pin_factory=tap.factory)),
        reader=tap.reader,
        simulated=tap,
        guests=ScenarioPlayer(tap, scenario) if scenario is not None else None,
    )


def open_remote(tap: RemoteTap, watchdog_ms: int, listener: ValveListener) -> Hardware:
    """Open a tap in a simulator process, and close its valve; raises `SimulatorUnreachable`."""
    device = OutputDevice(VALVE_PIN, initial_value=False, pin_factory=tap.factory)
    tap.connect()
    return Hardware(
        valve=Valve(device, watchdog_ms, listener),
        meter=FlowMeter(DigitalInputDevice(METER_PIN, pin_factory=tap.factory)),
        reader=tap.reader,
        remote=tap,
    )


def open_gpio(settings: GpioHardware, watchdog_ms: int, listener: ValveListener) -> Hardware:
    """Open real pins and the reader on SPI; raises `PinsUnavailable`."""
    with opening_pins():
        device = OutputDevice(settings.valve_pin, active_high=settings.valve_active_high, initial_value=False)
        return Hardware(
            valve=Valve(device, watchdog_ms, listener),
            meter=FlowMeter(DigitalInputDevice(settings.meter_pin, pull_up=settings.meter_pull_up)),
            reader=mfrc522_reader(settings),
        )


def mfrc522_reader(settings: Mfrc522Wiring) -> PolledReader:
    """An MFRC522 on SPI."""
    return PolledReader(partial(Mfrc522, settings), settings.reader_poll_ms, settings.reader_retry_ms, settings.reader_hang_ms)


def pcsc_reader(settings: PcscHardware) -> PolledReader:
    """A reader of the PC/SC service."""
    return PolledReader(partial(PcscReader, settings), settings.reader_poll_ms, settings.reader_retry_ms, settings.reader_hang_ms)


@dataclass(frozen=True, slots=True)
class DeskReaderHardware:
    """A desk reader's only part; `simulated` controls a simulated one."""

    reader: Reader
    simulated: SimulatedReader | None = None

    def end(self) -> None:
        """Release it."""
        self.reader.end()


def open_desk_reader(settings: DeskHardware) -> DeskReaderHardware:
    """Open a desk reader; errors of its driver are reported to its listener."""
    match settings:
        case SimulatedHardware():
            reader = SimulatedReader()
            return DeskReaderHardware(reader, reader)
        case Mfrc522Hardware():
            with opening_pins():
                return DeskReaderHardware(mfrc522_reader(settings))
        case PcscHardware():
            return DeskReaderHardware(pcsc_reader(settings))
        case _:
            assert_never(settings)
