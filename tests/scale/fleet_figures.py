"""What very many taps need: memory, processor time and messages, at rest and at a festival, and how all come back at once."""

import asyncio
import statistics
import sys
from typing import Final

from msgspec import Struct

from tapwire_core.progress import Advance, untold
from tests.bench.meters import Use
from tests.bench.stage import carry_out, login_of
from tests.chaos.memory import memory_of
from tests.scale.counter import Counted, CountingPlan
from tests.scale.fleet import A_PROCESS, WORKERS, Field, need_files, open_field

MIB: Final = 1 << 20
CORE_STATE: Final = "core"
"""Under this name the counter has the heartbeats of core workers, which go to every tap."""
FROM_CORE: Final = ("command", "config")
SETTLES_S: Final = 15.0
"""Until what a start leaves behind is over."""
COMES_WITHIN_S: Final = 300.0
FEWEST: Final = 2
CALM_S: Final = 60.0
"""A heartbeat of each node comes twice in it."""


class Came(Struct, frozen=True):
    """Seconds from a common start until the first, half, nine of ten, and the last of the taps that came in time."""

    taps: int
    first_s: float
    half_s: float
    most_s: float
    last_s: float

    @classmethod
    def of(cls, seconds: list[float]) -> "Came | None":
        """Of the seconds of each tap; None where not even two came in time."""
        if len(seconds) < FEWEST:
            return None
        tenths = statistics.quantiles(seconds, n=10, method="inclusive")
        return cls(len(seconds), *(round(value, 1) for value in (min(seconds), tenths[4], tenths[8], max(seconds))))


class Load(Struct, frozen=True):
    """A stretch of time: pours, the share of one processor core that each program took, and messages a second by topic."""

    seconds: float
    pours: int
    cores: dict[str, float]
    messages_a_s: dict[str, float]
    bytes_a_s: float

    @property
    def pours_a_s(self) -> float:
        """Pours a second."""
        return self.pours / self.seconds

    def cpu_ms_a_pour(self, program: str, at_rest: "Load") -> float:
        """Processor time of a pour at a program, in milliseconds: what it takes beyond its rest."""
        return (self.cores[program] - at_rest.cores[program]) * 1_000 / max(self.pours_a_s, 1e-9)


class FleetFigures(Struct, frozen=True):
    """All of one run. Memory in MiB, what processes share counted once, without PostgreSQL's page cache."""

    taps: int
    busy_taps: int
    """With guests, in festival minutes and after a power cut."""
    taps_a_process: int
    workers: int
    open_files: int
    """What a process was allowed to open."""
    empty_mib: dict[str, float]
    """Before the first tap connected."""
    rest_mib: dict[str, float]
    festival_mib: dict[str, float]
    connected: Came | None
    """All nodes of an installation that runs, started at once, until each is online."""
    rest: Load
    nodes_cut: Came | None
    """All nodes killed and started at once, with a guest waiting at each tap, until each has poured."""
    festival: Load
    services_cut: Came | None
    """Broker, core and admin API killed and started together, until each node is online again."""
    all_cut: Came | None
    """All of it killed and started together, with a guest waiting at each tap, until each has poured."""

    def mib_a_tap(self, program: str) -> float:
        """Memory that a tap at a festival takes of a program."""
        return (self.festival_mib[program] - self.empty_mib[program]) / self.taps


async def measure_fleet(tap_count: int, seconds: float, advance: Advance = untold) -> tuple[FleetFigures, str]:
    """Everything, one after the other; with PostgreSQL's version."""
    open_files = need_files(tap_count)
    async with open_field(tap_count, advance) as field:
        advance("starting", 0, 0)
        field.start_services()
        await field.until_ready()
        await asyncio.sleep(min(SETTLES_S, seconds))
        empty_mib = memory_mib(field)
        since = await field.now()
        field.start_fleets(with_guests=False)
        connected = await field.until_online(since, COMES_WITHIN_S, advance)
        await asyncio.sleep(min(SETTLES_S, seconds))
        rest = await measure_load(field, max(seconds, min(CALM_S, 2 * seconds)), advance, "at rest")
        rest_mib = memory_mib(field)

        field.kill(fleets=True)
        since = await field.now()
        field.start_fleets(with_guests=True)
        nodes_cut = await field.until_poured(since, COMES_WITHIN_S, advance)
        await asyncio.sleep(min(SETTLES_S, seconds))
        festival = await measure_load(field, seconds, advance, "festival")
        festival_mib = memory_mib(field)

        field.kill(services=True)
        since = await field.now()
        await field.restart_broker()
        field.start_services()
        services_cut = await field.until_online(since, COMES_WITHIN_S, advance)

        field.kill(fleets=True, services=True)
        since = await field.now()
        await field.restart_broker()
        field.start_services()
        field.start_fleets(with_guests=True)
        all_cut = await field.until_poured(since, COMES_WITHIN_S, advance)
        if dry := await field.why_dry(since):
            print(f"taps without a pour: {dry}", file=sys.stderr)
        postgres = await field.db.pool.fetchval("SELECT split_part(version(), ' on ', 1)")
    figures = FleetFigures(
        taps=tap_count,
        busy_taps=len(field.busy),
        taps_a_process=A_PROCESS,
        workers=WORKERS,
        open_files=open_files,
        empty_mib=empty_mib,
        rest_mib=rest_mib,
        festival_mib=festival_mib,
        connected=Came.of(connected),
        rest=rest,
        nodes_cut=Came.of(nodes_cut),
        festival=festival,
        services_cut=Came.of(services_cut),
        all_cut=Came.of(all_cut),
    )
    return figures, postgres


def memory_mib(field: Field) -> dict[str, float]:
    """Memory of each program now."""
    return {program: round(sum(memory_of(pid).resident_bytes for pid in pids) / MIB, 1) for program, pids in field.pids().items()}


async def measure_load(field: Field, seconds: float, advance: Advance, step: str) -> Load:
    """Measure the processor time for a time, and then count messages for half as long: who counts costs the broker."""
    advance(step, 0, 0)
    since, before = await field.now(), {program: Use.of(pids) for program, pids in field.pids().items()}
    await asyncio.sleep(seconds)
    after = {program: Use.of(pids) for program, pids in field.pids().items()}
    until = await field.now()
    passed_s = (until - since).total_seconds()
    pours = await field.pours_since(since)
    counted = await carry_out("tests.scale.counter", CountingPlan(login_of(field.broker, "watcher"), seconds / 2), Counted)
    return Load(
        seconds=round(passed_s, 1),
        pours=pours,
        cores={program: round((used.cpu_s - before[program].cpu_s) / passed_s, 4) for program, used in after.items()},
        messages_a_s={leaf: round(count / counted.seconds, 2) for leaf, count in sorted(counted.messages.items())},
        bytes_a_s=round(sum(counted.payload_bytes.values()) / counted.seconds, 1),
    )


def deliveries_a_s(figures: FleetFigures, load: Load) -> float:
    """Messages that the broker sends a second: a tap's to each worker and the admin API, a worker's heartbeat to each tap too."""
    to_taps = load.messages_a_s.get(CORE_STATE, 0.0) * (figures.taps + 1)
    commands = sum(rate for leaf, rate in load.messages_a_s.items() if leaf in FROM_CORE) * 2
    from_taps = sum(rate for leaf, rate in load.messages_a_s.items() if leaf not in FROM_CORE and leaf != CORE_STATE)
    return round(to_taps + commands + from_taps * (figures.workers + 1), 1)
