"""A simulated tap: mock pins for the node's real drivers, and a simulation of the beer line between them.

While the valve's pin is driven, and for a moment after that, beer flows and the meter's pin gives pulses. Tests and scenarios use
the methods and attributes of `SimulatedTap`, from any thread. While nothing can flow, the thread sleeps: a hundred taps at rest
cost almost nothing.
"""

import os
import signal
from collections.abc import Callable
from errno import EIO
from threading import Event, Lock, Thread
from typing import Any, Final

from gpiozero.pins.mock import MockFactory, MockPin

from tapwire_contracts.card_uid import normalize_card_uid
from tapwire_node.clock import monotonic_ms
from tapwire_node.hardware.reader import ReaderListener
from tapwire_node.hardware.settings import SimulatedHardware

VALVE_PIN: Final = 17
METER_PIN: Final = 27
SIMULATION_STEP_S: Final = 0.01
MS_ML_PER_PULSE_UNIT: Final = 1_000_000
"""ms × ml/s × pulses/l that make one pulse."""


class WatchedPin(MockPin):
    """A mock pin that reports each change of its level, on the thread that makes it; a dead one raises `OSError` instead."""

    def __init__(self, *arguments: Any) -> None:
        self.is_dead = False
        self.on_change: Callable[[bool], None] | None = None
        super().__init__(*arguments)

    def _change_state(self, value: bool) -> bool:  # the name is gpiozero's
        if self.is_dead:
            raise OSError(EIO, os.strerror(EIO))
        has_changed = bool(super()._change_state(value))
        if has_changed and self.on_change is not None:
            self.on_change(bool(value))
        return has_changed


class SimulatedReader:
    """A reader whose cards a program presents and removes."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._listener: ReaderListener | None = None
        self._card_uid: str | None = None
        self._fault: str | None = None

    @property
    def looked_ms(self) -> int:
        """Now: a simulated reader always looks."""
        return monotonic_ms()

    def start(self, listener: ReaderListener) -> None:
        """Report the present card, then each change."""
        with self._lock:
            self._listener = listener
            self._report()

    def end(self) -> None:
        """Stop reporting."""
        with self._lock:
            self._listener = None

    def present(self, card_uid: str) -> None:
        """Put a card on the reader; raises `InvalidCardUid`."""
        with self._lock:
            self._card_uid = normalize_card_uid(card_uid)
            self._report()

    def remove(self) -> None:
        """Remove the card."""
        with self._lock:
            self._card_uid = None
            self._report()

    def fail(self, text: str) -> None:
        """Break the reader: no card is reported until `recover`."""
        with self._lock:
            self._fault = text
            self._report()

    def recover(self) -> None:
        """Repair the reader."""
        with self._lock:
            self._fault = None
            if self._listener is not None:
                self._listener.reader_recovered()
            self._report()

    def _report(self) -> None:
        if self._listener is None:
            return
        if self._fault is not None:
            self._listener.reader_failed(self._fault)
        elif self._card_uid is None:
            self._listener.card_lifted()
        else:
            self._listener.card_seen(self._card_uid)


class SimulatedTap:
    """The mock pins, the reader and the beer line.

    `flow_ml_per_s` flows through the open valve, `leak_ml_per_s` through the closed one; `valve_sticks` keeps it open for ever.
    `on_pulses` is called with the meter's pulses, besides its pin.
    """

    def __init__(self, settings: SimulatedHardware) -> None:
        self.factory = MockFactory(pin_class=WatchedPin)
        self.reader = SimulatedReader()
        self.flow_ml_per_s = settings.flow_ml_per_s
        self.on_pulses: Callable[[int], None] | None = None
        self._leak_ml_per_s = 0
        self._valve_sticks = False
        self._pulses_per_liter = settings.pulses_per_liter
        self._closing_ms = settings.closing_ms
        self._opened_ms: int | None = None
        self._pulses = 0
        self._ended = Event()
        self._may_flow = Event()
        self._thread = Thread(target=self._flow, name="beer-line", daemon=True)
        self.factory.pin(VALVE_PIN).on_change = self._valve_changed

    @property
    def valve_is_driven(self) -> bool:
        """True while the node drives the valve open."""
        return bool(self.factory.pin(VALVE_PIN).state)

    @property
    def leak_ml_per_s(self) -> int:
        """Flow through the closed valve."""
        return self._leak_ml_per_s

    @leak_ml_per_s.setter
    def leak_ml_per_s(self, value: int) -> None:
        self._leak_ml_per_s = value
        self._may_flow.set()

    @property
    def valve_sticks(self) -> bool:
        """True when a valve that was opened stays open, driven or not."""
        return self._valve_sticks

    @valve_sticks.setter
    def valve_sticks(self, value: bool) -> None:
        self._valve_sticks = value
        self._may_flow.set()

    @property
    def flowed_ml(self) -> int:
        """The volume through the meter so far."""
        return self._pulses * 1_000 // self._pulses_per_liter

    def start(self) -> None:
        """Start the beer line."""
        self._thread.start()

    def end(self) -> None:
        """Stop the beer line; also before `start`."""
        self._ended.set()
        self._may_flow.set()
        if self._thread.is_alive():
            self._thread.join()

    def drive_valve(self, *, is_open: bool) -> None:
        """Set the valve's pin from outside, where no device of this process drives it."""
        pin = self.factory.pin(VALVE_PIN)
        if is_open:
            pin.drive_high()
        else:
            pin.drive_low()

    def cut_power(self) -> None:
        """Kill this process, as a power cut would: with it goes everything that is not on the disk."""
        os.kill(os.getpid(), signal.SIGKILL)

    def give_pulses(self, count: int) -> None:
        """Give pulses on the meter's pin."""
        pin = self.factory.pin(METER_PIN)
        for _ in range(count):
            pin.drive_high()
            pin.drive_low()
            self._pulses += 1
        pin.clear_states()  # the mock would keep every change for ever
        if count and self.on_pulses is not None:
            self.on_pulses(count)

    def _valve_changed(self, is_driven: bool) -> None:
        if not is_driven:
            self._opened_ms = monotonic_ms()
        self._may_flow.set()

    def _flow(self) -> None:
        units, before_ms = 0, monotonic_ms()
        while not self._ended.is_set():
            if self._is_at_rest(monotonic_ms()):
                self._may_flow.wait()
                before_ms = monotonic_ms()
            if self._ended.wait(SIMULATION_STEP_S):
                return
            now_ms = monotonic_ms()
            units += (now_ms - before_ms) * self._rate_ml_per_s(now_ms) * self._pulses_per_liter
            before_ms = now_ms
            pulses, units = divmod(units, MS_ML_PER_PULSE_UNIT)
            self.give_pulses(pulses)

    def _is_at_rest(self, now_ms: int) -> bool:
        """True when nothing can flow until something changes. A change sets `_may_flow`, so that is cleared first."""
        self._may_flow.clear()
        return not (self.valve_is_driven or self._is_open(now_ms) or self._leak_ml_per_s or self._ended.is_set())

    def _rate_ml_per_s(self, now_ms: int) -> int:
        if self.valve_is_driven:
            self._opened_ms = now_ms
        return self.flow_ml_per_s if self._is_open(now_ms) else self._leak_ml_per_s

    def _is_open(self, now_ms: int) -> bool:
        return self._opened_ms is not None and (now_ms - self._opened_ms <= self._closing_ms or self._valve_sticks)
