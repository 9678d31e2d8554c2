"""The figures of size as people read them: tables of Markdown, which read well in a terminal too, and what many taps need on paper."""

from typing import Final

from msgspec import Struct

from tests.bench.report import Machine
from tests.scale.fleet import ADMIN, BROKER, CORE, NODES, POSTGRES
from tests.scale.fleet_figures import Came, FleetFigures, Load, deliveries_a_s
from tests.scale.history_figures import Run, TableSize, Turns
from tests.scale.history_questions import Asked
from tests.scale.partitions import Cut

SERVICES: Final = (BROKER, POSTGRES, CORE, ADMIN)
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
FULL: Final = 0.6
"""The share of a processor core to plan with."""


class TapsReport(Struct, frozen=True):
    """A run with very many taps."""

    machine: Machine
    figures: FleetFigures


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
    partitions: dict[str, Cut] | None = None
    backup: Run | None = None
    backup_bytes: int | None = None
    restore: Run | None = None

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
        f"{of.taps:,} taps, {of.taps_a_process} of our nodes with simulated hardware in a process, {of.workers} core workers, one",
        f"Mosquitto, one admin API; each program was allowed {of.open_files:,} open files. Memory is what a program has of its own,",
        "shared parts counted once, without PostgreSQL's page cache; a share is of one processor core.",
        "",
        f"| what | {' | '.join(programs)} |",
        f"|---|{'---|' * len(programs)}",
        _row("memory before the first tap, MiB", [f"{of.empty_mib.get(name, 0):,.0f}" for name in programs]),
        _row("memory at rest, MiB", [f"{of.rest_mib.get(name, 0):,.0f}" for name in programs]),
        _row("memory in festival minutes, MiB", [f"{of.festival_mib.get(name, 0):,.0f}" for name in programs]),
        _row("of that for each tap, KiB", [f"{of.mib_a_tap(name) * KIB_A_MIB:,.1f}" for name in programs]),
        _row("processor at rest", [f"{of.rest.cores[name]:.1%}" for name in programs]),
        _row("processor in festival minutes", [f"{of.festival.cores[name]:.1%}" for name in programs]),
        _row("processor time of a pour, ms", [f"{of.festival.cpu_ms_a_pour(name, of.rest):,.2f}" for name in programs]),
        "",
        f"| messages a second | at rest | festival, {of.festival.pours_a_s:.1f} pours a second |",
        "|---|---|---|",
        *_message_rows(of),
        "",
        "| all at once, seconds until | the first | half | nine of ten | the last |",
        "|---|---|---|---|---|",
        _came("all nodes are started: a tap is online", of.connected),
        _came("all nodes were killed, a guest waits at each tap: a pour is settled", of.nodes_cut),
        _came("broker, core and admin API were killed: a tap is online again", of.services_cut),
        _came("all of them were killed, a guest waits at each tap: a pour is settled", of.all_cut),
    ]
    return "\n".join(lines) + "\n"


def _message_rows(of: FleetFigures) -> list[str]:
    leaves = sorted({*of.rest.messages_a_s, *of.festival.messages_a_s})
    both: tuple[Load, Load] = (of.rest, of.festival)
    return [
        *(
            _row(
                "core workers' heartbeats" if leaf == "core" else f"`{leaf}`",
                [f"{one.messages_a_s.get(leaf, 0):,.1f}" for one in both],
            )
            for leaf in leaves
        ),
        _row("all that are published", [f"{sum(one.messages_a_s.values()):,.1f}" for one in both]),
        _row("their payload, kB a second", [f"{one.bytes_a_s / 1_000:,.1f}" for one in both]),
        _row("deliveries that follow, each heartbeat of a worker to each tap", [f"{deliveries_a_s(of, one):,.0f}" for one in both]),
    ]


def _came(what: str, came: Came) -> str:
    return _row(what, [f"{value:.1f}" for value in (came.first_s, came.half_s, came.most_s, came.last_s)])


# ── a long past ─────────────────────────────────────────────────────────────


def history_text(report: HistoryReport) -> str:
    """Disk, check, reports, backup and restore."""
    lines = [
        *_origin(report.machine),
        f"{report.pours:,} pours of {report.taps} taps at 20 venues in {report.nights} nights, made by SQL as our programs write them;",
        "PostgreSQL with `shared_buffers` of 1 GB. What retention deletes is there of the last month.",
        "",
        "| table | rows | rows' GB | indexes' GB | bytes a pour |",
        "|---|---|---|---|---|",
        *(_size_row(name, size, report) for name, size in list(report.sizes.items())[:LISTED]),
        f"| the whole database | | | {report.database_bytes / GB:.2f} in all | {report.database_bytes / report.pours:,.0f} |",
        "",
        "| what | time | memory of the program, MiB |",
        "|---|---|---|",
    ]
    for name, run in (
        ("`tapwire-core check`", report.check),
        ("backup", report.backup),
        ("restore, the check included", report.restore),
    ):
        if run is not None:
            lines.append(f"| {name} | {_time(run.seconds)} | {run.peak_mib:.0f} |")
    if report.backup_bytes is not None:
        lines.append(f"| the backup's file | {report.backup_bytes / GB:.2f} GB | |")
    if report.decisions is not None:
        young, old = min(report.decisions.young_ms), min(report.decisions.old_ms)
        ratio = f"{report.decisions.ratio} × that of a young venue, by turns; at best {old:.2f} ms against {young:.2f} ms"
        lines.append(f"| the wait for a grant, p50 | {ratio} | |")
    if report.reports is not None:
        lines += ["", "| asked of the REST API | first time, s | again, s | answer, kB |", "|---|---|---|---|"]
        lines += [
            f"| {name}{'' if asked.status < REFUSED else f' (HTTP {asked.status})'} | {asked.first_s:.2f} | {asked.again_s:.2f} "
            f"| {asked.answer_bytes / 1_000:.1f} |"
            for name, asked in report.reports.items()
        ]
    return "\n".join(lines) + "\n"


REFUSED: Final = 400


def partitions_text(report: HistoryReport) -> str:
    """What monthly partitions would change."""
    assert report.partitions is not None
    cuts = report.partitions
    rows = {
        "size, GB": [f"{cut.bytes_whole / GB:.2f} → {cut.bytes_cut / GB:.2f}" for cut in cuts.values()],
        "to read the latest month, s": [f"{cut.month_whole_s:.2f} → {cut.month_cut_s:.2f}" for cut in cuts.values()],
        "to write one row of many, ms": [f"{cut.insert_whole_ms:.3f} → {cut.insert_cut_ms:.3f}" for cut in cuts.values()],
        "to delete the oldest month, s": [f"{cut.delete_whole_s:.2f} → {cut.drop_cut_s:.2f}" for cut in cuts.values()],
        "to copy all into partitions, with indexes, s": [f"{cut.copy_s:.0f}" for cut in cuts.values()],
    }
    head = " | ".join(f"`{name}`, {cut.months} months" for name, cut in cuts.items())
    return (
        "\n".join([f"| whole → cut | {head} |", f"|---|{'---|' * len(cuts)}", *(_row(name, row) for name, row in rows.items())])
        + "\n"
    )


def _size_row(name: str, size: TableSize, report: HistoryReport) -> str:
    indexes = sum(size.index_bytes.values())
    return (
        f"| `{name}` | {size.rows:,} | {size.heap_bytes / GB:.2f} | {indexes / GB:.2f} | {size.total_bytes / report.pours:,.0f} |"
    )


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < MINUTES_FROM_S else f"{seconds / 60:.1f} minutes"


MINUTES_FROM_S: Final = 120


# ── on paper ────────────────────────────────────────────────────────────────


def paper_text(taps: TapsReport, history: HistoryReport) -> str:
    """What 10,000 taps need, each figure with its arithmetic."""
    of, pours_a_s = taps.figures, TAPS / SECONDS_A_POUR
    times, a_year = TAPS / of.taps, TAPS * POURS_A_DAY * DAYS

    def cores(program: str) -> str:
        rest, pour_ms = of.rest.cores[program] * times, of.festival.cpu_ms_a_pour(program, of.rest)
        needed = rest + pours_a_s * pour_ms / 1_000
        return (
            f"| processor of {program} | {of.rest.cores[program]:.3f} at rest × {times:g} + {pours_a_s:.0f} pours/s × {pour_ms:.2f} ms "
            f"| {needed:.2f} of a core; {max(1, -(-needed // FULL)):.0f} at {FULL:.0%} |"
        )

    def memory(program: str) -> str:
        kib = of.mib_a_tap(program) * KIB_A_MIB
        return (
            f"| memory of {program} | {of.empty_mib[program]:.0f} MiB + {TAPS:,} × {kib:.1f} KiB "
            f"| {of.empty_mib[program] + TAPS * kib / KIB_A_MIB:,.0f} MiB |"
        )

    rest, festival = deliveries_a_s(of, of.rest) * times, deliveries_a_s(of, of.festival) * times
    published = sum(of.festival.messages_a_s.values()) * times
    lines = [
        f"| what {TAPS:,} taps at {VENUES} venues need | arithmetic | result |",
        "|---|---|---|",
        f"| pours in the busiest hour | {TAPS:,} ÷ {SECONDS_A_POUR} s | {pours_a_s:.0f} a second |",
        f"| pours of a year | {TAPS:,} × {POURS_A_DAY} × {DAYS} | {a_year / 1e6:,.1f} million |",
        *(cores(program) for program in SERVICES),
        *(memory(program) for program in SERVICES),
        f"| messages published in the busiest hour | {sum(of.festival.messages_a_s.values()):,.0f} × {times:g} | {published:,.0f} a second |",
        f"| deliveries of the broker, at rest | {deliveries_a_s(of, of.rest):,.0f} × {times:g} | {rest:,.0f} a second |",
        f"| deliveries of the broker, busiest hour | {deliveries_a_s(of, of.festival):,.0f} × {times:g} | {festival:,.0f} a second |",
        f"| open files of the broker | 2 × {TAPS:,} connections | {2 * TAPS:,} |",
        f"| disk of a year, kept for good | {a_year / 1e6:,.1f} million × {history.bytes_a_pour:,.0f} bytes "
        f"| {a_year * history.bytes_a_pour / 1e12:.2f} TB |",
        _passing_row(history),
    ]
    if history.backup is not None and history.backup_bytes is not None:
        share = a_year / history.pours
        lines.append(
            f"| a backup after a year | {_time(history.backup.seconds)} and {history.backup_bytes / GB:.1f} GB × {share:.1f} "
            f"| {history.backup.seconds * share / 3_600:.1f} hours, {history.backup_bytes * share / GB:,.0f} GB |"
        )
    if history.restore is not None:
        share = a_year / history.pours
        lines.append(
            f"| a restore after a year | {_time(history.restore.seconds)} × {share:.1f} "
            f"| {history.restore.seconds * share / 3_600:.1f} hours |"
        )
    if history.check is not None:
        share = a_year / history.pours
        lines.append(
            f"| a check after a year | {history.check.seconds:.0f} s × {share:.1f} | {history.check.seconds * share / 60:.0f} minutes |"
        )
    return "\n".join(lines) + "\n"


def _passing_row(history: HistoryReport) -> str:
    month = sum(history.sizes[name].total_bytes for name in PASSING if name in history.sizes)
    nights = min(history.nights, 30)
    a_pour = month / (history.pours / history.nights * nights)
    of_month = TAPS * POURS_A_DAY * 30
    return f"| disk of answers and reports, a month | {of_month / 1e6:,.1f} million × {a_pour:,.0f} bytes | {of_month * a_pour / GB:,.0f} GB |"


def _origin(machine: Machine) -> list[str]:
    return [
        f"Measured on {machine.measured_at} with {machine.software} on {machine.processor}, {machine.cores} cores, {machine.memory_gb} GB;",
        f"{machine.system}; Python {machine.python}; {machine.postgres}; {machine.mosquitto}.",
    ]


def _row(name: str, cells: list[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"
