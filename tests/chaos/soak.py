"""`make soak MINUTES=n`: mixed load without faults, and the memory of each process in the first and the last quarter of it."""

import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean
from typing import Final, Self

from tapwire_core.commands.progress_line import progress_line
from tapwire_core.progress import Advance
from tapwire_demo.arguments import MakeParser, minutes_above_zero
from tests.chaos.__main__ import MIB, PATIENCE_S, S_PER_MINUTE, account
from tests.chaos.memory import Memory
from tests.chaos.monkey import Monkey
from tests.chaos.run import run_chaos
from tests.chaos.site import open_site

LOOKS: Final = 200
GROWS: Final = 1.2
"""A program that has this many times the memory in the last quarter is looked at."""
SMALL_MIB: Final = 5.0
"""Less growth than this is nothing."""


async def soak(minutes: float, taps: int, seed: int) -> int:
    """Run it, print the account, and say which program grew; 1 when one did, or the auditor found something."""
    seen: dict[str, list[Memory]] = defaultdict(list)
    with progress_line() as advance:
        advance("opening the bar", 0, 0)
        async with open_site(taps) as site:
            watch = partial(_watch, seconds=minutes * S_PER_MINUTE, seen=seen, advance=advance)
            outcome = await run_chaos(site, seed, watch, PATIENCE_S)
    print("\n".join(account(outcome)))
    print(f"\n{'':<12} {'first quarter':>32} {'last quarter':>32}")
    grown = []
    for name, looks in seen.items():
        quarter = max(len(looks) // 4, 1)
        first, last = Quarter.of(looks[:quarter]), Quarter.of(looks[-quarter:])
        print(f"{name:<12} {first!s:>32} {last!s:>32}")
        if last.mib > first.mib * GROWS and last.mib - first.mib > SMALL_MIB:
            grown.append(f"{name} grew from {first} to {last}")
    for finding in (*outcome.findings, *grown):
        print(f"FOUND {finding}")
    return 1 if outcome.findings or grown else 0


@dataclass(frozen=True, slots=True)
class Quarter:
    """A program's average memory in a quarter of the time."""

    mib: float
    processes: float

    @classmethod
    def of(cls, looks: Sequence[Memory]) -> Self:
        """Of at least one look."""
        return cls(mean(look.resident_bytes for look in looks) / MIB, mean(look.processes for look in looks))

    def __str__(self) -> str:
        return f"{self.mib:.1f} MiB" + (f" in {self.processes:.1f} processes" if self.processes > 1 else "")


async def _watch(monkey: Monkey, seconds: float, seen: dict[str, list[Memory]], advance: Advance) -> None:
    """Break nothing, and look at the memory now and then."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        advance("load", int(seconds - left), int(seconds))
        for name, memory in monkey.site.memory().items():
            seen[name].append(memory)
        await asyncio.sleep(seconds / LOOKS)
    advance("until all is at rest", 0, 0)


def main() -> int:
    """Read the command line."""
    parser = MakeParser(prog="make soak", description="Mixed load for long, and whether memory grows.")
    parser.add_argument("--minutes", type=minutes_above_zero, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--taps", type=int, default=16)
    arguments = parser.parse_args()
    return asyncio.run(soak(arguments.minutes, arguments.taps, arguments.seed))


if __name__ == "__main__":
    sys.exit(main())
