"""Processor time of processes, and statistics of latencies."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Use:
    """Processor time in seconds since a process began, and its resident memory in bytes, with its children."""

    cpu_s: float
    resident_bytes: int

    @classmethod
    def of(cls, pids: Iterable[int]) -> "Use":
        """Of these processes, with all that they have started."""
        cpu_s, resident = 0.0, 0
        for pid in pids:
            first = psutil.Process(pid)
            for process in [first, *first.children(recursive=True)]:
                try:
                    times = process.cpu_times()
                    resident += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
                cpu_s += times.user + times.system
            ended = first.cpu_times()
            cpu_s += ended.children_user + ended.children_system
        return cls(cpu_s, resident)


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of latencies, in milliseconds."""

    p50_ms: float
    p95_ms: float
    p99_ms: float

    @classmethod
    def of(cls, latencies_ms: Sequence[float]) -> "Spread":
        """Of at least one latency; of none, all is 0."""
        ordered = sorted(latencies_ms) or [0.0]
        return cls(*(round(ordered[min(len(ordered) * percent // 100, len(ordered) - 1)], 2) for percent in (50, 95, 99)))


def cpu_between(before: Mapping[str, Use], after: Mapping[str, Use], count: int) -> dict[str, float]:
    """Processor time that each took for one of `count`, in milliseconds."""
    return {name: round((after[name].cpu_s - before[name].cpu_s) * 1_000 / max(count, 1), 2) for name in after}


def ratio_by_turns(values: Iterable[float], others: Iterable[float], digits: int = 2) -> float:
    """The median of each turn's value over the other one of the same turn."""
    return round(statistics.median(value / other for value, other in zip(values, others, strict=True)), digits)
