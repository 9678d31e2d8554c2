"""The figures of size as people read them: tables of Markdown, and what very many taps need on paper."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from tests.bench.report import Machine
from tests.scale.fleet import ADMIN, BROKER, CORE, NODES, POSTGRES
from tests.scale.fleet_figures import CORE_STATE, Came, FleetFigures, Load, deliveries_a_s
from tests.scale.history import KEPT_NIGHTS
from tests.scale.history_figures import Run, TableSize, Turns
from tests.scale.history_questions import Asked
from tests.scale.partitions import Cuts

SERVICES: Final = (BROKER, POSTGRES, CORE, ADMIN)
"""What grows with the taps; the memory of PostgreSQL grows with its connections."""
KIB_A_MIB: Final = 1_024
GB: Final = 1_000_000_000
LISTED: Final = 10
"""Tables that are listed by themselves."""
TAPS: Final = 10_000
VENUES: Final = 500
POURS_A_DAY: Final = 50
"""Of a tap, on an average of all days."""
SECONDS_A_POUR: Final = 90
"""Of a tap in the busiest hour."""
DAYS: Final = 365
MESSAGES: Final = 33
"""Of a pour of five seconds, by the contract: question, answer, report, verdict, 25 times progress, four states."""
CYCLE_MS: Final = {BROKER: 0.26, POSTGRES: 3.22, CORE: 2.68, ADMIN: 0.0}
"""Processor time of a pour at a third of one worker's rate (docs/performance.md)."""
REFUSED: Final = 400
"""The lowest HTTP status of a refusal."""
MINUTES_FROM_S: Final = 120
FULL: Final = 0.6
"""The share of a processor core to plan with."""


class TapsReport(Struct, frozen=True):
    """A run with very many taps."""

    machine: Machine
    figures: FleetFigures


class Moved(Struct, frozen=True):
    """A past of so many pours in a backup's file, and restored from it."""

    pours: int
    backup: Run
    backup_bytes: int
    restore: Run


class HistoryReport(Struct, frozen=True):
    """A run with a long past; a part that was left out is null."""

    machine: Machine
    pours: int
    nights: int
    taps: int
    database_bytes: int
    sizes: dict[str, TableSize]
    check: Run | None = None
    reports: dict[str, Asked] | None = None
    decisions: Turns | None = None
    partitions: Cuts | None = None
    moved: Moved | None = None

    @property
    def bytes_a_pour(self) -> float:
        """What a pour takes of the disk, with all that is kept for good."""
        return sum(size.total_bytes for name, size in self.sizes.items() if name not in PASSING) / self.pours


PASSING: Final = ("authorization_answers", "pour_reports")
"""Tables of which retention leaves the last month."""


# ── many taps ───────────────────────────────────────────────────────────────


def taps_text(report: TapsReport) -> str:
    """Memory, processor time and messages of very many taps, and how they come back."""
    of = report.figures
    programs = (*SERVICES, NODES)
    lines = [
        *_origin(report.machine),
        f"{of.taps:,} taps, {of.taps_a_process} of our nodes with simulated hardware in a process; {of.busy_taps:,} have guests;",
        f"{of.workers} core workers, one Mosquitto, one admin API; each program might open {of.open_files:,} files. Memory is a",
        "program's own, shared parts counted once, without PostgreSQL's page cache; a share is of one processor core.",
        "",
        f"| what | {' | '.join(programs)} |",
        f"|---|{'---|' * len(programs)}",
        _row("memory before the first tap, MiB", [f"{of.empty_mib.get(name, 0):,.0f}" for name in programs]),
        _row("memory at rest, MiB", [f"{of.rest_mib.get(name, 0):,.0f}" for name in programs]),
        _row("memory in festival minutes, MiB", [f"{of.festival_mib.get(name, 0):,.0f}" for name in programs]),
        _row("more than before, for each tap, KiB", [f"{of.mib_a_tap(name) * KIB_A_MIB:,.1f}" for name in programs]),
        _row("processor at rest", [f"{of.rest.cores[name]:.1%}" for name in programs]),
        _row("processor in festival minutes", [f"{of.festival.cores[name]:.1%}" for name in programs]),
        "",
        f"| messages a second | at rest | festival, {of.festival.pours_a_s:.1f} pours a second |",
        "|---|---|---|",
        *_message_rows(of),
        "",
        "| all at once, seconds until | the first | half | nine of ten | the last |",
        "|---|---|---|---|---|",
        _came("all nodes are started: a tap is online", of.connected, of.taps),
        _came("all nodes were killed, a guest waits at each tap: a pour is settled", of.nodes_cut, of.busy_taps),
        _came("broker, core and admin API were killed: a tap is online again", of.services_cut, of.taps),
        _came("all of them were killed, a guest waits at each tap: a pour is settled", of.all_cut, of.busy_taps),
    ]
    return "\n".join(lines) + "\n"


def _message_rows(of: FleetFigures) -> list[str]:
    leaves = sorted({*of.rest.messages_a_s, *of.festival.messages_a_s})
    both: tuple[Load, Load] = (of.rest, of.festival)
    return [
        *(
            _row(
                "core workers' heartbeats" if leaf == CORE_STATE else f"`{leaf}`",
                [f"{one.messages_a_s.get(leaf, 0):,.1f}" for one in both],
            )
            for leaf in leaves
        ),
        _row("all that are published", [f"{sum(one.messages_a_s.values()):,.1f}" for one in both]),
        _row("their payload, kB a second", [f"{one.bytes_a_s / 1_000:,.1f}" for one in both]),
        _row("deliveries that follow, each heartbeat of a worker to each tap", [f"{deliveries_a_s(of, one):,.0f}" for one in both]),
    ]


def _came(what: str, came: Came | None, taps: int) -> str:
    if came is None:
        return _row(f"{what} (none in time)", ["", "", "", ""])
    name = what if came.taps == taps else f"{what} ({came.taps:,} of {taps:,} in time)"
    return _row(name, [f"{value:.1f}" for value in (came.first_s, came.half_s, came.most_s, came.last_s)])


# ── a long past ─────────────────────────────────────────────────────────────


def history_text(report: HistoryReport) -> str:
    """Disk, check, reports, backup and restore."""
    lines = [
        *_origin(report.machine),
        f"{report.pours:,} pours of {report.taps} taps in {report.nights} nights, made by SQL as our programs write them. Of what",
        f"retention deletes, the last {KEPT_NIGHTS} nights are there. PostgreSQL has `shared_buffers` of 1 GB.",
        "",
        "| table | rows | rows, GB | indexes, GB | bytes a pour |",
        "|---|---|---|---|---|",
        *(_size_row(name, size, report) for name, size in list(report.sizes.items())[:LISTED]),
        f"| the whole database | | | {report.database_bytes / GB:.2f} in all | {report.database_bytes / report.pours:,.0f} |",
        *_work_rows(report),
        *_question_rows(report.reports or {}),
    ]
    return "\n".join(lines) + "\n"


def _work_rows(report: HistoryReport) -> list[str]:
    rows = []
    if report.check is not None:
        rows.append(f"| `tapwire-core check` | {_run(report.check)} |")
    if (moved := report.moved) is not None:
        of = "" if moved.pours == report.pours else f" of {moved.pours:,} pours"
        rows.append(f"| `tapwire-core backup`{of} | {_run(moved.backup)} |")
        rows.append(f"| the backup's file{of} | {moved.backup_bytes / GB:.2f} GB | |")
        rows.append(f"| `tapwire-core restore`{of}, with its check | {_run(moved.restore)} |")
    if (turns := report.decisions) is not None:
        old, young = statistics.median(turns.old_ms), statistics.median(turns.young_ms)
        figure = f"{turns.ratio} × that of a young venue, by turns: {old:.2f} ms, {young:.2f} ms"
        rows.append(f"| p50 of a grant's transaction | {figure} | |")
    return ["", "| what | figure | memory of the program, MiB |", "|---|---|---|", *rows] if rows else []


def _run(run: Run) -> str:
    return f"{_time(run.seconds)} | {run.peak_mib:.0f}"


def _question_rows(reports: Mapping[str, Asked]) -> list[str]:
    rows = [
        f"| {name}{'' if asked.status < REFUSED else f', HTTP {asked.status}'} | {asked.first_s:.2f} | {asked.again_s:.2f} "
        f"| {asked.answer_bytes / 1_000:.1f} |"
        for name, asked in reports.items()
    ]
    return ["", "| asked of the REST API | first time, s | again, s | answer, kB |", "|---|---|---|---|", *rows] if rows else []


def partitions_text(report: HistoryReport) -> str:
    """What monthly partitions would change; nothing where they were not tried."""
    if report.partitions is None:
        return ""
    cuts = report.partitions.tables
    rows = {
        "size, GB": [f"{cut.bytes_whole / GB:.2f} → {cut.bytes_cut / GB:.2f}" for cut in cuts.values()],
        "to read the latest month, s": [f"{cut.month_whole_s:.2f} → {cut.month_cut_s:.2f}" for cut in cuts.values()],
        "to write one row of many, ms": [f"{cut.insert_whole_ms:.3f} → {cut.insert_cut_ms:.3f}" for cut in cuts.values()],
        "to delete the oldest month, s": [f"{cut.delete_whole_s:.2f} → {cut.drop_cut_s:.2f}" for cut in cuts.values()],
        "to copy all into partitions, with indexes, s": [f"{cut.copy_s:.0f}" for cut in cuts.values()],
    }
    head = [f"`{name}`, {cut.months} months" for name, cut in cuts.items()]
    lines = [
        _row(f"{report.partitions.pours:,} pours, whole → cut", head),
        f"|---|{'---|' * len(cuts)}",
        *(_row(name, row) for name, row in rows.items()),
    ]
    return "\n".join(lines) + "\n"


def _size_row(name: str, size: TableSize, report: HistoryReport) -> str:
    indexes, a_pour = sum(size.index_bytes.values()) / GB, size.total_bytes / report.pours
    return f"| `{name}` | {size.rows:,} | {size.heap_bytes / GB:.2f} | {indexes:.2f} | {a_pour:,.0f} |"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < MINUTES_FROM_S else f"{seconds / 60:.1f} minutes"


# ── on paper ────────────────────────────────────────────────────────────────


def paper_text(taps: TapsReport, history: HistoryReport) -> str:
    """What 10,000 taps need, each figure with its arithmetic."""
    of, pours_a_s = taps.figures, TAPS / SECONDS_A_POUR
    times, a_year = TAPS / of.taps, TAPS * POURS_A_DAY * DAYS
    quiet, rest = sum(of.rest.messages_a_s.values()), deliveries_a_s(of, of.rest)
    busy, delivered = quiet * times + pours_a_s * MESSAGES, rest * times + pours_a_s * MESSAGES * (of.workers + 1)
    year, a_pour = a_year / 1e6, history.bytes_a_pour
    lines = [
        f"| what {TAPS:,} taps at {VENUES} venues need | arithmetic | result |",
        "|---|---|---|",
        _row("pours in the busiest hour", [f"{TAPS:,} ÷ {SECONDS_A_POUR} s", f"{pours_a_s:.0f} a second"]),
        _row("pours of a year", [f"{TAPS:,} × {POURS_A_DAY} × {DAYS}", f"{year:,.1f} million"]),
        *(_row(f"processor of {program}", _cores(program, of, pours_a_s)) for program in SERVICES),
        *(_row(f"memory of {program}", _memory(program, of)) for program in SERVICES if program != POSTGRES),
        _row(
            "messages published, busiest hour",
            [f"{quiet:,.0f} × {times:g} + {pours_a_s:.0f} × {MESSAGES}", f"{busy:,.0f} a second"],
        ),
        _row("deliveries of the broker, at rest", [f"{rest:,.0f} × {times:g}", f"{rest * times:,.0f} a second"]),
        _row(
            "deliveries of the broker, busiest hour",
            [f"{rest:,.0f} × {times:g} + {pours_a_s:.0f} × {MESSAGES} × {of.workers + 1}", f"{delivered:,.0f} a second"],
        ),
        _row("open files of the broker", [f"2 × {TAPS:,} connections", f"{2 * TAPS:,}"]),
        _row(
            "disk of a year, kept for good",
            [f"{year:,.1f} million × {a_pour:,.0f} bytes", f"{a_year * a_pour / GB / 1_000:.2f} TB"],
        ),
        _row("disk of answers and reports, a month", _passing(history)),
        *_after_a_year(history, a_year),
    ]
    return "\n".join(lines) + "\n"


def _cores(program: str, of: FleetFigures, pours_a_s: float) -> list[str]:
    times, rest, pour_ms = TAPS / of.taps, of.rest.cores[program], CYCLE_MS[program]
    needed = rest * times + pours_a_s * pour_ms / 1_000
    return [
        f"{rest:.3f} at rest × {times:g} + {pours_a_s:.0f} pours/s × {pour_ms:.2f} ms",
        f"{needed:.2f} of a core: {max(1, math.ceil(needed / FULL))} at {FULL:.0%}",
    ]


def _memory(program: str, of: FleetFigures) -> list[str]:
    base, kib = of.empty_mib[program], of.mib_a_tap(program) * KIB_A_MIB
    return [f"{base:.0f} MiB + {TAPS:,} × {kib:.1f} KiB", f"{base + TAPS * kib / KIB_A_MIB:,.0f} MiB"]


def _passing(history: HistoryReport) -> list[str]:
    kept = min(history.nights, KEPT_NIGHTS) / history.nights * history.pours
    a_pour = sum(history.sizes[name].total_bytes for name in PASSING if name in history.sizes) / kept
    month = TAPS * POURS_A_DAY * KEPT_NIGHTS
    return [f"{month / 1e6:,.1f} million × {a_pour:,.0f} bytes", f"{month * a_pour / GB:,.0f} GB"]


def _after_a_year(history: HistoryReport, a_year: float) -> list[str]:
    moved, runs = history.moved, list[tuple[str, Run, int]]()
    if history.check is not None:
        runs.append(("a check", history.check, history.pours))
    if moved is not None:
        runs += [("a backup", moved.backup, moved.pours), ("a restore", moved.restore, moved.pours)]
    return [
        _row(
            f"{name} after a year",
            [f"{_time(run.seconds)} × {a_year / pours:.1f}", f"{run.seconds * a_year / pours / 3_600:.1f} hours"],
        )
        for name, run, pours in runs
    ]


def _origin(machine: Machine) -> list[str]:
    hardware = f"{machine.processor}, {machine.cores} cores, {machine.memory_gb} GB"
    return [
        f"Measured on {machine.measured_at} with {machine.software} on {hardware}; {machine.system};",
        f"Python {machine.python}; {machine.postgres}; {machine.mosquitto}.",
    ]


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"
