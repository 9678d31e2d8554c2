"""The monotonic clock, for durations, and the time of day, which is only ever information."""

import time
from datetime import UTC, datetime, timedelta

NS_PER_MS = 1_000_000


def monotonic_ms() -> int:
    """Milliseconds of a clock that never goes back and counts suspend; not comparable across reboots."""
    return time.clock_gettime_ns(_CLOCK) // NS_PER_MS


class TimeOfDay:
    """The wall clock. A simulator may make it wrong by `wrong_by_s`, as that of a Pi without a battery is."""

    def __init__(self) -> None:
        self.wrong_by_s = 0

    def now(self) -> datetime:
        """The time of day in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.wrong_by_s)


TIME_OF_DAY = TimeOfDay()


def wall_clock() -> str:
    """The time of day, RFC 3339 in UTC: information only."""
    return TIME_OF_DAY.now().isoformat(timespec="milliseconds")


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
