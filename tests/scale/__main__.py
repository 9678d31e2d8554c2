"""`make scale`: measure very many taps, and a long past; keep the figures as JSON, and print them. `--docs` fills the docs' pages.

Many taps want the machine for themselves, and a past wants disk. `--folder` keeps the past for the next run.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import uvloop
from msgspec.structs import replace

from tapwire_core.commands.progress_line import progress_line
from tapwire_core.db.engine import Database
from tapwire_core.domain.policy import Policy
from tapwire_core.progress import Advance
from tapwire_demo.arguments import MakeParser
from tapwire_demo.postgres import EmbeddedPostgres
from tests.bench.pages import HISTORY, TAPS, fill_pages, keep_figures
from tests.bench.report import this_machine
from tests.bench.stage import ROOT
from tests.scale.fleet import NotInTime, TooFewFiles
from tests.scale.fleet_figures import measure_fleet
from tests.scale.history import HistoryPlan
from tests.scale.history_figures import (
    PAST,
    RESTORED,
    TooLittleDisk,
    forget_past,
    measure_decisions,
    measure_sizes,
    open_past,
    run_core,
)
from tests.scale.history_questions import measure_reports
from tests.scale.partitions import try_partitions
from tests.scale.report import HistoryReport, Moved, TapsReport, history_text, partitions_text, taps_text

FOLDER: Final = ROOT / ".tapwire" / "scale"
PARTS: Final = ("check", "reports", "decisions", "partitions", "moved")
"""What is measured of a past. `moved`, backup and restore, deletes it in between: both need not fit on the disk."""
BACKUP: Final = "past.backup"
SQL_VERSION: Final = "SELECT split_part(version(), ' on ', 1)"


async def scale_taps(tap_count: int, seconds: float, advance: Advance) -> TapsReport:
    """Measure very many taps."""
    figures, postgres = await measure_fleet(tap_count, seconds, advance)
    keep_figures(TAPS, report := TapsReport(this_machine(postgres), figures), FOLDER)
    return report


async def scale_history(pours: int, folder: Path, parts: list[str], advance: Advance) -> HistoryReport:
    """Measure parts of a past; each is kept at once, beside those of an earlier run on as many pours."""
    plan = HistoryPlan.of(pours)
    async with open_past(folder, pours, advance) as postgres, Database.open(postgres.url_of(PAST), Policy()) as db:
        report = HistoryReport(
            machine=this_machine(await db.pool.fetchval(SQL_VERSION)),
            pours=plan.total,
            nights=plan.nights,
            taps=plan.venues * plan.taps,
            database_bytes=await db.pool.fetchval("SELECT pg_database_size(current_database())"),
            sizes=await measure_sizes(db),
        )
        report = _with_earlier(report)
        for part in parts:
            advance(part, 0, 0)
            report = await _measure(part, report, postgres, db, folder, advance)
            keep_figures(HISTORY, report, FOLDER)
            print(f"… {part}", flush=True)
    return report


async def _measure(
    part: str, report: HistoryReport, postgres: EmbeddedPostgres, db: Database, folder: Path, advance: Advance
) -> HistoryReport:
    backup = folder / BACKUP
    match part:
        case "check":
            return replace(report, check=await run_core(postgres, PAST, folder, "check"))
        case "reports":
            return replace(report, reports=await measure_reports(postgres, db, folder, advance))
        case "decisions":
            return replace(report, decisions=await measure_decisions(postgres, db, advance))
        case "partitions":
            return replace(report, partitions=await try_partitions(postgres.url_of(PAST), report.pours, advance))
        case _:
            backup.unlink(missing_ok=True)
            written = await run_core(postgres, PAST, folder, "backup", str(backup))
            forget_past(folder)
            await postgres.drop_database(PAST)
            await postgres.create_database(RESTORED)
            restored = await run_core(postgres, RESTORED, folder, "restore", str(backup))
            return replace(report, moved=Moved(report.pours, written, backup.stat().st_size, restored))


def _with_earlier(report: HistoryReport) -> HistoryReport:
    """The report with the parts that an earlier run has measured on as many pours; backup and partitions name theirs."""
    file = FOLDER / f"{HISTORY}.json"
    if not file.exists():
        return report
    earlier = msgspec.json.decode(file.read_bytes(), type=HistoryReport)
    if earlier.pours != report.pours:
        return replace(report, moved=earlier.moved, partitions=earlier.partitions)
    return replace(report, **{part: getattr(earlier, part) for part in PARTS})


@contextmanager
def _folder_of(kept: Path | None) -> Iterator[Path]:
    """The folder of the past, or one that is deleted afterwards."""
    if kept is not None:
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="tapwire-past-", dir="/tmp") as folder:
        yield Path(folder)


async def main() -> int:
    """Measure, print and write."""
    arguments = parser().parse_args()
    try:
        with progress_line() as advance:
            if arguments.only != HISTORY:
                taps = await scale_taps(arguments.taps, arguments.seconds, advance)
                print(taps_text(taps), flush=True)
            if arguments.only != TAPS:
                with _folder_of(arguments.folder) as folder:
                    history = await scale_history(arguments.pours, folder, arguments.parts, advance)
                print(history_text(history), flush=True)
                if history.partitions is not None:
                    print(partitions_text(history), flush=True)
    except (TooFewFiles, TooLittleDisk, NotInTime) as error:
        print(f"make scale: {error}", file=sys.stderr)
        return 1
    if arguments.docs:
        for name in (TAPS, HISTORY):
            if (file := FOLDER / f"{name}.json").exists():
                keep_figures(name, msgspec.json.decode(file.read_bytes()))
        fill_pages()
    print(f"JSON is in {FOLDER}")
    return 0


def parser() -> argparse.ArgumentParser:
    """Sizes, and what to measure."""
    made = MakeParser(prog="make scale", description="What very many taps and a long past need.")
    made.add_argument("--taps", type=int, default=2_000)
    made.add_argument("--pours", type=int, default=10_000_000, help="of the past")
    made.add_argument("--seconds", type=float, default=120.0, help="of each stretch of load")
    made.add_argument("--only", choices=[TAPS, HISTORY], help="measure nothing else")
    made.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="of the past")
    made.add_argument("--folder", type=Path, help="where the past is made, and kept for the next run")
    made.add_argument("--docs", action="store_true", help="write docs/figures, and fill the pages")
    return made


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
