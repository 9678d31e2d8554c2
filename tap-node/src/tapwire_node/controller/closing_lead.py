"""The closing lead: a valve needs a moment to close, so it is told to close that moment before the cap is reached.

How long that moment is, the node learns from what flows after each closing: tail ÷ rate, in milliseconds, because a tail in
millilitres depends on how far the guest has opened the tap. The middle one of the last `REMEMBERED_CLOSINGS` counts, so that one
odd closing (a hand on the lever at the same moment) changes nothing; a tail as of a valve that does not close teaches nothing.

A lead only ever closes earlier, and is at most `closing_lead_max_ml`: with it no pour gets more than without it, and none gets
noticeably less. Nothing is ever subtracted from what is counted: the tail belongs to its pour.
"""

from dataclasses import dataclass, replace
from typing import Final, Self

from tapwire_node.controller.flow_facts import Closing
from tapwire_node.controller.limits import Limits

REMEMBERED_CLOSINGS: Final = 5
RATE_WINDOW_MS: Final = 250
"""The rate is taken over one to two of these."""
MIN_RATE_ML: Final = 5
"""Less than this in the time over which the rate is taken is no rate to learn from."""


@dataclass(frozen=True, slots=True)
class FlowRate:
    """Where the odometer stood at two moments before now: the rate is taken from the earlier one on."""

    earlier_ms: int
    earlier_ml: int
    later_ms: int
    later_ml: int

    @classmethod
    def begin(cls, now_ms: int, odometer_ml: int) -> Self:
        """Nothing is known of the rate yet."""
        return cls(now_ms, odometer_ml, now_ms, odometer_ml)

    def sample(self, now_ms: int, odometer_ml: int) -> Self:
        """Forget what lies too far back."""
        if now_ms - self.later_ms < RATE_WINDOW_MS:
            return self
        return replace(self, earlier_ms=self.later_ms, earlier_ml=self.later_ml, later_ms=now_ms, later_ml=odometer_ml)

    def volume_in(self, ms: int, now_ms: int, odometer_ml: int) -> int:
        """How many ml flow in this time at the rate of now, rounded down."""
        return (odometer_ml - self.earlier_ml) * ms // max(1, now_ms - self.earlier_ms)

    def duration_of(self, ml: int, now_ms: int, odometer_ml: int) -> int | None:
        """How many ms this volume takes at the rate of now, rounded half up; None when too little flows to say."""
        flowed_ml = odometer_ml - self.earlier_ml
        if flowed_ml < MIN_RATE_ML:
            return None
        return (2 * ml * max(1, now_ms - self.earlier_ms) + flowed_ml) // (2 * flowed_ml)


@dataclass(frozen=True, slots=True)
class ClosingPoint:
    """The moment at which the valve was told to close: where the odometer stood, and how fast it went."""

    at_ms: int
    odometer_ml: int
    flow_rate: FlowRate


def closing_lead_ml(closings: tuple[int, ...], flow_rate: FlowRate, limits: Limits, now_ms: int, odometer_ml: int) -> int:
    """How much will flow after a closing now, by what the last closings (in ms) have taught."""
    if not closings:
        return 0
    middle_ms = sorted(closings)[(len(closings) - 1) // 2]
    return min(flow_rate.volume_in(middle_ms, now_ms, odometer_ml), limits.closing_lead_max_ml)


def is_cap_reached(volume_ml: int, cap_ml: int, lead: int) -> bool:
    """Whether a closing now meets the cap. At least one millilitre flows, however small the cap."""
    return volume_ml >= max(1, cap_ml - lead)


def measure_closing(closing_point: ClosingPoint, odometer_ml: int, over_ml: int | None, limits: Limits) -> Closing:
    """What the closing was like, now that its tail has ended; `over_ml` where a cap ended it."""
    tail_ml = odometer_ml - closing_point.odometer_ml
    latency_ms = closing_point.flow_rate.duration_of(tail_ml, closing_point.at_ms, closing_point.odometer_ml)
    if latency_ms is not None and latency_ms > limits.closing_max_ms:
        latency_ms = None
    return Closing(tail_ml=tail_ml, over_ml=over_ml, latency_ms=latency_ms)


def learn_closing(closings: tuple[int, ...], closing: Closing) -> tuple[int, ...]:
    """The last closings, this one included if it teaches anything."""
    if closing.latency_ms is None:
        return closings
    return (*closings, closing.latency_ms)[-REMEMBERED_CLOSINGS:]


def closing_summary(closing: Closing) -> str:
    """One line for the log."""
    over = "" if closing.over_ml is None else f", {closing.over_ml:+d} ml against the cap"
    learned = "" if closing.latency_ms is None else f", the valve took {closing.latency_ms} ms"
    return f"{closing.tail_ml} ml after closing{over}{learned}"
