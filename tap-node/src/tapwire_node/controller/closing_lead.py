"""The closing lead: a valve takes a moment to close, so it is told to close that much before the cap is reached.

The closing time is learned from each closing as tail ÷ flow rate, in ms: the tail in ml depends on how far the guest has opened the
tap, the time does not. The median of the last `REMEMBERED_CLOSINGS` counts, so that one odd closing (a hand on the lever at that
moment) changes nothing; a time above `closing_max_ms` means a valve that does not close, and is ignored.

The lead only ever closes earlier, by at most `closing_lead_max_ml`. Nothing is subtracted from the count: the tail belongs to its
pour.
"""

from dataclasses import dataclass, replace
from typing import Final, Self

from tapwire_node.controller.flow_facts import Closing
from tapwire_node.controller.limits import Limits

REMEMBERED_CLOSINGS: Final = 5
RATE_WINDOW_MS: Final = 250
"""The flow rate is measured over one to two of these windows."""
MIN_RATE_ML: Final = 5
"""With less than this in the measured time, the flow rate is too uncertain to learn from."""


@dataclass(frozen=True, slots=True)
class FlowRate:
    """Two earlier readings of the odometer; the rate is measured from the earlier one to now."""

    earlier_ms: int
    earlier_ml: int
    later_ms: int
    later_ml: int

    @classmethod
    def begin(cls, now_ms: int, odometer_ml: int) -> Self:
        """Start with a rate of 0."""
        return cls(now_ms, odometer_ml, now_ms, odometer_ml)

    def sample(self, now_ms: int, odometer_ml: int) -> Self:
        """Add a reading once the window is over, and drop the oldest one."""
        if now_ms - self.later_ms < RATE_WINDOW_MS:
            return self
        return replace(self, earlier_ms=self.later_ms, earlier_ml=self.later_ml, later_ms=now_ms, later_ml=odometer_ml)

    def volume_in(self, ms: int, now_ms: int, odometer_ml: int) -> int:
        """The volume in ml that flows in `ms` at the present rate, rounded down."""
        return (odometer_ml - self.earlier_ml) * ms // max(1, now_ms - self.earlier_ms)

    def duration_of(self, ml: int, now_ms: int, odometer_ml: int) -> int | None:
        """The time in ms that `ml` take at the present rate, rounded half up; None when the rate is too uncertain."""
        flowed_ml = odometer_ml - self.earlier_ml
        if flowed_ml < MIN_RATE_ML:
            return None
        return (2 * ml * max(1, now_ms - self.earlier_ms) + flowed_ml) // (2 * flowed_ml)


@dataclass(frozen=True, slots=True)
class ClosingPoint:
    """The moment at which the valve was told to close: time, odometer and flow rate."""

    at_ms: int
    odometer_ml: int
    flow_rate: FlowRate


def closing_lead_ml(closings: tuple[int, ...], flow_rate: FlowRate, limits: Limits, now_ms: int, odometer_ml: int) -> int:
    """The volume expected to flow after a closing now, by the last closing times in ms."""
    if not closings:
        return 0
    middle_ms = sorted(closings)[(len(closings) - 1) // 2]
    return min(flow_rate.volume_in(middle_ms, now_ms, odometer_ml), limits.closing_lead_max_ml)


def is_cap_reached(volume_ml: int, cap_ml: int, lead: int) -> bool:
    """True when the valve must close now to meet the cap. At least 1 ml flows, however small the cap."""
    return volume_ml >= max(1, cap_ml - lead)


def measure_closing(closing_point: ClosingPoint, odometer_ml: int, over_ml: int | None, limits: Limits) -> Closing:
    """Measure a closing once its tail has ended; `over_ml` is None unless the cap ended it."""
    tail_ml = odometer_ml - closing_point.odometer_ml
    latency_ms = closing_point.flow_rate.duration_of(tail_ml, closing_point.at_ms, closing_point.odometer_ml)
    if latency_ms is not None and latency_ms > limits.closing_max_ms:
        latency_ms = None
    return Closing(tail_ml=tail_ml, over_ml=over_ml, latency_ms=latency_ms)


def learn_closing(closings: tuple[int, ...], closing: Closing) -> tuple[int, ...]:
    """Add the closing time, if it could be measured, and keep the last `REMEMBERED_CLOSINGS`."""
    if closing.latency_ms is None:
        return closings
    return (*closings, closing.latency_ms)[-REMEMBERED_CLOSINGS:]


def closing_summary(closing: Closing) -> str:
    """The closing as one line for the log."""
    over = "" if closing.over_ml is None else f", {closing.over_ml:+d} ml against the cap"
    learned = "" if closing.latency_ms is None else f", the valve took {closing.latency_ms} ms"
    return f"{closing.tail_ml} ml after closing{over}{learned}"
