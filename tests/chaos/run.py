"""One run of the chaos: work, rage, recovery, quiet, audit."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Final

from tests.besides import besides
from tests.chaos.audit import Auditor, Booked, at_rest
from tests.chaos.guests import PATIENCE_S, play_guests
from tests.chaos.liar import Liar
from tests.chaos.memory import Memory
from tests.chaos.monkey import Done, Monkey
from tests.chaos.site import Site
from tests.chaos.staff import Staff

RECOVERY_S: Final = 10.0
"""Within this time after the last fault every tap pours again, on a machine that has nothing else to do."""
LOOK_S: Final = 0.1


@dataclass
class Outcome:
    """The result of a run. `recovered_s`: time from the last fault to a tap's first good grant."""

    auditor: Auditor
    books: Booked
    faults: list[Done]
    findings: list[str]
    recovered_s: dict[str, float]
    worst_stall_s: float
    lost_ml: int
    flowed_ml: int
    top_ups: int
    ended_by_hand: int
    memory: dict[str, Memory] = field(default_factory=dict)

    @property
    def pours(self) -> Counter[str]:
        """Number of pours by their end."""
        return Counter(pour["sync_status"] for pour in self.books.pours)


async def run_chaos(
    site: Site,
    seed: int,
    break_things: Callable[[Monkey], Awaitable[None]],
    patience_s: float,
    tell: Callable[[object], None] = lambda _: None,
    guests_patience_s: tuple[float, float] = PATIENCE_S,
) -> Outcome:
    """Break a site that is at work, let it recover, and judge it; `patience_s` is how long recovery and quiet may take each."""
    dice = Random(seed)
    monkey, staff, stalls = Monkey(site, Random(dice.random()), tell), Staff(site, Random(dice.random())), Stalls()
    day = Day()
    guests = [
        asyncio.create_task(play_guests(tap, Random(dice.random()), day.is_open, day.has_staff, guests_patience_s))
        for tap in site.taps
    ]
    liars = tuple(Liar(stranger) for stranger in site.strangers)
    guests += [asyncio.create_task(liar.play(site, Random(dice.random()), day.is_open)) for liar in liars]
    counter = asyncio.create_task(staff.work(day.has_staff))
    try:
        async with besides(stalls.measure()):
            await break_things(monkey)
            day.staff_goes()
            recovered_s = await _recovery(site, patience_s)
            day.close()
            async with asyncio.timeout(patience_s):
                await asyncio.gather(counter, *guests)
            books = await at_rest(site, patience_s)
            auditor = Auditor(site, monkey, staff, stalls.worst_s, liars)
            findings = await auditor.judge(books)
    finally:
        for task in (counter, *guests):
            task.cancel()
    findings += [f"{name} does not pour again" for name in (str(tap.path) for tap in site.taps) if name not in recovered_s]
    return Outcome(
        auditor=auditor,
        books=books,
        faults=monkey.log,
        findings=findings,
        recovered_s=recovered_s,
        worst_stall_s=stalls.worst_s,
        lost_ml=sum(tap.lost_ml for tap in site.taps),
        flowed_ml=sum(tap.look().flowed_ml for tap in site.taps),
        top_ups=staff.top_ups,
        ended_by_hand=len(staff.ended),
        memory=site.memory(),
    )


class Day:
    """Return whether guests may come and operators are there."""

    def __init__(self) -> None:
        self._open = self._staffed = True

    def is_open(self) -> bool:
        """True while guests may come."""
        return self._open

    def has_staff(self) -> bool:
        """True while operators are there."""
        return self._staffed

    def staff_goes(self) -> None:
        """Nobody helps any more."""
        self._staffed = False

    def close(self) -> None:
        """The last round is over."""
        self._open = False


class Stalls:
    """Longest time for which this machine kept a runnable program waiting."""

    def __init__(self) -> None:
        self.worst_s = 0.0

    async def measure(self) -> None:
        """Look all the time."""
        while True:
            begun_s = time.monotonic()
            await asyncio.sleep(0.02)
            self.worst_s = max(self.worst_s, time.monotonic() - begun_s - 0.02)


async def _recovery(site: Site, patience_s: float) -> dict[str, float]:
    """Wait until every tap has poured again, without a person; how long after now each first good pour was granted."""
    from_time: datetime = await site.db.pool.fetchval("SELECT now()")
    deadline = time.monotonic() + patience_s
    while True:
        rows = await site.db.pool.fetch(
            """SELECT tap_path, extract(epoch FROM min(authorized_at) - $1)::float8 AS after_s FROM pours
               WHERE authorized_at > $1 AND sync_status = 'synced' AND volume_ml > 0 AND tap_path = ANY($2) GROUP BY tap_path""",
            from_time,
            [str(tap.path) for tap in site.taps],
        )
        if len(rows) == len(site.taps) or time.monotonic() > deadline:
            return {row["tap_path"]: row["after_s"] for row in rows}
        await asyncio.sleep(LOOK_S)
