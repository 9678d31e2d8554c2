"""A simulated tap in a simulator process: mock pins in the node, the beer line in the simulator.

Changes of the valve's pin are sent to the simulator; the meter's pin follows its pulses. If the connection is lost, the reader
counts as broken, which closes the valve, and the connection is tried again each `RETRY_S`.
"""

import logging
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final

from gpiozero.pins.mock import MockFactory

from tapwire_node.clock import TIME_OF_DAY
from tapwire_node.hardware.simulated_tap import METER_PIN, VALVE_PIN, SimulatedReader, WatchedPin
from tapwire_node.simulator.protocol import (
    Attach,
    CardOnReader,
    ClockOffset,
    DriveValve,
    LineSocket,
    Pulses,
    ReaderFault,
    SimulatorUnreachable,
)

RETRY_S: Final = 0.5
logger: Final = logging.getLogger(__name__)


class RemoteTap:
    """The pins and the reader of a tap that is simulated in another process."""

    def __init__(self, simulator: Path, tap: str) -> None:
        self.factory = MockFactory(pin_class=WatchedPin)
        self.reader = SimulatedReader()
        self._simulator = simulator
        self._tap = tap
        self._line: LineSocket | None = None
        self._reporting = Lock()
        self._ended = Event()
        self._thread = Thread(target=self._follow, name="beer-line", daemon=True)
        self._valve = self.factory.pin(VALVE_PIN)
        self._valve.on_change = self._send_valve_level

    def connect(self) -> None:
        """Connect, and take the valve over with the pin's present level. Raises `SimulatorUnreachable`."""
        line = LineSocket.connect(self._simulator)
        with self._reporting:
            self._line = line
            line.send(Attach(self._tap, valve_is_driven=bool(self._valve.state)))

    def start(self) -> None:
        """Begin to receive pulses and reader events."""
        self._thread.start()

    def end(self) -> None:
        """Close the connection; also before `start`."""
        self._ended.set()
        if self._line is not None:
            self._line.close()
        if self._thread.is_alive():
            self._thread.join()

    def _send_valve_level(self, is_driven: bool) -> None:
        with self._reporting:
            if self._line is None:
                return
            try:
                self._line.send(DriveValve(is_driven))
            except OSError as error:
                logger.error("the simulator could not be told that the valve is %s: %s", "open" if is_driven else "closed", error)

    def _follow(self) -> None:
        while not self._ended.is_set():
            if self._line is not None:
                self._receive(self._line)
                self._line.close()
            if self._ended.is_set():
                return
            self.reader.fail("the simulator does not answer")
            self._ended.wait(RETRY_S)
            try:
                self.connect()
            except (SimulatorUnreachable, OSError) as error:
                self._line = None
                logger.warning("%s", error)
                continue
            self.reader.recover()

    def _receive(self, line: LineSocket) -> None:
        for heard in line.lines():
            match heard:
                case ClockOffset():
                    TIME_OF_DAY.wrong_by_s = heard.by_s
                case Pulses():
                    self._turn_meter(heard.count)
                case CardOnReader(card_uid=None):
                    self.reader.remove()
                case CardOnReader(card_uid=str(card_uid)):
                    self.reader.present(card_uid)
                case ReaderFault(text=None):
                    self.reader.recover()
                case ReaderFault(text=str(text)):
                    self.reader.fail(text)
                case _:
                    logger.error("unexpected message from the simulator: %s", heard)
                    return

    def _turn_meter(self, pulses: int) -> None:
        pin = self.factory.pin(METER_PIN)
        for _ in range(pulses):
            pin.drive_high()
            pin.drive_low()
        pin.clear_states()
