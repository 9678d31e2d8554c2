"""The valve, normally closed, with a watchdog.

The controller's effects open and close it. If the process stops feeding the watchdog of an open valve (a hung loop, a blocked log),
or if the pin can't be written, the watchdog's thread closes the valve, tries until it is closed, and reports it.
"""

import logging
from collections.abc import Callable
from threading import Condition, Thread
from typing import Final, Protocol

from gpiozero import OutputDevice

from tapwire_node.clock import monotonic_ms

RETRY_MS: Final = 200
"""Pause between two tries to close a valve whose pin can't be written."""
GIVE_UP_MS: Final = 5_000
"""After failing for this long the process ends: the flow is reported by then, and a new process may be able to take the pin."""
MS_PER_S: Final = 1_000
logger: Final = logging.getLogger(__name__)


class ValveStuck(Exception):
    """This process can't write the valve's pin; the valve may be open."""


class ValveListener(Protocol):
    """Listener of the valve's events; called on any thread, and must not block."""

    def valve_tripped(self) -> None:
        """The watchdog closed the valve, as nobody fed it."""

    def valve_failed(self, text: str) -> None:
        """The pin can't be written; the valve will be closed as soon as it can."""

    def valve_recovered(self) -> None:
        """The pin could be written again, and the valve is closed."""


class NoListener:
    """A listener that ignores everything, for programs that only check or only close the valve."""

    def valve_tripped(self) -> None:
        """Do nothing."""

    def valve_failed(self, text: str) -> None:
        """Do nothing; the failure is logged."""

    def valve_recovered(self) -> None:
        """Do nothing."""


class Valve:
    """The valve on one output pin. `_close_by_ms` is the watchdog's deadline, None only while the valve is known to be closed."""

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
        """True while the pin is driven."""
        return bool(self._device.value)

    def open(self) -> None:
        """Open the valve; from now on `feed_watchdog` must be called within each `watchdog_ms`."""
        with self._changed:
            if self._ended:
                return
            self._close_by_ms = monotonic_ms() + self._watchdog_ms
            if not self._write(self._device.on):
                self._close_by_ms = monotonic_ms()
            self._changed.notify()

    def feed_watchdog(self) -> None:
        """Extend the watchdog's deadline, unless it has passed. Raises `ValveStuck`."""
        with self._changed:
            now_ms = monotonic_ms()
            if self._failed_ms is not None and now_ms - self._failed_ms >= GIVE_UP_MS:
                raise ValveStuck(f"the valve's pin could not be written for {GIVE_UP_MS} ms")
            if self._close_by_ms is not None and now_ms < self._close_by_ms:
                self._close_by_ms = now_ms + self._watchdog_ms

    def close(self) -> None:
        """Close the valve; the watchdog retries a failure."""
        with self._changed:
            self._try_close()
            self._changed.notify()

    def end(self) -> None:
        """Close the valve for good and release the pin."""
        with self._changed:
            self._ended = True
            self._try_close()
            self._write(self._device.close)
            self._changed.notify()
        self._thread.join()

    def _try_close(self) -> bool:
        """Close the valve; return False, with the deadline passed, if that failed."""
        self._close_by_ms = monotonic_ms()
        if not self._write(self._device.off):
            return False
        self._close_by_ms = None
        if self._failed_ms is not None:
            self._failed_ms = None
            self._listener.valve_recovered()
        return True

    def _write(self, write: Callable[[], None]) -> bool:
        """Write the pin and return success. No exception of the library may end the watchdog or another caller."""
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
        was_unfed = self._failed_ms is None
        if not self._try_close():
            self._changed.wait(RETRY_MS / MS_PER_S)
        elif was_unfed:
            self._listener.valve_tripped()
