"""Changes made by a question: its answer, the grant, the audit entry, and the end of a pour that never started. Pure."""

from uuid import UUID

from tapwire_contracts.codec import encode
from tapwire_contracts.reasons import AuditAction, DenyReason
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.answers import denial_message, grant_message
from tapwire_core.domain.authorization import (
    Denied,
    Facts,
    Granted,
    Question,
    SetBackEvidence,
    TapFacts,
    authorize,
)
from tapwire_core.domain.change_records import AnswerRemembered, PourGranted
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.policy import Policy
from tapwire_core.domain.pours import PendingPour, PourEvent, end_pour


def answer_question(
    question: Question, fingerprint: str, facts: Facts, policy: Policy, new_pour_id: UUID, actor: Actor
) -> tuple[str, Changes]:
    """Answer a new question; return the answer's payload and its changes.

    `fingerprint`: hash of the question's whole content, hex. `new_pour_id`: id of the pour, if it is granted.
    """
    decision, tap = authorize(question, facts), facts.tap
    changes = Changes.by(
        actor,
        tap_path=question.tap_path,
        venue_id=tap.venue_id if tap else None,
        shift_id=tap.shift_id if tap else None,
    )
    if tap is not None:
        _note_evidence(question, decision.evidence, tap, changes)
    if decision.never_started is not None:
        _void_never_started(question, decision.never_started, changes)
    match decision.answer:
        case Granted() as granted:
            changes.granted = _grant(question, granted, facts, new_pour_id, changes)
            message = encode(grant_message(question, granted, changes.granted, facts, policy, decision.allowance_left_ml))
        case Denied(reason):
            _audit_denial(question, reason, facts, changes)
            message = encode(denial_message(question, reason, facts, policy, decision.allowance_left_ml))
    changes.answer = AnswerRemembered(
        event_id=question.event_id,
        fingerprint=fingerprint,
        payload=message.decode(),
        pour_id=changes.granted.pour_id if changes.granted else None,
        journal_id=question.journal_id,
        seq=question.seq,
        boot_id=question.boot_id,
    )
    return changes.answer.payload, changes


def _note_evidence(question: Question, evidence: SetBackEvidence, tap: TapFacts, changes: Changes) -> None:
    if evidence is SetBackEvidence.NONE:
        return
    assert question.journal_id
    assert question.boot_id
    if evidence is SetBackEvidence.PROOF:
        proof = {"seq": question.seq, "highest_seq": tap.highest_seq, "event_id": str(question.event_id)}
        changes.note_set_back(question.journal_id, question.boot_id, known=tap.set_back, **proof)
    elif not tap.suspected:
        changes.suspect_set_back(question.journal_id, question.boot_id)


def _void_never_started(question: Question, pour: PendingPour, changes: Changes) -> None:
    end_pour(pour, PourEvent.PROVED_NEVER_STARTED, changes)
    changes.stop_ended_pour(pour.pour_id)  # of two nodes with one journal the other may pour it
    changes.audit(
        AuditAction.POUR_VOIDED,
        pour.pour_id,
        pour.visit_id,
        pour.guest_id,
        question.tap_path,
        details={"why": "a newer question of the same journal proves that it never started"},
    )


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
        "request_id": str(question.event_id),
    }
    if granted.price_rule_id is not None:
        details["price_rule_id"] = granted.price_rule_id
    subjects = (new_pour_id, visit.visit_id, guest.guest_id, question.tap_path, question.card_uid)
    changes.audit(AuditAction.POUR_AUTHORIZED, *subjects, details=details)
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
        price_rule_id=granted.price_rule_id,
        max_volume_ml=granted.max_volume_ml,
        hold_minor=granted.hold_minor,
        boot_id=question.boot_id,
        odometer_seen_ml=tap.odometer_seen_ml,
        abv_hundredths=tap.abv_hundredths,
        tax_rate_bp=tap.tax_rate_bp,
    )


def _audit_denial(question: Question, reason: DenyReason, facts: Facts, changes: Changes) -> None:
    visit, guest = facts.visit, facts.guest
    details: dict[str, object] = {"reason": reason, "request_id": str(question.event_id)}
    if reason is DenyReason.TAP_LOCKED and facts.tap and facts.tap.identity_conflict:
        details["identity_conflict"] = True
    if reason is DenyReason.CARD_IN_USE_ON_OTHER_TAP and visit:
        details |= {"leased_tap": visit.leased_tap, "leased_pour_id": visit.leased_pour_id}
    if reason is DenyReason.INSUFFICIENT_FUNDS and guest:
        details |= {"balance_minor": guest.balance_minor, "held_minor": guest.held_minor}
    if reason is DenyReason.SERVING_LIMIT_REACHED and facts.tap and facts.tap.serving_limit and visit and guest and guest.served:
        limit = facts.tap.serving_limit
        details |= {"measure": limit.measure, "limit": limit.amount * visit.patrons, "used": guest.served.used}
    insufficient = reason is DenyReason.INSUFFICIENT_FUNDS
    changes.audit(
        AuditAction.INSUFFICIENT_FUNDS_DENIED if insufficient else AuditAction.POUR_DENIED,
        question.tap_path,
        question.card_uid,
        visit.visit_id if visit else None,
        guest.guest_id if guest else None,
        details=details,
    )
