"""The valve: normally closed, so that no drive means no flow, with a dead man's switch.

Only the controller's effects open and close it. Should the process stop looking after an open valve (a hung loop, a blocked log), a
thread of the valve's own closes it and says so.
"""

from collections.abc import Callable
from threading import Condition, Thread
from typing import Final

from gpiozero import OutputDevice

from tapwire_node.clock import monotonic_ms

MS_PER_S: Final = 1_000


class Valve:
    """One output pin. `on_tripped` is called on the watchdog's thread, after it has closed the valve."""

    def __init__(self, device: OutputDevice, watchdog_ms: int, on_tripped: Callable[[], None]) -> None:
        self._device = device
        self._watchdog_ms = watchdog_ms
        self._on_tripped = on_tripped
        self._changed = Condition()
        self._looked_after_ms: int | None = None
        self._ended = False
        self._thread = Thread(target=self._watch, name="valve-watchdog", daemon=True)
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """Whether the pin is driven."""
        return bool(self._device.value)

    def open(self) -> None:
        """Drive the pin; from now on `look_after` must be called again and again."""
        with self._changed:
            if self._ended:
                return
            self._looked_after_ms = monotonic_ms()
            self._device.on()
            self._changed.notify()

    def look_after(self) -> None:
        """Say that the process still watches the flow."""
        with self._changed:
            if self._looked_after_ms is not None:
                self._looked_after_ms = monotonic_ms()

    def close(self) -> None:
        """Stop driving the pin."""
        with self._changed:
            self._looked_after_ms = None
            self._device.off()

    def end(self) -> None:
        """Close for good and let go of the pin."""
        with self._changed:
            self._ended = True
            self._looked_after_ms = None
            self._device.off()
            self._device.close()
            self._changed.notify()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._ended:
                    return
                opened_ms = self._looked_after_ms
                if opened_ms is None:
                    self._changed.wait()
                    continue
                left_ms = opened_ms + self._watchdog_ms - monotonic_ms()
                if left_ms > 0:
                    self._changed.wait(left_ms / MS_PER_S)
                    continue
                self._looked_after_ms = None
                self._device.off()
            self._on_tripped()
