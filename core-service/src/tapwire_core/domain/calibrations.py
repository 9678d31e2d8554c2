"""A meter's pulses per litre, corrected by a measured volume (SYSTEM.md, "Cleaning and calibration"). Pure."""

from typing import Final

from msgspec import Struct

PER_MILLE: Final = 1_000
MIN_MEASURED_ML: Final = 100
"""A smaller volume can't be read precisely enough."""
FACTORS: Final = range(1, 1_000_001)
"""Pulses per litre that a meter may have."""


class Measurement(Struct, frozen=True):
    """What the meter counted of a volume that was measured otherwise, with this factor."""

    reference_ml: int
    metered_ml: int
    pulses_per_liter: int

    @property
    def corrected(self) -> int:
        """The factor with which the meter would have counted the measured volume, rounded half up."""
        return (2 * self.pulses_per_liter * self.metered_ml + self.reference_ml) // (2 * self.reference_ml)

    @property
    def error_per_mille(self) -> int:
        """How much more the meter showed than there was."""
        return error_per_mille(self.metered_ml, self.reference_ml)


def error_per_mille(shown: int, true: int) -> int:
    """How much more is shown than is true, in thousandths of it, rounded to the nearest, halves away from zero."""
    difference = shown - true
    rounded = (2 * abs(difference) * PER_MILLE + true) // (2 * true)
    return rounded if difference >= 0 else -rounded
