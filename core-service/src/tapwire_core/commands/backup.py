"""`tapwire-core backup`, `restore`, `after-restore`, `restore-report`, `settle-journal`."""

import argparse
import asyncio
import socket
from collections import Counter
from collections.abc import Coroutine, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from tapwire_contracts.tasks import run_together
from tapwire_core.commands.backup_folder import back_up_periodically, delete_oldest, new_file
from tapwire_core.commands.common import COMMAND_LINE, DONE, NOT_DONE, open_database
from tapwire_core.commands.erasures_file import NAME, keep_erasures_file, read_erasures, write_erasures
from tapwire_core.commands.progress_line import progress_line
from tapwire_core.db.backup import load_backup, write_backup
from tapwire_core.db.engine import Database
from tapwire_core.db.schema import require_newest
from tapwire_core.db.views.restore import RestoreReport, read_restore_report
from tapwire_core.db.writes.heartbeats import MISSED_BEATS
from tapwire_core.domain.closed_sets import Program
from tapwire_core.payment_providers.configured import open_provider
from tapwire_core.payment_providers.provider import PaymentProvider, ProviderUnavailable
from tapwire_core.services.books import check_books
from tapwire_core.services.devices import read_path
from tapwire_core.services.guest_erasures import ErasuresRepeated, repeat_erasures
from tapwire_core.services.heartbeats import beat
from tapwire_core.services.payment_requests import ask_since
from tapwire_core.services.restore import begin_after_restore, settle_journal
from tapwire_core.settings import InvalidSettings, Settings
from tapwire_core.worker.heartbeats import instance_of_this_process, keep_heartbeat
from tapwire_core.worker.worker import run_until_signalled

NIGHTLY_H: Final = 24.0
"""Time between backups into a folder that a timer takes, as `tapwire-backup.timer` does."""
CLOCKS_DIFFER: Final = timedelta(hours=1)
"""Payments from so long before the backup are asked for too: the provider has another clock."""
LATE_H: Final = 2.0
"""Time that a backup may be late before it is missing; alerts.yml has the same 26 hours."""


def add_backup_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands for backups and restores."""
    backup = commands.add_parser("backup", help="copy the whole database into a file; workers may run")
    backup.add_argument("file", type=Path, help="the file, or a folder for a file named by the time")
    backup.add_argument("--keep", type=_positive, metavar="N", help="in a folder: delete all but the N newest backups afterwards")
    backup.add_argument(
        "--each-h", type=_positive, metavar="HOURS", help="in a folder: keep running, with a backup each HOURS hours"
    )
    backup.set_defaults(command=_backup)
    restore = commands.add_parser("restore", help="load a backup into a new database; stop all core workers first")
    restore.add_argument("file", type=Path)
    restore.set_defaults(command=_restore)
    after = commands.add_parser(
        "after-restore", help="make a database safe that was restored by other means; stop all core workers first"
    )
    after.add_argument("taken_at", type=_moment, help="the time of the restored state, such as 2026-05-01T20:00:00+02:00")
    after.add_argument(
        "--erasures", type=Path, metavar="FILE", help=f"the file of erasures; by default {NAME} in TAPWIRE_BACKUP_FOLDER"
    )
    after.set_defaults(command=_after_restore)
    commands.add_parser("restore-report", help="list what the latest restore left open, and what can't be recovered").set_defaults(
        command=_restore_report
    )
    journal = commands.add_parser("settle-journal", help="book the facts of a node's journal that the books lack")
    journal.add_argument("path", help="the node's path, VENUE/taps/TAP")
    journal.add_argument(
        "file", type=argparse.FileType(encoding="utf-8"), help="the output of `tapwire-node journal export`; - for stdin"
    )
    journal.set_defaults(command=_settle_journal)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected a whole number of at least 1")
    return number


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("add the time zone, such as 2026-05-01T20:00:00+02:00")
    return moment


async def _backup(settings: Settings, arguments: argparse.Namespace) -> int:
    folder = _folder_of(arguments)
    if folder is None:
        await _take(settings, arguments.file)
        return DONE

    async def take(file: Path) -> None:
        await _take(settings, file)
        if arguments.keep:
            delete_oldest(folder, arguments.keep)
        await _expect_the_next(settings, arguments.each_h or NIGHTLY_H)

    if arguments.each_h:
        await run_until_signalled(_run_beside(settings, folder, back_up_periodically(folder, arguments.each_h, take)))
    else:
        await take(new_file(folder))
    return DONE


async def _expect_the_next(settings: Settings, each_h: float) -> None:
    """Beat, so that the next backup's absence becomes an incident."""
    interval_ms = round((each_h + LATE_H) * 3_600_000 / MISSED_BEATS)
    async with Database.open(settings.database_url, settings.policy, pool_size=1) as db:
        await beat(db, Program.RECENT_BACKUP, socket.gethostname(), interval_ms)


async def _run_beside(settings: Settings, folder: Path, backups: Coroutine[None, None, None]) -> None:
    """Back up, with a heartbeat, and write erasures as they come: a backup is too late for those of after it."""
    async with Database.open(settings.database_url, settings.policy, pool_size=2) as db:
        heartbeat = keep_heartbeat(db, Program.BACKUP, instance_of_this_process())
        await run_together(backups, heartbeat, keep_erasures_file(db, folder))


def _folder_of(arguments: argparse.Namespace) -> Path | None:
    target: Path = arguments.file
    if target.is_dir():
        return target
    if arguments.keep or arguments.each_h:
        raise InvalidSettings(f"--keep and --each-h need a folder, and {target} is none")
    return None


async def _take(settings: Settings, file: Path) -> None:
    with progress_line() as advance:
        await _write_erasures(settings, file.parent)
        manifest = await write_backup(settings.database_url, file, advance)
    rows = sum(table.rows for table in manifest.tables)
    print(f"{file}: {rows} rows as of {_second(manifest.taken_at)}, revision {manifest.revision}.", flush=True)


async def _write_erasures(settings: Settings, folder: Path) -> None:
    """Write erasures beside the backups: the earlier ones of these don't have them."""
    await require_newest(settings.database_url)
    async with Database.open(settings.database_url, settings.policy, pool_size=1) as db:
        await write_erasures(db, folder)


async def _restore(settings: Settings, arguments: argparse.Namespace) -> int:
    erasures = arguments.file.parent / NAME
    erased = await asyncio.to_thread(_read_erasures, erasures)
    with progress_line() as advance:
        manifest = await load_backup(settings.owner_url, arguments.file, settings.database_url, advance)
    return await _begin(settings, manifest.taken_at, erasures, erased)


async def _after_restore(settings: Settings, arguments: argparse.Namespace) -> int:
    file = arguments.erasures or (settings.backup_folder and settings.backup_folder / NAME)
    if arguments.erasures and not arguments.erasures.is_file():
        raise InvalidSettings(f"--erasures: there is no file {arguments.erasures}")
    return await _begin(settings, arguments.taken_at, file, await asyncio.to_thread(_read_erasures, file))


async def _begin(settings: Settings, taken_at: datetime, erasures: Path | None, erased: list[UUID] | None) -> int:
    async with open_database(settings) as db:
        provider = open_provider(settings, db)
        with progress_line() as advance:
            advance("after the restore", 0, 0)
            await begin_after_restore(db, COMMAND_LINE, taken_at)
            advance("asking for payments", 0, 0)
            asked = await _ask_for_payments(db, provider, taken_at)
            repeated = await repeat_erasures(db, COMMAND_LINE, erased or ())
            advance("proving the books", 0, 0)
            differences = await check_books(db)
        report = await read_restore_report(db)
    for line in (*map(str, differences), *asked):
        print(line)
    assert report is not None
    print("\n".join(_lines(report)))
    print("\n".join(_lines_of_erasures(erasures, erased, repeated)))
    return NOT_DONE if differences else DONE


async def _ask_for_payments(db: Database, provider: PaymentProvider | None, taken_at: datetime) -> list[str]:
    """Book what the payment provider knows since the backup; returns what to say of it."""
    if provider is None:
        return []
    try:
        asked = await ask_since(db, provider, taken_at - CLOCKS_DIFFER)
    except ProviderUnavailable as error:
        return [f"{error}. Payments since the backup are missing: run this once more when it answers."]
    finally:
        await provider.close()
    return [
        f"The payment provider knows {asked.known} payments since the backup; all of them are in the books.",
        *(
            f"  not in the books, since its guest or visit is not: {said.provider_id}, {said.amount_minor} minor units: "
            "refund it at the provider"
            for said in asked.unknown
        ),
    ]


def _read_erasures(file: Path | None) -> list[UUID] | None:
    return read_erasures(file) if file is not None and file.is_file() else None


def _lines_of_erasures(file: Path | None, erased: list[UUID] | None, repeated: ErasuresRepeated) -> Iterator[str]:
    yield "\nErased guests:"
    if erased is None:
        yield f"  {file or 'TAPWIRE_BACKUP_FOLDER and --erasures'}: there is no such file."
        yield "  Guests who were erased after the backup are back: erase them again."
        return
    yield f"  {len(erased)} in {file}, {len(repeated.erased)} of them erased again"
    for guest_id, unsettled in repeated.unsettled.items():
        open_points = msgspec.json.encode(unsettled).decode()
        yield f"  {guest_id} has no name again, and is blocked; settle this, and the core erases them: {open_points}"


async def _restore_report(settings: Settings, arguments: argparse.Namespace) -> int:  # noqa: ARG001
    async with open_database(settings) as db:
        report = await read_restore_report(db)
    print("\n".join(_lines(report)) if report else "This database was never restored.")
    return DONE


async def _settle_journal(settings: Settings, arguments: argparse.Namespace) -> int:
    async with open_database(settings) as db:
        with progress_line() as advance:
            settled = await settle_journal(db, COMMAND_LINE, read_path(arguments.path), arguments.file, advance)
    for outcome, count in sorted(Counter(fact.outcome for fact in settled).items()):
        print(f"{outcome}: {count}")
    print(f"{len(settled)} facts, {sum(fact.volume_ml for fact in settled)} ml.")
    return DONE


def _second(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _lines(report: RestoreReport) -> Iterator[str]:
    yield f"The books are those of {_second(report.taken_at)}, restored {_second(report.restored_at)}."
    yield "\nThe nodes will send by themselves:"
    for pour in report.waiting_pours:
        yield f"  pour {pour.pour_id} at {pour.tap_path}, card {pour.card_uid}, up to {pour.max_volume_ml} ml: its node is asked"
    yield "  and every fact that has no verdict yet. Pours unknown to the books become incidents, with card, volume and value."
    yield "\nFacts that got their verdict after the backup, to bring back by hand:"
    yield "  at each tap: tapwire-node journal export --config tap.toml > journal.jsonl"
    yield "  here:        tapwire-core settle-journal VENUE/taps/TAP journal.jsonl"
    yield from (f"  not seen since: {tap}" for tap in report.silent_taps)
    yield "\nUnresolved since the restore:"
    yield from (f"  {incident.kind} {incident.tap or ''} {incident.details}" for incident in report.incidents)
    yield "\nCan't be recovered from any node; the latest entry of each kind in the books:"
    yield from (f"  {known.action}: {_second(known.at)} {' '.join(known.subjects)}" for known in report.last_known)
    yield "  Compare cash drawer, card terminal and people's memories with these. Devices revoked since then have access again."
