"""The two use cases that Tapwire exists for: a card asks to pour, a report is settled. Each is one transaction, exactly once."""

from dataclasses import dataclass
from uuid import UUID

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import PourCompleted
from tapwire_contracts.reasons import AuditAction, DenyReason, Malformation, SyncStatus
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes.dead_letters import keep_dead_letter
from tapwire_core.db.writes.decisions import EarlierAnswer, lock_question, lock_report, write_changes
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.authorization import Decision, Denied, Facts, Granted, PendingPour, Question, decide
from tapwire_core.domain.changes import (
    AnswerRemembered,
    Audited,
    Changes,
    PourEnded,
    PourGranted,
    StretchAccounted,
    VerdictRemembered,
)
from tapwire_core.domain.odometer import account_stretch
from tapwire_core.domain.pour import TRANSITIONS, PourEvent
from tapwire_core.domain.settlement import Report, refuse, settle, why_not_believable
from tapwire_core.services.answers import denial_message, grant_message, settled_message


@dataclass(frozen=True, slots=True)
class EventIdReused:
    """The question's `event_id` was used before for another question; it gets no answer."""


@dataclass(frozen=True, slots=True)
class UnknownTap:
    """There is no such tap; what it says can't be booked."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer's payload, to the letter the one that was remembered. `tap_known`: whether there is such a tap."""

    payload: str
    tap_known: bool = True


@use_case
async def authorize_pour(
    store: Store, question: Question, fingerprint: str, actor: Actor, new_pour_id: UUID
) -> Answered | EventIdReused:
    """Answer a card's question, exactly once (SYSTEM.md, "Authorisation").

    `fingerprint` (hex) is of the question's whole content, `new_pour_id` becomes the pour's id if one is granted.
    """
    locked = await lock_question(store, question)
    if locked.earlier is not None:
        return _repeat(question, fingerprint, locked.earlier, store)
    assert locked.facts is not None
    facts, decision = locked.facts, decide(question, locked.facts)
    tap = facts.tap
    changes = Changes(
        tap_path=question.tap_path,
        venue_id=tap.venue_id if tap else None,
        shift_id=tap.shift_id if tap else None,
        actor=actor.name,
        request_id=str(question.event_id),
    )
    if decision.never_started is not None:
        _void_never_started(question, decision.never_started, changes)
    payload = _record_answer(question, fingerprint, decision, facts, new_pour_id, store, changes)
    await write_changes(store, changes)
    return Answered(payload, tap_known=tap is not None)


def _repeat(question: Question, fingerprint: str, earlier: EarlierAnswer, store: Store) -> Answered | EventIdReused:
    if earlier.fingerprint != fingerprint:
        return EventIdReused()
    if earlier.granted and not earlier.pending:
        return Answered(encode(denial_message(question, DenyReason.STALE_REQUEST, None, store.house)).decode())
    return Answered(earlier.payload)


def _void_never_started(question: Question, pour: PendingPour, changes: Changes) -> None:
    changes.ended.append(
        PourEnded(
            pour_id=pour.pour_id,
            visit_id=pour.visit_id,
            guest_id=pour.guest_id,
            sync_status=TRANSITIONS[SyncStatus.PENDING_SYNC, PourEvent.PROVED_NEVER_STARTED],
        )
    )
    subjects = (str(pour.pour_id), str(pour.visit_id), str(pour.guest_id), question.tap_path)
    why = "a newer question of the same journal proves that it never started"
    changes.audited.append(Audited(action=AuditAction.POUR_VOIDED, subjects=subjects, details={"why": why}))


def _record_answer(
    question: Question,
    fingerprint: str,
    decision: Decision,
    facts: Facts,
    new_pour_id: UUID,
    store: Store,
    changes: Changes,
) -> str:
    match decision.answer:
        case Granted() as granted:
            pour = _grant(question, granted, facts, new_pour_id, changes)
            payload = encode(grant_message(question, granted, pour, facts, store.house)).decode()
            changes.granted = pour
        case Denied(reason):
            _audit_denial(question, reason, facts, changes)
            payload = encode(denial_message(question, reason, facts, store.house)).decode()
    changes.answer = AnswerRemembered(
        event_id=question.event_id,
        fingerprint=fingerprint,
        payload=payload,
        pour_id=changes.granted.pour_id if changes.granted else None,
        journal_id=question.journal_id,
        seq=question.seq,
    )
    return payload


def _grant(question: Question, granted: Granted, facts: Facts, new_pour_id: UUID, changes: Changes) -> PourGranted:
    tap, visit, guest = facts.tap, facts.visit, facts.guest
    assert tap
    assert visit
    assert guest
    assert tap.keg_id
    assert tap.beverage_id
    details = {
        "max_volume_ml": granted.max_volume_ml,
        "hold_minor": granted.hold_minor,
        "sell_price_per_liter_minor": granted.price_minor,
        "balance_minor": guest.balance_minor,
    }
    subjects = (str(new_pour_id), str(visit.visit_id), str(guest.guest_id), question.tap_path, question.card_uid)
    changes.audited.append(Audited(action=AuditAction.POUR_AUTHORIZED, subjects=subjects, details=details))
    return PourGranted(
        pour_id=new_pour_id,
        visit_id=visit.visit_id,
        guest_id=guest.guest_id,
        card_uid=question.card_uid,
        keg_id=tap.keg_id,
        beverage_id=tap.beverage_id,
        request_id=question.event_id,
        journal_id=question.journal_id,
        seq=question.seq,
        sell_price_per_liter_minor=granted.price_minor,
        max_volume_ml=granted.max_volume_ml,
        hold_minor=granted.hold_minor,
    )


def _audit_denial(question: Question, reason: DenyReason, facts: Facts, changes: Changes) -> None:
    visit, guest = facts.visit, facts.guest
    known = [str(visit.visit_id)] if visit else []
    known += [str(guest.guest_id)] if guest else []
    details: dict[str, object] = {"reason": reason}
    if reason is DenyReason.CARD_IN_USE_ON_OTHER_TAP and visit:
        details |= {"leased_tap": visit.leased_tap, "leased_pour_id": visit.leased_pour_id}
    if reason is DenyReason.INSUFFICIENT_FUNDS and guest:
        details |= {"balance_minor": guest.balance_minor, "held_minor": guest.held_minor}
    insufficient = reason is DenyReason.INSUFFICIENT_FUNDS
    changes.audited.append(
        Audited(
            action=AuditAction.INSUFFICIENT_FUNDS_DENIED if insufficient else AuditAction.POUR_DENIED,
            subjects=(question.tap_path, question.card_uid, *known),
            details=details,
        )
    )


@dataclass(frozen=True, slots=True)
class RawReport:
    """A report as it came, for the dead letter that it becomes when it can't be believed."""

    topic: str
    payload: bytes


def report_of_node(tap_path: str, completed: PourCompleted) -> Report:
    """The report that a tap node's `pour_completed` is."""
    return Report(
        tap_path=tap_path,
        pour_id=completed.pour_id,
        card_uid=completed.card_uid,
        volume_ml=completed.volume_ml,
        duration_ms=completed.duration_ms,
        end_reason=completed.end_reason,
        odometer_from_ml=completed.odometer_from_ml,
        odometer_to_ml=completed.odometer_to_ml,
    )


@use_case
async def settle_report(
    store: Store, report: Report, journal_id: UUID | None, actor: Actor, content: object, raw: RawReport
) -> str | UnknownTap:
    """Give a report its verdict, exactly once (SYSTEM.md, "Settlement"), and return the verdict's payload.

    `content` is the report as JSON, kept with its verdict. A report that can't be believed is also kept as a dead letter.
    """
    stretch = _stretch(report)
    locked = await lock_report(store, report.tap_path, report.pour_id, report.card_uid, report.volume_ml, stretch, journal_id)
    if locked is None:
        return UnknownTap()
    if locked.earlier_verdict is not None:
        return locked.earlier_verdict
    assert locked.facts is not None
    facts = locked.facts
    changes = Changes(
        tap_path=report.tap_path,
        venue_id=facts.tap.venue_id,
        shift_id=facts.tap.shift_id,
        actor=actor.name,
        request_id=actor.request_id,
    )
    why_not = why_not_believable(report, store.house)
    if why_not is not None:
        verdict = refuse(report, facts.pour, why_not, changes)
        await keep_dead_letter(store, raw.topic, raw.payload, Malformation.INVALID_REPORT, why_not, device=report.tap_path)
    else:
        verdict = settle(report, facts, store.house, changes)
    if stretch is not None and journal_id is not None:
        from_ml, to_ml = stretch
        accounted = StretchAccounted(journal_id=journal_id, from_ml=from_ml, to_ml=to_ml, fact_id=report.pour_id)
        account_stretch(accounted, report.volume_ml, locked.overlapping, changes)
    payload = encode(settled_message(report, verdict, store.house)).decode()
    changes.verdict = VerdictRemembered(
        pour_id=report.pour_id,
        volume_ml=report.volume_ml,
        odometer_from_ml=report.odometer_from_ml,
        odometer_to_ml=report.odometer_to_ml,
        report=content,
        verdict=payload,
    )
    await write_changes(store, changes)
    return payload


def _stretch(report: Report) -> tuple[int, int] | None:
    if report.odometer_from_ml is None or report.odometer_to_ml is None:
        return None
    return report.odometer_from_ml, report.odometer_to_ml
