"""Conversion of pulses to millilitres without drift.

A flow meter gives pulses per LITRE (a YF-S201: 450), so one pulse is rarely a whole number of millilitres. The odometer adds whole
millilitres and keeps the remainder, in units of 1/`pulses_per_liter` ml, for the next pulse: the sum never drifts from the count. A
new factor applies to later pulses only.
"""

from dataclasses import dataclass, replace
from typing import Final, Self

ML_PER_LITER: Final = 1_000


@dataclass(frozen=True, slots=True)
class Odometer:
    """The volume through the meter since the journal began.

    `ml` is whole millilitres, `remainder` the rest in units of 1/`pulses_per_liter` ml, `pulses` the meter's count that has been
    converted.
    """

    ml: int
    remainder: int
    pulses: int
    pulses_per_liter: int

    def advance(self, pulses: int) -> Self:
        """Convert the pulses up to this count; a count that is not higher changes nothing."""
        if pulses <= self.pulses:
            return self
        parts = self.remainder + (pulses - self.pulses) * ML_PER_LITER
        more_ml, remainder = divmod(parts, self.pulses_per_liter)
        return replace(self, ml=self.ml + more_ml, remainder=remainder, pulses=pulses)

    def recalibrate(self, pulses_per_liter: int) -> Self:
        """Use another factor from now on; the remainder keeps its volume, rounded down."""
        remainder = self.remainder * pulses_per_liter // self.pulses_per_liter
        return replace(self, pulses_per_liter=pulses_per_liter, remainder=remainder)
