"""The valve: normally closed, so that no drive means no flow, with a dead man's switch.

Only the controller's effects open and close it. Should the process stop looking after an open valve (a hung loop, a blocked log),
or should its pin not take what is written, a thread of the valve's own closes it, tries until it is closed, and says so.
"""

import logging
from collections.abc import Callable
from threading import Condition, Thread
from typing import Final, Protocol

from gpiozero import OutputDevice

from tapwire_node.clock import monotonic_ms

RETRY_MS: Final = 200
"""Between two tries to close a valve whose pin can't be written."""
GIVE_UP_MS: Final = 5_000
"""For how long this process is the one to try: what flowed is reported by then, and one that takes the pin anew may close it."""
MS_PER_S: Final = 1_000
logger: Final = logging.getLogger(__name__)


class ValveStuck(Exception):
    """The valve's pin can't be written by this process; the valve may be open."""


class ValveListener(Protocol):
    """Who hears of the valve; may be called on any thread, and must not wait."""

    def valve_tripped(self) -> None:
        """It was closed because nobody looked after it."""

    def valve_failed(self, text: str) -> None:
        """Its pin can't be written: whatever it was to be, it is closed as soon as that works."""

    def valve_recovered(self) -> None:
        """Its pin could be written again, and it is closed."""


class NoListener:
    """For programs that only look, or only close: nobody hears of the valve."""

    def valve_tripped(self) -> None:
        """Nothing follows."""

    def valve_failed(self, text: str) -> None:
        """Nothing follows but the log."""

    def valve_recovered(self) -> None:
        """Nothing follows."""


class Valve:
    """One output pin. It has to be closed by `_close_by_ms`, which is None only while it is known to be closed."""

    def __init__(self, device: OutputDevice, watchdog_ms: int, listener: ValveListener) -> None:
        self._device = device
        self._watchdog_ms = watchdog_ms
        self._listener = listener
        self._changed = Condition()
        self._close_by_ms: int | None = None
        self._failed_ms: int | None = None
        self._ended = False
        self._thread = Thread(target=self._watch, name="valve-watchdog", daemon=True)
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """Whether the pin is driven."""
        return bool(self._device.value)

    def open(self) -> None:
        """Drive the pin; from now on `feed_watchdog` must be called again and again."""
        with self._changed:
            if self._ended:
                return
            self._close_by_ms = monotonic_ms() + self._watchdog_ms
            if not self._write(self._device.on):
                self._close_by_ms = monotonic_ms()
            self._changed.notify()

    def feed_watchdog(self) -> None:
        """Say that the process still watches the flow; it puts nothing off that is overdue. Raises `ValveStuck`."""
        with self._changed:
            now_ms = monotonic_ms()
            if self._failed_ms is not None and now_ms - self._failed_ms >= GIVE_UP_MS:
                raise ValveStuck(f"the valve's pin could not be written for {GIVE_UP_MS} ms")
            if self._close_by_ms is not None and now_ms < self._close_by_ms:
                self._close_by_ms = now_ms + self._watchdog_ms

    def close(self) -> None:
        """Stop driving the pin; what does not work is tried again by the watchdog."""
        with self._changed:
            self._shut()
            self._changed.notify()

    def end(self) -> None:
        """Close for good and let go of the pin."""
        with self._changed:
            self._ended = True
            self._shut()
            self._write(self._device.close)
            self._changed.notify()
        self._thread.join()

    def _shut(self) -> bool:
        """Whether it is closed now; otherwise it is overdue."""
        self._close_by_ms = monotonic_ms()
        if not self._write(self._device.off):
            return False
        self._close_by_ms = None
        if self._failed_ms is not None:
            self._failed_ms = None
            self._listener.valve_recovered()
        return True

    def _write(self, write: Callable[[], None]) -> bool:
        """Whether the pin took it. Whatever a pin's library raises must end neither the watchdog nor who else closes the valve."""
        try:
            write()
        except Exception as error:
            logger.exception("the valve's pin can't be written")
            if self._failed_ms is None:
                self._failed_ms = monotonic_ms()
                self._listener.valve_failed(f"its pin can't be written: {error}")
            return False
        return True

    def _watch(self) -> None:
        with self._changed:
            while not self._ended:
                if self._close_by_ms is None:
                    self._changed.wait()
                elif (left_ms := self._close_by_ms - monotonic_ms()) > 0:
                    self._changed.wait(left_ms / MS_PER_S)
                else:
                    self._close_overdue()

    def _close_overdue(self) -> None:
        is_abandoned = self._failed_ms is None
        if not self._shut():
            self._changed.wait(RETRY_MS / MS_PER_S)
        elif is_abandoned:
            self._listener.valve_tripped()
