"""The flow meter: pulses, counted into an int by the thread that sees the pin.

Which thread that is depends on the pin factory: a mock pin calls in the thread that drives it, real pins in one of the library's.
"""

from threading import Lock

from gpiozero import DigitalInputDevice


class FlowMeter:
    """One input pin. Millilitres are made of its count by `controller.odometer`."""

    def __init__(self, device: DigitalInputDevice) -> None:
        self._device = device
        self._pulses = 0
        self._counting = Lock()
        device.when_activated = self._count

    @property
    def pulses(self) -> int:
        """Pulses since the start of the process; it only grows."""
        return self._pulses

    def end(self) -> None:
        """Count no more and let go of the pin."""
        self._device.close()

    def _count(self) -> None:
        with self._counting:
            self._pulses += 1
