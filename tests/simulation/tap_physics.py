"""The physics of a tap: a valve, a line, a meter. It knows no rule, and tells only the auditor what flows."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from tests.simulation.auditor import Auditor
from tests.simulation.virtual import Clock

TAIL_MS: Final = 3_400
"""Time after closing for which flow may still be that pour's: the node's tail, and a tick."""


@dataclass(slots=True)
class Plumbing:
    """One tap's. Rates are in millilitres a second; a pulse is a millilitre.

    `draw` flows while the valve lets it, `leak` always; without power the valve closes by its spring, and nothing is counted.
    """

    path: str
    clock: Clock
    auditor: Auditor
    powered: bool = False
    pulses: int = 0
    open_for: UUID | None = None
    closed_for: UUID | None = None
    closed_ms: int = 0
    stuck: bool = False
    draw: int = 0
    leak: int = 0
    dripping: int = 0
    _since_ms: int = 0
    _thousandths: int = 0

    @property
    def is_open(self) -> bool:
        """True while the valve lets beer through."""
        return self.powered and (self.open_for is not None or (self.stuck and self.closed_for is not None))

    def flow(self) -> int:
        """Let what has flowed since the last look go through the meter; the meter's count."""
        rate = (self.draw if self.is_open else self.dripping) + self.leak if self.powered else 0
        parts = self._thousandths + rate * (self.clock.now_ms - self._since_ms)
        flowed_ml, self._thousandths = divmod(parts, 1_000)
        self._since_ms = self.clock.now_ms
        if flowed_ml:
            self.pulses += flowed_ml
            in_tail = self.closed_for is not None and self.clock.now_ms - self.closed_ms <= TAIL_MS
            self.auditor.flowed(self.path, flowed_ml, self.open_for, self.closed_for if in_tail else None)
        return self.pulses

    def open(self, pour_id: UUID) -> None:
        """The node opens the valve."""
        self.flow()
        self.open_for = pour_id

    def close(self) -> None:
        """The node closes the valve; a stuck one stays open, and a line drips for a moment."""
        self.flow()
        if self.open_for is not None:
            self.closed_for, self.closed_ms, self.open_for = self.open_for, self.clock.now_ms, None
            self.dripping = 10 if self.draw else 0
            self.clock.after(300, self._stop_dripping)

    def _stop_dripping(self) -> None:
        self.flow()
        self.dripping = 0

    def set_draw(self, rate: int) -> None:
        """The guest's hand on the tap."""
        self.flow()
        self.draw = rate

    def set_leak(self, rate: int) -> None:
        """A worn seal."""
        self.flow()
        self.leak = rate

    def get_stuck(self) -> None:
        """The valve does not close any more."""
        self.flow()
        self.stuck = True

    def repair(self) -> None:
        """The valve closes again, and nothing leaks."""
        self.flow()
        self.stuck, self.leak = False, 0

    def set_power(self, *, on: bool) -> None:
        """Power comes and goes; the meter counts from nothing on."""
        self.flow()
        self.powered, self.open_for, self.closed_for, self.dripping = on, None, None, 0
        self.pulses = 0
