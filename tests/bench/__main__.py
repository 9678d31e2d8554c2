"""`make bench`: measure everything in one run, print the table, keep JSON and chart; `--docs` fills the docs' pages too.

`--only screen` measures how soon the console shows what happens, `--only limits` what a serving limit costs, `--only workers` what
further core workers bring, `--only least` how near Tapwire comes to the least SQL; each prints that alone.
"""

import argparse
import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import uvloop

from tapwire_core.commands.progress_line import progress_line
from tapwire_core.progress import Advance
from tests.bench import sections
from tests.bench.least import COUNTS as LEAST_COUNTS
from tests.bench.least import DATABASE as LEAST_DATABASE
from tests.bench.least import LeastTurns, against_least, least_rows
from tests.bench.pages import DOCS, PERFORMANCE, fill_pages, keep_figures
from tests.bench.report import Figures, as_json, as_text, draw, limit_row, this_machine
from tests.bench.screen import ScreenFigures, as_rows, watch
from tests.bench.stage import ROOT, Stage, open_stage
from tests.bench.workers import TAPS as WORKER_TAPS
from tests.bench.workers import WorkerTurns, worker_rows, workers
from tests.browser.console import has_chromium

FOLDER: Final = ROOT / ".tapwire" / "bench"
TAPS: Final = (1, 4, 16, 64, 256)
LIMIT_CLIENTS: Final = (1, 16)
PACED_SHARE: Final = 1 / 3
PACED_TAPS: Final = 16
WATCHED_TAPS: Final = 50
WATCHED_AT_LEAST_S: Final = 20.0
SCREEN: Final = "screen"
LIMITS_AT_LEAST_S: Final = 18.0
LEAST_SHARE: Final = 0.3
"""Of a measurement's time: there are five turns of nine."""
WARM_UP_S: Final = 1.0
"""Of a core that was just started."""
WORKERS_AT_LEAST_S: Final = 9.0
STEPS: Final = 12 + len(TAPS)
"""Of a whole run."""


class Steps:
    """Says each step as it begins, and on a terminal how many there are."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self._said = 0

    def say(self, text: str) -> None:
        """Print the step that begins."""
        print(f"… {text}", flush=True)
        self._advance(text, self._said, STEPS)
        self._said += 1


async def measure(stage: Stage, arguments: argparse.Namespace, screen: ScreenFigures | None, steps: Steps) -> Figures:
    """Everything, one after the other; what a section changes the next ones can live with."""
    seconds, postgres = arguments.seconds, await stage.db.pool.fetchval("SELECT split_part(version(), ' on ', 1)")
    steps.say("the limit: echo, commit, pgbench")
    echo, commit = await sections.echo(stage, seconds / 2), await sections.commit(stage)
    spare = stage.places[max(TAPS) :]
    limit = {clients: await sections.limit(stage, spare[:clients], seconds) for clients in LIMIT_CLIENTS}
    await stage.start_cores(1)
    closed = []
    for taps in TAPS:
        steps.say(f"{taps} taps")
        closed.append(await sections.closed_loop(stage, taps, seconds))
    least = await measure_least(stage, seconds, steps)
    reached = next(loop for loop in closed if loop.taps == PACED_TAPS)
    steps.say("a third of the rate")
    paced = await sections.closed_loop(stage, PACED_TAPS, seconds, reached.cycles_per_s * PACED_SHARE)
    steps.say("two workers")
    await stage.start_cores(1)
    two_workers = await sections.closed_loop(stage, PACED_TAPS, seconds)
    by_workers = await measure_workers(stage, seconds, steps)
    await stage.start_cores(1)
    steps.say(f"{arguments.steady:g} s on end")
    steady = await sections.steady(stage, PACED_TAPS, arguments.steady)
    steps.say(f"{arguments.reports:,} reports at once")
    backlog_per_s = await sections.backlog(stage, arguments.reports)
    steps.say("restarts")
    recovery_s = await sections.recovery_s(stage)
    limits = await measure_limits(stage, seconds, steps)
    steps.say(f"{arguments.rows:,} pours of history")
    young = await sections.quickest(stage, 1, 2 * seconds)
    await sections.grow(stage, arguments.rows)
    old = await sections.quickest(stage, 1, 2 * seconds)
    steps.say("a node")
    stage.end_cores()  # what answers the node is ours, and leaves its presence behind
    node = await sections.node(stage)
    return Figures(
        machine=this_machine(postgres),
        echo=echo,
        commit=commit,
        limit_cycles_per_s=limit,
        least=least,
        closed=closed,
        paced=paced,
        two_workers=two_workers,
        workers=by_workers,
        steady=steady,
        steady_s=arguments.steady,
        backlog_per_s=backlog_per_s,
        recovery_s=recovery_s,
        node=node,
        young=young,
        old=old,
        old_rows=arguments.rows,
        serving_limit=limits,
        screen=screen,
    )


async def measure_least(stage: Stage, seconds: float, steps: Steps) -> LeastTurns:
    """The least SQL against a core that decides nothing and against Tapwire, by turns; one worker runs afterwards."""
    steps.say("the least SQL")

    async def bare(seconds: float) -> dict[int, float]:
        stage.end_cores()
        async with stage.bare_core(stage.postgres.url_of(LEAST_DATABASE)):
            return await rates(seconds)

    async def ours(seconds: float) -> dict[int, float]:
        await stage.start_cores(1)
        return await rates(seconds)

    async def rates(seconds: float) -> dict[int, float]:
        await sections.closed_loop(stage, max(LEAST_COUNTS), WARM_UP_S)
        return {taps: (await sections.closed_loop(stage, taps, seconds)).cycles_per_s for taps in LEAST_COUNTS}

    return await against_least(stage.postgres, seconds * LEAST_SHARE, bare, ours)


async def measure_limits(stage: Stage, seconds: float, steps: Steps) -> sections.LimitTurns:
    """A serving limit against none, by turns."""
    steps.say("a serving limit")
    return await sections.serving_limit(stage, max(seconds, LIMITS_AT_LEAST_S))


async def measure_workers(stage: Stage, seconds: float, steps: Steps) -> WorkerTurns:
    """One, two and three workers, by turns; none runs afterwards."""
    steps.say("one, two and three workers")
    return await workers(stage, max(seconds, WORKERS_AT_LEAST_S))


@dataclass(frozen=True)
class Alone:
    """What can be measured alone, how many taps it takes, and how it reads."""

    taps: int
    measure: Callable[[Stage, float, Steps], Awaitable[Any]]
    rows: Callable[[Any], Mapping[str, str]]


ALONE: Final[Mapping[str, Alone]] = {
    "limits": Alone(1, measure_limits, limit_row),
    "workers": Alone(WORKER_TAPS, measure_workers, worker_rows),
    "least": Alone(max(LEAST_COUNTS), measure_least, least_rows),
}


async def measure_screen(seconds: float, steps: Steps) -> ScreenFigures | None:
    """The console in a browser, at a venue of its own: with as many taps as are watched. Needs Chromium."""
    if not has_chromium():
        steps.say("no event to screen: chromium is not installed")
        return None
    steps.say(f"event to screen: {WATCHED_TAPS} taps pour")
    async with open_stage(WATCHED_TAPS) as stage:
        await stage.start_cores(1)
        return await watch(stage, max(seconds, WATCHED_AT_LEAST_S))


async def main() -> None:
    """Measure and write."""
    arguments = parser().parse_args()
    with progress_line() as advance:
        steps, figures = Steps(advance), None
        if arguments.only in ALONE:
            alone = ALONE[arguments.only]
            async with open_stage(alone.taps) as stage:
                await stage.start_cores(1)
                rows = alone.rows(await alone.measure(stage, arguments.seconds, steps))
            print("\n".join(f"{name}: {value}" for name, value in rows.items()))
            return
        screen = await measure_screen(arguments.seconds, steps)
        if arguments.only != SCREEN:
            async with open_stage(max(TAPS) + max(LIMIT_CLIENTS)) as stage:
                figures = await measure(stage, arguments, screen, steps)
    if figures is None:
        print("\n".join(f"{name}: {value}" for name, value in as_rows(screen).items()) if screen else "nothing was measured")
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "performance.json").write_bytes(as_json(figures))
    table = as_text(figures)
    await asyncio.to_thread(draw, figures, FOLDER / "performance.png")
    if arguments.docs:
        keep_figures(PERFORMANCE, figures)
        fill_pages()
        shutil.copy(FOLDER / "performance.png", DOCS / "performance.png")
    print(f"\n{table}\nJSON and chart are in {FOLDER}")


def parser() -> argparse.ArgumentParser:
    """Durations and sizes."""
    made = argparse.ArgumentParser(prog="make bench", description="How fast Tapwire is beside the limit of this machine.")
    made.add_argument("--seconds", type=int, default=5, help="of each measurement")
    made.add_argument("--steady", type=float, default=60.0, help="seconds of the run that shows whether it gets slower")
    made.add_argument("--reports", type=int, default=10_000, help="in the backlog")
    made.add_argument("--rows", type=int, default=1_000_000, help="of history in each table")
    made.add_argument("--only", choices=[SCREEN, *ALONE], help="measure nothing else")
    made.add_argument("--docs", action="store_true", help="write docs/figures and the chart, and fill the pages")
    return made


if __name__ == "__main__":
    uvloop.run(main())
