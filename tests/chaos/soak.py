"""`make soak MINUTES=n`: mixed load without faults, and the memory of each process in the first and the last quarter of it."""

import argparse
import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Final

from tests.chaos.__main__ import MIB, PATIENCE_S, S_PER_MINUTE, account
from tests.chaos.monkey import Monkey
from tests.chaos.run import run_chaos
from tests.chaos.site import Site, open_site

LOOKS: Final = 200
GROWS: Final = 1.2
"""A process that has this many times the memory in the last quarter is looked at."""
SMALL_BYTES: Final = 5 * MIB
"""Less growth than this is nothing."""


async def soak(minutes: float, taps: int, seed: int) -> int:
    """Run it, print the account, and say which process grew; 1 when one did, or the auditor found something."""
    sizes: dict[str, list[int]] = defaultdict(list)
    async with open_site(taps) as site:
        outcome = await run_chaos(site, seed, lambda monkey: _watch(monkey, minutes * S_PER_MINUTE, sizes), PATIENCE_S)
    print("\n".join(account(outcome)))
    print(f"\n{'process':<12} {'first quarter':>14} {'last quarter':>14}")
    grown = []
    for name, (first, last) in quarters(sizes).items():
        print(f"{name:<12} {first / MIB:10.1f} MiB {last / MIB:10.1f} MiB")
        if last > first * GROWS and last - first > SMALL_BYTES:
            grown.append(f"{name} grew from {first / MIB:.1f} to {last / MIB:.1f} MiB")
    for finding in (*outcome.findings, *grown):
        print(f"FOUND {finding}")
    return 1 if outcome.findings or grown else 0


def quarters(sizes: Mapping[str, Sequence[int]]) -> dict[str, tuple[float, float]]:
    """The mean of each process's first and last quarter."""
    return {name: (mean(seen[: max(len(seen) // 4, 1)]), mean(seen[-max(len(seen) // 4, 1) :])) for name, seen in sizes.items()}


async def _watch(monkey: Monkey, seconds: float, sizes: dict[str, list[int]]) -> None:
    """Break nothing, and look at the memory now and then."""
    site: Site = monkey.site
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for name, size in site.resident_bytes().items():
            sizes[name].append(size)
        await asyncio.sleep(seconds / LOOKS)


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make soak", description="Mixed load for long, and whether memory grows.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--taps", type=int, default=16)
    arguments = parser.parse_args()
    return asyncio.run(soak(arguments.minutes, arguments.taps, arguments.seed))


if __name__ == "__main__":
    sys.exit(main())
