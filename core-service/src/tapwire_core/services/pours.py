"""The two use cases that Tapwire exists for: a card asks to pour, a report is settled. Each is one transaction, exactly once."""

from dataclasses import dataclass
from uuid import UUID

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import PourCompleted
from tapwire_contracts.reasons import DenyReason, Malformation
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes.dead_letters import keep_dead_letter
from tapwire_core.db.writes.decisions import EarlierAnswer, lock_question, lock_report, write_changes
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.answering import answer_question
from tapwire_core.domain.authorization import Question
from tapwire_core.domain.messages import denial_message
from tapwire_core.domain.reports import Report
from tapwire_core.domain.settling import settle_new_report


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
    payload, changes = answer_question(question, fingerprint, locked.facts, store.house, new_pour_id, actor)
    await write_changes(store, changes)
    return Answered(payload, tap_known=locked.facts.tap is not None)


def _repeat(question: Question, fingerprint: str, earlier: EarlierAnswer, store: Store) -> Answered | EventIdReused:
    if earlier.fingerprint != fingerprint:
        return EventIdReused()
    if earlier.granted and not earlier.pending:
        return Answered(encode(denial_message(question, DenyReason.STALE_REQUEST, None, store.house)).decode())
    return Answered(earlier.payload)


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
    locked = await lock_report(
        store, report.tap_path, report.pour_id, report.binding_card, report.volume_ml, report.stretch, journal_id
    )
    if locked is None:
        return UnknownTap()
    if locked.earlier_verdict is not None:
        return locked.earlier_verdict
    assert locked.facts is not None
    settled = settle_new_report(report, journal_id, locked.facts, locked.overlapping, store.house, actor, content)
    if settled.why_not_believable is not None:
        why_not = settled.why_not_believable
        await keep_dead_letter(store, raw.topic, raw.payload, Malformation.INVALID_REPORT, why_not, device=report.tap_path)
    await write_changes(store, settled.changes)
    return settled.payload
