"""The two decisions on pours: authorisation of a card's question, and settlement of a report. Each is made exactly once.

A decision is made in one transaction, alone or with others. Two that share a row (`rows`) are never made in the same transaction:
the later one must read the earlier one's changes.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import PourCompleted
from tapwire_contracts.reasons import DenyReason, Malformation
from tapwire_core.db.decisions import (
    NO_LOCK_TIMEOUT_MS,
    EarlierAnswer,
    LockedQuestion,
    LockedReport,
    QuestionKey,
    ReportKey,
    lock_together,
    write_changes,
)
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes.dead_letters import keep_dead_letter
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.answers import denial_message
from tapwire_core.domain.authorization import Question
from tapwire_core.domain.authorization_changes import answer_question
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.policy import Policy
from tapwire_core.domain.pour_reports import Report
from tapwire_core.domain.settlement import settle_new_report

NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class EventIdReused:
    """The question's `event_id` was already used for another question; it gets no answer."""


@dataclass(frozen=True, slots=True)
class UnknownTap:
    """There is no such tap; its message can't be booked."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer's payload; a repetition gets the remembered one to the letter.

    `tap_known`: the tap exists. `is_repetition`: the answer was remembered.
    """

    payload: str
    tap_known: bool = True
    is_repetition: bool = False


Answer = Answered | EventIdReused | UnknownTap


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message as received, kept as a dead letter if it is unusable."""

    topic: str
    payload: bytes


def new_pour_id() -> UUID:
    """Make an id that begins with the time: UUID version 7 (RFC 9562, section 5.7).

    So pours that are made together lie together in each index. With a random id each pour touches pages of its own in all indexes
    of a long past, and PostgreSQL logs each of them whole after a checkpoint. Nothing reads the time.
    """
    number = time.time_ns() // NS_PER_MS << 80 | secrets.randbits(80)
    number = number & ~(0xF << 76) | 0x7 << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)


def report_of_node(tap_path: str, completed: PourCompleted) -> Report:
    """Make a report from a tap node's `pour_completed`."""
    return Report(
        tap_path=tap_path,
        pour_id=completed.pour_id,
        card_uid=completed.card_uid,
        volume_ml=completed.volume_ml,
        duration_ms=completed.duration_ms,
        end_reason=completed.end_reason,
        odometer_from_ml=completed.odometer_from_ml,
        odometer_to_ml=completed.odometer_to_ml,
        boot_id=completed.boot_id,
    )


@dataclass(frozen=True, slots=True)
class Conclusion:
    """An answer, with its changes if it is a new one.

    `rows`: ids of the rows that it read and changes. `implausibility`: why the report is also kept as a dead letter.
    """

    answer: Answer
    changes: Changes | None = None
    rows: frozenset[UUID] = frozenset()
    implausibility: str | None = None


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A card's question (SYSTEM.md, "Authorisation").

    `fingerprint`: hash of the question's whole content, hex. `new_pour_id`: id of the pour, if it is granted.
    """

    question: Question
    fingerprint: str
    actor: Actor
    new_pour_id: UUID

    @property
    def key(self) -> QuestionKey:
        """The key of its locks and facts."""
        question = self.question
        return QuestionKey(
            tap_path=question.tap_path,
            card_uid=question.card_uid,
            journal_id=question.journal_id,
            event_id=question.event_id,
            boot_id=question.boot_id,
            seq=question.seq,
        )

    def conclude(self, locked: LockedQuestion | LockedReport | None, policy: Policy) -> Conclusion:
        """Answer the question from the locked facts."""
        assert isinstance(locked, LockedQuestion)
        if locked.earlier is not None:
            return Conclusion(self._repeat(locked.earlier, policy))
        facts = locked.facts
        assert facts is not None
        payload, changes = answer_question(self.question, self.fingerprint, facts, policy, self.new_pour_id, self.actor)
        return Conclusion(Answered(payload, tap_known=facts.tap is not None), changes, facts.rows)

    def _repeat(self, earlier: EarlierAnswer, policy: Policy) -> Answer:
        if earlier.fingerprint != self.fingerprint:
            return EventIdReused()
        if earlier.granted and not earlier.pending:
            denial = denial_message(self.question, DenyReason.STALE_REQUEST, None, policy)
            return Answered(encode(denial).decode(), is_repetition=True)
        return Answered(earlier.payload, is_repetition=True)


@dataclass(frozen=True, slots=True)
class SettlementRequest:
    """A report of a pour (SYSTEM.md, "Settlement"); `content` is the report as JSON, kept with its verdict."""

    report: Report
    journal_id: UUID | None
    actor: Actor
    content: object
    raw: RawMessage

    @property
    def key(self) -> ReportKey:
        """The key of its locks and facts."""
        return ReportKey(
            tap_path=self.report.tap_path,
            pour_id=self.report.pour_id,
            volume_ml=self.report.volume_ml,
            from_ml=self.report.odometer_from_ml,
            to_ml=self.report.odometer_to_ml,
            journal_id=self.journal_id,
            boot_id=self.report.boot_id,
        )

    def conclude(self, locked: LockedQuestion | LockedReport | None, policy: Policy) -> Conclusion:
        """Give the report its verdict from the locked facts."""
        assert not isinstance(locked, LockedQuestion)
        if locked is None:
            return Conclusion(UnknownTap())
        if locked.earlier_verdict is not None:
            return Conclusion(Answered(locked.earlier_verdict, is_repetition=True))
        assert locked.facts is not None
        settled = settle_new_report(
            self.report, self.journal_id, locked.facts, locked.overlapping, policy, self.actor, self.content
        )
        return Conclusion(Answered(settled.payload), settled.changes, locked.facts.rows, settled.implausibility)


DecisionRequest = AuthorizationRequest | SettlementRequest


async def decide_together(
    store: Store, decisions: Sequence[DecisionRequest], lock_timeout_ms: int = NO_LOCK_TIMEOUT_MS
) -> list[Answer | None]:
    """Make decisions of different taps in one transaction; None for one that shares a row with another, and must wait for the next.

    A row that another transaction holds for longer than `lock_timeout_ms` makes all of them fail (`db.failures.is_lock_timeout`).
    """
    locked = await lock_together(store, [decision.key for decision in decisions], lock_timeout_ms)
    answers, changed, taken = list[Answer | None](), list[Changes](), set[UUID]()
    for decision, locked_facts in zip(decisions, locked, strict=True):
        concluded = decision.conclude(locked_facts, store.policy)
        if not taken.isdisjoint(concluded.rows):
            answers.append(None)
            continue
        answers.append(concluded.answer)
        taken |= concluded.rows
        if concluded.changes is not None:
            changed.append(concluded.changes)
        if concluded.implausibility is not None:
            assert isinstance(decision, SettlementRequest)
            await _keep_implausible(store, decision, concluded.implausibility)
    await write_changes(store, *changed)
    return answers


make_decisions: Final = use_case(decide_together)


async def _keep_implausible(store: Store, decision: SettlementRequest, why: str) -> None:
    raw, device = decision.raw, decision.report.tap_path
    await keep_dead_letter(store, raw.topic, raw.payload, Malformation.INVALID_REPORT, why, device=device)


@use_case
async def authorize_pour(
    store: Store, question: Question, fingerprint: str, actor: Actor, new_pour_id: UUID
) -> Answered | EventIdReused:
    """Answer a card's question, exactly once; the arguments are those of `AuthorizationRequest`."""
    (answer,) = await decide_together(store, [AuthorizationRequest(question, fingerprint, actor, new_pour_id)])
    assert isinstance(answer, Answered | EventIdReused)
    return answer


@use_case
async def settle_report(
    store: Store, report: Report, journal_id: UUID | None, actor: Actor, content: object, raw: RawMessage
) -> str | UnknownTap:
    """Give a report its verdict, exactly once, and return its payload; the arguments are those of `SettlementRequest`."""
    (answer,) = await decide_together(store, [SettlementRequest(report, journal_id, actor, content, raw)])
    assert isinstance(answer, Answered | UnknownTap)
    return answer if isinstance(answer, UnknownTap) else answer.payload
