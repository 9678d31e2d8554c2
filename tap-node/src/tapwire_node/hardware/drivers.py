"""Drivers by the name that tap.toml gives."""

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Final, assert_never

from gpiozero import DigitalInputDevice, OutputDevice
from gpiozero.exc import GPIOZeroError

from tapwire_node.hardware.flow_meter import FlowMeter
from tapwire_node.hardware.mfrc522_reader import Mfrc522
from tapwire_node.hardware.pcsc_reader import PcscReader
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


def lgpio_errors() -> tuple[type[Exception], ...]:
    """The exceptions of `lgpio`, such as `GPIO busy`, where it is installed: gpiozero lets them through."""
    try:
        error: type[Exception] = import_module("lgpio").error
    except ImportError:
        return ()
    return (error,)


PIN_ERRORS: Final[tuple[type[Exception], ...]] = (GPIOZeroError, OSError, RuntimeError, ImportError, *lgpio_errors())
"""The exceptions that opening a pin can raise."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """One tap's parts; `simulated` is what a program may do to a simulated one, `guests` who come to it by themselves.

    `remote` is the wire to a simulated one in another process, which then has the guests.
    """

    valve: Valve
    meter: FlowMeter
    reader: Reader
    simulated: SimulatedTap | None = None
    guests: ScenarioPlayer | None = None
    remote: RemoteTap | None = None

    def start(self) -> None:
        """Let time run, where it is simulated."""
        if self.simulated is not None:
            self.simulated.start()
        if self.remote is not None:
            self.remote.start()
        if self.guests is not None:
            self.guests.start()

    def end(self) -> None:
        """Close the valve first, then let go of everything."""
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
    """The parts, with the valve closed; `listener` hears of it. Raises what the driver's libraries raise.

    `tap` is the path that a simulator process knows the tap by; none will do where it has only one.
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
    """A tap in software; raises `InvalidScenario`."""
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
    """A tap in a simulator process, its valve closed as it is taken over; raises `SimulatorUnreachable`."""
    device = OutputDevice(VALVE_PIN, initial_value=False, pin_factory=tap.factory)
    tap.connect()
    return Hardware(
        valve=Valve(device, watchdog_ms, listener),
        meter=FlowMeter(DigitalInputDevice(METER_PIN, pin_factory=tap.factory)),
        reader=tap.reader,
        remote=tap,
    )


def open_gpio(settings: GpioHardware, watchdog_ms: int, listener: ValveListener) -> Hardware:
    """Real pins and the reader on SPI."""
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
    """A desk reader's one part; `simulated` is what a program may lay cards on."""

    reader: Reader
    simulated: SimulatedReader | None = None

    def end(self) -> None:
        """Let go of it."""
        self.reader.end()


def open_desk_reader(settings: DeskHardware) -> DeskReaderHardware:
    """A desk reader; what its driver's libraries raise is told to who listens to it."""
    match settings:
        case SimulatedHardware():
            reader = SimulatedReader()
            return DeskReaderHardware(reader, reader)
        case Mfrc522Hardware():
            return DeskReaderHardware(mfrc522_reader(settings))
        case PcscHardware():
            return DeskReaderHardware(pcsc_reader(settings))
        case _:
            assert_never(settings)
