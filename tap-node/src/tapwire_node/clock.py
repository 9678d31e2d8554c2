"""Time for durations: monotonic, and counting while the machine sleeps."""

import time
from datetime import UTC, datetime

NS_PER_MS = 1_000_000


def monotonic_ms() -> int:
    """Milliseconds of a clock that never goes back and counts suspend; it has no meaning across reboots."""
    return time.clock_gettime_ns(_CLOCK) // NS_PER_MS


def wall_clock() -> str:
    """The time of day, RFC 3339 in UTC: information only."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
