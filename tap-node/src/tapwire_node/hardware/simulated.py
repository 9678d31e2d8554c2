"""A tap in software: the real node's drivers on mock pins, and the physics between them.

While the valve's pin is driven, and for a moment after it, beer flows and the meter's pin gives pulses. Everything that a test or a
scenario may do to a tap is a method or an attribute here; all of it may be used from any thread.
"""

from threading import Event, Lock, Thread
from typing import Final

from gpiozero.pins.mock import MockFactory

from tapwire_contracts.card_uid import normalize_card_uid
from tapwire_node.clock import monotonic_ms
from tapwire_node.hardware.reader import ReaderListener
from tapwire_node.hardware.settings import SimulatedHardware

VALVE_PIN: Final = 17
METER_PIN: Final = 27
PHYSICS_S: Final = 0.01
MS_ML_PER_PULSE_UNIT: Final = 1_000_000
"""ms × ml/s × pulses/l that make one pulse."""


class SimulatedReader:
    """A reader on which cards are laid by a program."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._listener: ReaderListener | None = None
        self._card_uid: str | None = None

    @property
    def looked_ms(self) -> int:
        """It always looks."""
        return monotonic_ms()

    def start(self, listener: ReaderListener) -> None:
        """Tell what lies there now, and each change from now on."""
        with self._lock:
            self._listener = listener
            self._tell()

    def end(self) -> None:
        """Tell nothing any more."""
        with self._lock:
            self._listener = None

    def present(self, card_uid: str) -> None:
        """Lay a card on; raises `InvalidCardUid`."""
        with self._lock:
            self._card_uid = normalize_card_uid(card_uid)
            self._tell()

    def remove(self) -> None:
        """Take the card off."""
        with self._lock:
            self._card_uid = None
            self._tell()

    def fail(self, text: str) -> None:
        """Break."""
        with self._lock:
            if self._listener is not None:
                self._listener.reader_failed(text)

    def recover(self) -> None:
        """Work again."""
        with self._lock:
            if self._listener is not None:
                self._listener.reader_recovered()
                self._tell()

    def _tell(self) -> None:
        if self._listener is None:
            return
        if self._card_uid is None:
            self._listener.card_lifted()
        else:
            self._listener.card_seen(self._card_uid)


class SimulatedTap:
    """The mock pins, the reader and the beer line.

    `flow_ml_per_s` flows through the open valve, `leak_ml_per_s` through the closed one; `valve_sticks` keeps it open for ever.
    """

    def __init__(self, settings: SimulatedHardware) -> None:
        self.factory = MockFactory()
        self.reader = SimulatedReader()
        self.flow_ml_per_s = settings.flow_ml_per_s
        self.leak_ml_per_s = 0
        self.valve_sticks = False
        self._pulses_per_liter = settings.pulses_per_liter
        self._closing_ms = settings.closing_ms
        self._opened_ms: int | None = None
        self._pulses = 0
        self._ended = Event()
        self._thread = Thread(target=self._flow, name="beer-line", daemon=True)

    @property
    def valve_is_driven(self) -> bool:
        """Whether the node drives the valve open."""
        return bool(self.factory.pin(VALVE_PIN).state)

    @property
    def flowed_ml(self) -> int:
        """What has gone through the meter so far."""
        return self._pulses * 1_000 // self._pulses_per_liter

    def start(self) -> None:
        """Let time run."""
        self._thread.start()

    def end(self) -> None:
        """Stop time; a node may be told to end before it has begun."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def give_pulses(self, count: int) -> None:
        """Turn the meter by hand."""
        pin = self.factory.pin(METER_PIN)
        for _ in range(count):
            pin.drive_high()
            pin.drive_low()
            self._pulses += 1
        pin.clear_states()  # the mock keeps every change for ever otherwise

    def _flow(self) -> None:
        units, before_ms = 0, monotonic_ms()
        while not self._ended.wait(PHYSICS_S):
            now_ms = monotonic_ms()
            units += (now_ms - before_ms) * self._rate_ml_per_s(now_ms) * self._pulses_per_liter
            before_ms = now_ms
            pulses, units = divmod(units, MS_ML_PER_PULSE_UNIT)
            self.give_pulses(pulses)

    def _rate_ml_per_s(self, now_ms: int) -> int:
        if self.valve_is_driven:
            self._opened_ms = now_ms
        is_open = self._opened_ms is not None and (now_ms - self._opened_ms <= self._closing_ms or self.valve_sticks)
        return self.flow_ml_per_s if is_open else self.leak_ml_per_s
