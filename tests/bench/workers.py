"""More core workers against one, by turns: the same taps, loaded by three processes, so that the load is not what is measured."""

import asyncio
import statistics
from typing import Final

from msgspec import Struct

from tests.bench.load import Measured, Plan
from tests.bench.meters import ratio_by_turns
from tests.bench.stage import Stage, carry_out

COUNTS: Final = (1, 2, 3)
TAPS: Final = 48
LOADED_BY: Final = 3
TURNS: Final = 3
SETTLES_S: Final = 3.0
"""Until new workers have learned of each other which taps are whose."""


class WorkerTurns(Struct, frozen=True):
    """Cycles a second in each turn, by the number of workers."""

    cycles_per_s: dict[int, list[float]]

    def ratio(self, workers: int) -> float:
        """The median of each turn's rate with so many workers over that with one in the same turn."""
        return ratio_by_turns(self.cycles_per_s[workers], self.cycles_per_s[1])


async def workers(stage: Stage, seconds: float) -> WorkerTurns:
    """Let one, two and three workers serve the same taps in turn; `seconds` for all turns of a number together."""
    turns, order = WorkerTurns({count: [] for count in COUNTS}), list(COUNTS)
    for _ in range(TURNS):
        for count in order:
            stage.end_cores()
            await stage.start_cores(count)
            await asyncio.sleep(SETTLES_S)
            turns.cycles_per_s[count].append(await _rate(stage, seconds / TURNS))
        order.reverse()  # so that what a turn leaves behind meets all
    stage.end_cores()
    return turns


async def _rate(stage: Stage, seconds: float) -> float:
    """Cycles a second of all load generators, each with its part of the taps."""
    parts = [range(first, TAPS, LOADED_BY) for first in range(LOADED_BY)]
    plans = [Plan("cycle", tuple(stage.plans(TAPS)[place] for place in part), seconds) for part in parts]
    measured = await asyncio.gather(*(carry_out("tests.bench.load", plan, Measured) for plan in plans))
    for part, each in zip(parts, measured, strict=True):
        for place, odometer_ml, seq in zip(part, each.odometers_ml, each.seqs, strict=True):
            stage.places[place].tap.odometer_ml, stage.places[place].tap.seq = odometer_ml, seq
    if errors := sum(each.errors for each in measured):
        raise RuntimeError(f"{errors} cycles of the load failed")
    return round(sum(len(each.second_ms) / each.seconds for each in measured), 1)


def worker_rows(turns: WorkerTurns) -> dict[str, str]:
    """What each further worker brings."""
    one, *several = COUNTS
    return {
        f"{count} workers against one, {TAPS} taps loaded by {LOADED_BY} processes, by turns": (
            f"{turns.ratio(count)} × the cycles ({statistics.median(turns.cycles_per_s[count]):.0f}/s against "
            f"{statistics.median(turns.cycles_per_s[one]):.0f}/s)"
        )
        for count in several
    }
