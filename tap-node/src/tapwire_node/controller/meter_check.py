"""Plausibility check of the flow meter: pulses faster than it can give are a fault (a wet plug, a valve's sparks, a broken sensor).

The counted volume stays counted and is reported, with its pour or as unattributed flow, but no cap can rely on it. So an open valve
closes in the same step, and the tap is in FAULT until the meter has been plausible for `meter_recovery_ms`.
"""

from dataclasses import dataclass, replace
from typing import Final

from tapwire_node.controller.effects import LogLine, RaiseAlarm
from tapwire_node.controller.events import Moment, Part
from tapwire_node.controller.limits import Limits

ML_MS_PER_L_S: Final = 1_000_000
"""ml/s × pulses/l × ms that make one pulse."""


@dataclass(frozen=True, slots=True)
class PulseWindow:
    """The time window over which pulses are counted; `last_excess_ms` is the last excess, None while the meter has no fault."""

    since_ms: int
    since_pulses: int
    last_excess_ms: int | None = None


def check_meter(
    race: PulseWindow, faults: frozenset[Part], limits: Limits, pulses_per_liter: int, at: Moment
) -> tuple[PulseWindow, frozenset[Part], tuple[RaiseAlarm | LogLine, ...]]:
    """Compare the pulses of the window with the possible ones; return the next window, the faults, and what to tell."""
    elapsed_ms, pulses = at.now_ms - race.since_ms, at.pulses - race.since_pulses
    allowed = limits.meter_max_ml_per_s * pulses_per_liter * max(elapsed_ms, limits.meter_window_ms)
    if pulses * ML_MS_PER_L_S > allowed:
        race = PulseWindow(at.now_ms, at.pulses, last_excess_ms=at.now_ms)
        if Part.METER in faults:
            return race, faults, ()
        text = (
            f"meter: {pulses} pulses in {elapsed_ms} ms are more than {limits.meter_max_ml_per_s} ml a second,"
            " which is impossible: check the meter's plug and cable, or limits.meter_max_ml_per_s"
        )
        return race, faults | {Part.METER}, (RaiseAlarm(text),)
    if elapsed_ms >= limits.meter_window_ms:
        race = replace(race, since_ms=at.now_ms, since_pulses=at.pulses)
    if race.last_excess_ms is None or at.now_ms - race.last_excess_ms < limits.meter_recovery_ms:
        return race, faults, ()
    return replace(race, last_excess_ms=None), faults - {Part.METER}, (LogLine("the meter is plausible again"),)
