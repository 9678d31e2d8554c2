"""One poisoned device, and how the others are served beside it: `make poison [SECONDS=n]` prints how much slower they are.

The device floods what can't be read, or replays old messages of another tap under its own name. It can't write on another's topics:
the broker's rules see to that.
"""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median
from typing import Final

from tapwire_core.commands.progress_line import progress_line
from tapwire_core.progress import Advance
from tapwire_demo.arguments import MakeParser, seconds_above_zero
from tapwire_demo.programs import Program
from tests.chaos.first_data import FLOODER
from tests.chaos.load import LoadTap
from tests.chaos.programs import KeptProgram
from tests.chaos.site import LOOK_S, READY_S, Site, Stranger, open_site

TAPS: Final = 8
PAUSE_S: Final = 0.1
"""Between two cycles of a tap, so that the machine is not at its limit before the flood begins."""
PER_SECOND: Final = 1_000
"""The poisoned device's rate: some two hundred times an honest one's."""
WARM_S: Final = 3.0
TURNS: Final = 5
"""Number of switches of each kind."""
MS_PER_S: Final = 1_000
KINDS: Final = ("garbage", "replay")


@asynccontextmanager
async def poisoned(site: Site, kind: str, victim: Stranger) -> AsyncIterator[KeptProgram]:
    """A device that publishes nonsense during the block, from a process of its own."""
    secret = site.broker.account(str(FLOODER)).password
    arguments = (str(site.broker.device_port), secret, kind, victim.card_uid, str(victim.path), str(PER_SECOND))
    flooder = KeptProgram(Program(f"flooder-{kind}", ("tests.chaos.flooder", *arguments), {}), site.folder)
    async with flooder.kept():
        await _until_heard(site)
        yield flooder
        assert flooder.starts == 1, flooder.log()


async def _until_heard(site: Site) -> None:
    """Wait until the core has heard something more of the device."""
    heard = """SELECT (SELECT coalesce(sum(occurrences), 0) FROM dead_letters)
                   + (SELECT count(*) FROM authorization_answers WHERE tap_path = $1)"""
    before = await site.db.pool.fetchval(heard, str(FLOODER))
    async with asyncio.timeout(READY_S):
        while await site.db.pool.fetchval(heard, str(FLOODER)) == before:
            await asyncio.sleep(LOOK_S)


async def serve(taps: list[LoadTap], seconds: float) -> list[float]:
    """Let the taps pour for so long; how long each answer took, in s."""
    for tap in taps:
        tap.waits_s.clear()
    deadline = time.monotonic() + seconds

    async def pour_on(tap: LoadTap) -> None:
        while time.monotonic() < deadline:
            verdict = await tap.pour()
            assert verdict["type"] == "pour_settled", verdict
            await asyncio.sleep(PAUSE_S)

    await asyncio.gather(*(pour_on(tap) for tap in taps))
    return [wait_s for tap in taps for wait_s in tap.waits_s]


async def compare(seconds: float, advance: Advance) -> None:
    """Print how fast answers come without and beside each kind of poison, by turns: a machine is not as fast at any time."""
    advance("opening the bar", 0, 0)
    async with open_site(0, strangers=TAPS) as site, AsyncExitStack() as stack:
        taps = [await stack.enter_async_context(LoadTap.connected(site, stranger)) for stranger in site.strangers]
        await serve(taps, WARM_S)
        for kind in KINDS:
            alone, beside = list[float](), list[float]()
            async with poisoned(site, kind, site.strangers[0]) as flooder:
                for turn in range(TURNS):
                    advance(f"beside {kind}", turn, TURNS)
                    flooder.send(signal.SIGSTOP)
                    alone += await serve(taps, seconds / TURNS)
                    flooder.send(signal.SIGCONT)
                    beside += await serve(taps, seconds / TURNS)
            tell("alone", alone, alone)
            tell(f"beside {kind}", beside, alone)


def tell(name: str, waits_s: list[float], alone_s: list[float]) -> None:
    """One line of the comparison."""
    at = sorted(waits_s)
    middle_ms, p99_ms = median(at) * MS_PER_S, at[len(at) * 99 // 100] * MS_PER_S
    rate, middle = len(at) / len(alone_s), median(at) / median(alone_s)
    print(
        f"{name:<16} {len(at):6} answers ({rate:.2f} × alone), median {middle_ms:6.1f} ms ({middle:.2f} ×), p99 {p99_ms:6.1f} ms",
        flush=True,
    )


def main() -> int:
    """Read the command line."""
    parser = MakeParser(prog="make poison", description="How others are served beside a poisoned device.")
    parser.add_argument("--seconds", type=seconds_above_zero, default=20.0)
    arguments = parser.parse_args()
    with progress_line() as advance:
        asyncio.run(compare(arguments.seconds, advance))
    return 0


if __name__ == "__main__":
    sys.exit(main())
