"""The figures as people read them: a table in the terminal, JSON, a chart, and a page of the docs."""

import platform
import statistics
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import psutil
from msgspec import Struct

from tapwire_core import SOFTWARE
from tests.bench.least import LeastTurns, least_rows
from tests.bench.meters import Spread
from tests.bench.screen import ScreenFigures, as_rows
from tests.bench.sections import HISTORY, Closed, LimitTurns, NodeFigures
from tests.bench.workers import WorkerTurns, worker_rows

ECHO_RATIO: Final = 3
FEWEST: Final = 16
"""Taps from which on a load is one to plan with."""
BYTES_PER_GB: Final = 1 << 30


class Machine(Struct, frozen=True):
    """The origin of the figures."""

    measured_at: str
    software: str
    processor: str
    cores: int
    memory_gb: int
    system: str
    python: str
    postgres: str
    mosquitto: str


class Figures(Struct, frozen=True):
    """All of one run."""

    machine: Machine
    echo: Spread
    commit: Spread
    limit_cycles_per_s: dict[int, float]
    least: LeastTurns
    closed: list[Closed]
    paced: Closed
    two_workers: Closed
    workers: WorkerTurns
    steady: list[Closed]
    """The parts of `steady_s` on end."""
    steady_s: float
    backlog_per_s: float
    recovery_s: dict[str, float]
    node: NodeFigures
    young: Closed
    old: Closed
    old_rows: int
    serving_limit: LimitTurns
    screen: ScreenFigures | None
    """Nothing where there is no Chromium."""


def this_machine(postgres: str) -> Machine:
    """The machine's description."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    said = subprocess.run(["mosquitto", "-h"], capture_output=True, text=True, check=False).stdout
    return Machine(
        measured_at=datetime.now(UTC).date().isoformat(),
        software=SOFTWARE,
        processor=names[0] if names else platform.processor(),
        cores=psutil.cpu_count() or 0,
        memory_gb=psutil.virtual_memory().total // BYTES_PER_GB,
        system=platform.platform(),
        python=platform.python_version(),
        postgres=postgres,
        mosquitto=said.splitlines()[0] if said else "unknown",
    )


def as_text(figures: Figures) -> str:
    """Three tables, as Markdown, which reads well in a terminal too."""
    loops = {
        **{f"closed loop, {loop.taps} tap{'s' if loop.taps > 1 else ''}": loop for loop in figures.closed},
        "closed loop, two workers": figures.two_workers,
        "a third of one worker's rate": figures.paced,
        "a young venue": figures.young,
        f"the same with {figures.old_rows:,} pours of history": figures.old,
    }
    lines = [
        *_origin(figures.machine),
        "",
        "| what | taps | workers | cycles/s | authorise p50 / p95 / p99 ms | settle p50 / p95 / p99 ms | errors | core MB |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(name, loop) for name, loop in loops.items()),
        "",
        "| processor time a cycle, ms | core | PostgreSQL | Mosquitto | load generator (of one processor core) |",
        "|---|---|---|---|---|",
        *(_cpu_row(name, loop) for name, loop in loops.items()),
        "",
        "| beside | figure |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in _beside(figures).items()),
    ]
    return "\n".join(lines) + "\n"


def load_text(figures: Figures) -> str:
    """What the machine carries, for those who plan."""
    without = [
        (f"{loop.taps} taps {'that pour without any pause' if loop.taps == FEWEST else 'without any pause'}", loop)
        for loop in figures.closed
        if loop.taps >= FEWEST
    ]
    loads = [*without, (f"{figures.paced.taps} taps at a third of one worker's rate", figures.paced)]
    lines = [
        "| load | two shared cores carry | wait for the grant |",
        "|---|---|---|",
        *(
            f"| {name} | {loop.cycles_per_s:.0f} pours a second | half within {loop.authorise.p50_ms:.0f} ms, 99 % within "
            f"{loop.authorise.p99_ms:.0f} |"
            for name, loop in loads
        ),
        f"| taps that come back after being offline | {figures.backlog_per_s:,.0f} reports a second | |",
    ]
    if figures.screen is not None:
        p95 = f"on the page: 95 % within {figures.screen.progress.p95_ms:.0f} ms"
        lines.append(f"| {figures.screen.taps} taps that pour while a console watches | five values a second of each | {p95} |")
    return "\n".join(lines) + "\n"


def _origin(machine: Machine) -> list[str]:
    return [
        f"Measured on {machine.measured_at} with {machine.software} on {machine.processor}, {machine.cores} cores that load",
        f"generator, broker, database and core share, {machine.memory_gb} GB; {machine.system}; Python {machine.python};",
        f"{machine.postgres}; {machine.mosquitto}. Every commit is synced to disk.",
    ]


def _beside(figures: Figures) -> dict[str, str]:
    """Figures that the cycles may be set against."""
    one, reached, node = _at(figures.closed, 1), _at(figures.closed, 16), figures.node
    first, *_, last = figures.steady
    overshoot_ml = sorted(node.overshoot_ml)
    bound_ms = ECHO_RATIO * figures.echo.p50_ms + figures.commit.p50_ms
    limits = {
        f"pgbench with the same SQL one by one, {clients} clients": (
            f"{speed:,} cycles/s; Tapwire reaches {_at(figures.closed, clients).cycles_per_s / speed:.0%} of it"
        )
        for clients, speed in figures.limit_cycles_per_s.items()
    }
    return {
        "MQTT echo through the same broker": _short(figures.echo),
        "one row committed to disk": _short(figures.commit),
        **least_rows(figures.least),
        **limits,
        f"authorise p50 at one tap, against {ECHO_RATIO} × echo + commit": f"{one.authorise.p50_ms} ms against {bound_ms:.2f} ms",
        "16 taps against one": f"{reached.cycles_per_s / one.cycles_per_s:.1f} × the cycles",
        f"{last.taps} taps for {figures.steady_s:g} s on end": (
            f"{first.cycles_per_s} cycles/s in the first fifth, {last.cycles_per_s} in the last "
            f"({last.cycles_per_s / first.cycles_per_s:.2f} ×); core {first.core_mb} MB and {last.core_mb} MB"
        ),
        "history": f"{figures.old.authorise.p50_ms / figures.young.authorise.p50_ms:.2f} × the authorise p50",
        **limit_row(figures.serving_limit),
        **worker_rows(figures.workers),
        "reports of taps that were offline": f"{figures.backlog_per_s:,} /s",
        **{f"{name} restarted, to the first settled pour": f"{took} s" for name, took in figures.recovery_s.items()},
        "node: card to question, through the broker": _short(node.card_to_question),
        "node: grant to open valve, through the broker and the journal's sync": _short(node.grant_to_valve),
        "node: over the cap at 50 ml/s": f"{overshoot_ml[len(overshoot_ml) // 2]} ml median, {overshoot_ml[-1]} ml at most",
        **(as_rows(figures.screen) if figures.screen else {}),
    }


def limit_row(turns: LimitTurns) -> dict[str, str]:
    """The cost of a serving limit."""
    without, limited = statistics.median(turns.without_ms), statistics.median(turns.limited_ms)
    return {
        f"a serving limit, the guest with {HISTORY:,} pours of history, by turns": (
            f"{turns.ratio} × the authorise p50 ({limited:.2f} ms against {without:.2f} ms)"
        )
    }


def _short(spread: Spread) -> str:
    return f"p50 {spread.p50_ms} ms, p99 {spread.p99_ms} ms"


def _at(loops: list[Closed], taps: int) -> Closed:
    return next(loop for loop in loops if loop.taps == taps)


def _row(name: str, loop: Closed) -> str:
    asked, settled = loop.authorise, loop.settle
    return (
        f"| {name} | {loop.taps} | {loop.workers} | {loop.cycles_per_s} | {asked.p50_ms} / {asked.p95_ms} / {asked.p99_ms} "
        f"| {settled.p50_ms} / {settled.p95_ms} / {settled.p99_ms} | {loop.errors} | {loop.core_mb} |"
    )


def _cpu_row(name: str, loop: Closed) -> str:
    used = loop.cpu_ms_a_cycle
    return f"| {name} | {used['core']} | {used['postgres']} | {used['mosquitto']} | {used['load']} ({loop.load_cpu_share:.0%}) |"


def as_json(figures: Figures) -> bytes:
    """All figures."""
    return msgspec.json.format(msgspec.json.encode(figures), indent=2)


def draw(figures: Figures, file: Path) -> None:
    """Cycles a second and the wait for a grant, over the number of taps, beside the limit."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    taps = [str(loop.taps) for loop in figures.closed]
    drawn, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    left.bar(taps, [loop.cycles_per_s for loop in figures.closed], color="#d98c1f", label="Tapwire")
    for clients, speed in figures.limit_cycles_per_s.items():
        left.plot([taps.index(str(clients))], [speed], "_", color="#333333", markersize=38, markeredgewidth=2.5)
    left.plot([], [], "_", color="#333333", markersize=12, markeredgewidth=2.5, label="pgbench, the same SQL one by one")
    left.set(title="Pours a second, grant and settlement", xlabel="taps", ylabel="cycles/s")
    left.legend(frameon=False)
    for name, style in (("p50_ms", "-o"), ("p99_ms", "--o")):
        right.plot(taps, [getattr(loop.authorise, name) for loop in figures.closed], style, color="#1f6fd9", label=name[:3])
    right.axhline(figures.echo.p50_ms, color="#888888", linewidth=1, label="MQTT echo p50")
    right.set(title="Card to grant", xlabel="taps", ylabel="ms", yscale="log")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    drawn.savefig(file, dpi=110)
    plt.close(drawn)
