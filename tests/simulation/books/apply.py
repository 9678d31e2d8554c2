"""The mirror of the schema's function `apply_together`, in its order, and of the schema's constraints."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import StopPour
from tapwire_contracts.reasons import IncidentKind, StopReason
from tapwire_core.domain.change_records import IncidentRaised, IncidentUpdated, MoneyMoved, PourEnded, PourGranted, StretchAccounted
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import Account, KegFinish, StockKind, TapStatus
from tests.simulation.books.rows import AnswerRow, GapRow, IncidentRow, JournalRow, PourRow, StockRow, StretchRow, Tables

STOCK_OF_FINISH: Final = {
    KegFinish.KICKED: StockKind.YIELD_LOSS,
    KegFinish.SPOILED: StockKind.SPOILED,
    KegFinish.RETURNED: StockKind.RETURNED,
}


class ConstraintBroken(Exception):
    """A change that the database would have refused: a rule is wrong."""


def apply_changes(tables: Tables, changes: Changes, now_ms: int, *, one_lease: bool = True) -> None:
    """Write all that a decision changes; `one_lease` is whether the two unique indexes of pending pours are there."""
    changes.complete()
    for ended in changes.ended:
        _end(tables, ended)
    if changes.lock_cleared is not None and tables.lease_of_visit(changes.lock_cleared.visit_id) is None:
        tables.visits[changes.lock_cleared.visit_id].active_tap_id = None
    if changes.granted is not None:
        _grant(tables, changes.granted, _tap_of(changes), now_ms, one_lease=one_lease)
    _move_money(tables, changes)
    _move_stock(tables, changes)
    book_finished_kegs(tables, changes)
    _note_pour(tables, changes)
    _suspect(tables, changes)
    _send_commands(tables, changes)
    _remember(tables, changes)
    _account_for_odometer(tables, changes)
    for updated in changes.updated:
        _update_incident(tables, updated)
    for resolved in changes.resolved:
        tables.incidents = {key: row for key, row in tables.incidents.items() if row.incident_id != resolved.incident_id}
    for entry in changes.audited:
        tables.audited[entry.action] = tables.audited.get(entry.action, 0) + 1
    causes = [(raised.kind, raised.cause) for raised in changes.raised]
    if len(set(causes)) < len(causes):
        raise ConstraintBroken(f"one statement raises an incident twice: {causes}")
    for raised in changes.raised:
        raise_incident(tables, raised.kind, raised.cause, raised.pour_id, _gap(raised), raised.details)


def raise_incident(
    tables: Tables,
    kind: IncidentKind,
    cause: str,
    pour_id: UUID | None,
    gap: GapRow | None = None,
    details: Mapping[str, Any] | None = None,
    *,
    count: bool = True,
) -> None:
    """Raise an incident, once per cause while it is unresolved; `count` is whether another time is counted."""
    known = tables.incidents.get((kind, cause))
    if known is None:
        tables.last_incident += 1
        incident_id = gap.incident_id if gap else UUID(int=tables.last_incident)
        tables.incidents[kind, cause] = IncidentRow(incident_id, pour_id, gap, dict(details or {}))
    elif count:
        known.occurrences += 1


def _gap(raised: IncidentRaised) -> GapRow | None:
    if raised.incident_id is None:
        return None
    return GapRow(raised.incident_id, raised.details["volume_ml"], raised.details.get("value_minor"))


def _update_incident(tables: Tables, updated: IncidentUpdated) -> None:
    row = next(row for row in tables.incidents.values() if row.incident_id == updated.incident_id)
    row.details |= updated.details
    row.occurrences += updated.seen_again
    if row.gap is not None:
        row.gap.volume_ml, row.gap.value_minor = updated.details["volume_ml"], updated.details["value_minor"]


def stop_pour(tables: Tables, path: str, pour_id: UUID, reason: StopReason) -> None:
    """Have a node told to end a pour."""
    tables.outbox.append((path, encode(StopPour(pour_id=pour_id, reason=reason)).decode()))


def _tap_of(changes: Changes) -> str:
    assert changes.tap_path is not None
    return changes.tap_path


def _end(tables: Tables, ended: PourEnded) -> None:
    pour = tables.pours[ended.pour_id]
    if pour.pending:
        pour.sync_status = ended.sync_status
        pour.volume_ml = pour.stock_ml = ended.volume_ml
        pour.amount_minor, pour.loss_minor, pour.end_reason = ended.amount_minor, ended.loss_minor, ended.end_reason
    tables.visits[ended.visit_id].active_tap_id = None


def _grant(tables: Tables, granted: PourGranted, path: str, now_ms: int, *, one_lease: bool) -> None:
    if one_lease and (tables.lease_of_tap(path) or tables.lease_of_visit(granted.visit_id)):
        raise ConstraintBroken(f"a second lease of {path} or of visit {granted.visit_id}")
    tables.pours[granted.pour_id] = PourRow(granted, path, now_ms, armed=tables.guests[granted.guest_id].rearms)
    tables.visits[granted.visit_id].active_tap_id = path.split("/")[2]


def _move_money(tables: Tables, changes: Changes) -> None:
    touched = {ended.guest_id for ended in changes.ended}
    if changes.granted is not None:
        touched.add(changes.granted.guest_id)
    for moved in changes.money:
        if moved.guest_id is not None:
            tables.guests[moved.guest_id].balance_minor += _effect_on_guest(moved)
            tables.guests[moved.guest_id].house_credit_minor += moved.house_credit_minor
            touched.add(moved.guest_id)
        if tables.drawer is not None and Account.CASH in (moved.debit_account, moved.credit_account):
            drawer, into = tables.drawer.by_the_books, moved.debit_account is Account.CASH
            change_minor = moved.amount_minor if into else -moved.amount_minor
            tables.drawer.by_the_books = replace(drawer, expected_minor=drawer.expected_minor + change_minor)
    tables.money += changes.money
    for guest_id in touched:
        guest = tables.guests[guest_id]
        guest.held_minor = tables.held_minor(guest_id)
        if not guest.balance_minor >= guest.held_minor >= 0:
            raise ConstraintBroken(f"guest {guest_id} has {guest.balance_minor}, of which {guest.held_minor} are held")
        if guest.house_credit_minor < 0:
            raise ConstraintBroken(f"guest {guest_id} has {guest.house_credit_minor} of house credit")


def _effect_on_guest(moved: MoneyMoved) -> int:
    if moved.credit_account is Account.GUEST:
        return moved.amount_minor
    return -moved.amount_minor if moved.debit_account is Account.GUEST else 0


def _move_stock(tables: Tables, changes: Changes) -> None:
    for moved in changes.stock:
        if moved.volume_ml == 0:
            raise ConstraintBroken("a stock movement of nothing")
        tables.stock.append(StockRow(moved.keg_id, moved.kind, moved.volume_ml, moved.cause_id))
        tables.kegs[moved.keg_id].book_ml -= moved.volume_ml


def book_finished_kegs(tables: Tables, changes: Changes) -> None:
    """The function of the same name: book what is left of finished kegs, or take it back, once no pour of theirs is pending."""
    touched = {tables.pours[ended.pour_id].granted.keg_id for ended in changes.ended}
    touched |= {moved.keg_id for moved in changes.stock} | {keg_id for keg_id in (changes.keg_finished,) if keg_id}
    for keg_id in sorted(touched):
        keg = tables.kegs[keg_id]
        is_poured = any(pour.pending and pour.granted.keg_id == keg_id for pour in tables.pours.values())
        if keg.finish is not None and keg.book_ml and not is_poured:
            tables.stock.append(StockRow(keg_id, STOCK_OF_FINISH[keg.finish], keg.book_ml, None))
            keg.book_ml = 0


def _note_pour(tables: Tables, changes: Changes) -> None:
    if changes.reported is not None:
        pour = tables.pours[changes.reported.pour_id]
        if changes.reported.stock_ml is None:
            pour.report_refused = True
        else:
            pour.reported, pour.stock_ml = True, changes.reported.stock_ml
    if changes.stopped is not None:
        tables.pours[changes.stopped.pour_id].stop_reason = changes.stopped.reason


def _suspect(tables: Tables, changes: Changes) -> None:
    path = changes.tap_path or ""
    if changes.set_back is not None:
        journal = tables.journals.setdefault((path, changes.set_back.journal_id), JournalRow())
        if changes.set_back.boot_id not in journal.set_back_boots:
            journal.set_back_boots.append(changes.set_back.boot_id)
    if changes.suspected is not None:
        journal = tables.journals[path, changes.suspected.journal_id]
        journal.suspect_boot_id, journal.suspect_revision = changes.suspected.boot_id, tables.taps[path].revision + 1


def _send_commands(tables: Tables, changes: Changes) -> None:
    if changes.tap_locked is not None:
        tables.taps[_tap_of(changes)].status = TapStatus.LOCKED
    for command in changes.commands:
        if command.payload is None:
            tables.taps[command.tap_path].revision += 1
        tables.outbox.append((command.tap_path, command.payload))


def _remember(tables: Tables, changes: Changes) -> None:
    path = changes.tap_path or ""
    if changes.answer is not None:
        answer = changes.answer
        tables.answers[path, answer.event_id] = AnswerRow(answer.payload, answer.pour_id, answer.journal_id, answer.seq)
        if answer.journal_id is not None and answer.seq is not None and path in tables.taps:
            journal = tables.journals.setdefault((path, answer.journal_id), JournalRow())
            if answer.seq > journal.highest_seq:
                journal.highest_seq, journal.highest_boot_id = answer.seq, answer.boot_id
    if changes.verdict is not None:
        said = changes.verdict
        key = (path, said.pour_id, said.volume_ml, said.odometer_from_ml, said.odometer_to_ml)
        tables.verdicts[key] = said.verdict
    if changes.flow is not None:
        tables.flows.add((path, changes.flow.event_id))


def _account_for_odometer(tables: Tables, changes: Changes) -> None:
    path = changes.tap_path or ""
    if changes.holes_reopened:
        tables.stretches = [row for row in tables.stretches if row.stretch_id not in changes.holes_reopened]
    for stretch in changes.stretches:
        _add_stretch(tables, path, stretch)
        journal = tables.journals.setdefault((path, stretch.journal_id), JournalRow())
        if journal.first_ml is None or stretch.from_ml < journal.first_ml:
            journal.first_ml, journal.covered_ml = stretch.from_ml, None
    if changes.covered is not None:
        journal = tables.journals.setdefault((path, changes.covered.journal_id), JournalRow())
        journal.first_ml, journal.covered_ml = changes.covered.first_ml, changes.covered.covered_ml


def _add_stretch(tables: Tables, path: str, stretch: StretchAccounted) -> None:
    key = (path, stretch.journal_id, stretch.fact_id, stretch.from_ml, stretch.to_ml)
    if any((row.tap_path, row.journal_id, row.fact_id, row.from_ml, row.to_ml) == key for row in tables.stretches):
        return
    if not 0 <= stretch.from_ml < stretch.to_ml:
        raise ConstraintBroken(f"a stretch that does not go forward: {stretch}")
    tables.last_stretch_id += 1
    tables.stretches.append(
        StretchRow(
            tables.last_stretch_id,
            path,
            stretch.journal_id,
            stretch.from_ml,
            stretch.to_ml,
            stretch.fact_id,
            stretch.is_hole,
            stretch.keg_id,
            stretch.boot_id,
        )
    )
