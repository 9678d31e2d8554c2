"""The flow meter: a count of pulses.

The pin factory decides which thread counts: a mock pin calls in the thread that drives it, real pins in one of the library's.
"""

from threading import Lock

from gpiozero import DigitalInputDevice


class FlowMeter:
    """The meter on one input pin; `controller.odometer` converts its count to ml."""

    def __init__(self, device: DigitalInputDevice) -> None:
        self._device = device
        self._pulses = 0
        self._counting = Lock()
        device.when_activated = self._count

    @property
    def pulses(self) -> int:
        """Pulses since the start of the process; never decreases."""
        return self._pulses

    def end(self) -> None:
        """Stop counting and release the pin."""
        self._device.close()

    def _count(self) -> None:
        with self._counting:
            self._pulses += 1
