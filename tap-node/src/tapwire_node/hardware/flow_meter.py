"""The flow meter: pulses, counted into an int by the thread that sees the pin."""

from gpiozero import DigitalInputDevice


class FlowMeter:
    """One input pin. Millilitres are made of its count by `controller.odometer`."""

    def __init__(self, device: DigitalInputDevice) -> None:
        self._device = device
        self._pulses = 0
        device.when_activated = self._count

    @property
    def pulses(self) -> int:
        """Pulses since the start of the process; it only grows."""
        return self._pulses

    def end(self) -> None:
        """Count no more and let go of the pin."""
        self._device.close()

    def _count(self) -> None:
        self._pulses += 1
