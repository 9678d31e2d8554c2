"""One handler for each payload that a device sends: it calls the use case, sends the answer, and returns whether it was new."""

import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from tapwire_contracts.codec import encode, read_object
from tapwire_contracts.logs import structured
from tapwire_contracts.messages import (
    CardPresented,
    CardRemoved,
    Message,
    NodeState,
    PourCompleted,
    PourProgress,
    PourUnknown,
    ReaderCardPresented,
    UnattributedFlow,
    message_type,
)
from tapwire_contracts.reasons import Malformation
from tapwire_contracts.topics import DevicePath
from tapwire_core.db.engine import Database
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.authorization import Question
from tapwire_core.monitoring.metrics import GRANTED, WorkerMetrics
from tapwire_core.mqtt.connection import Publisher
from tapwire_core.mqtt.node_beats import NodeBeats
from tapwire_core.services.flows import readable_uuid, record_flow, refuse_unreadable_flow, refuse_unreadable_report
from tapwire_core.services.nodes import device_is_known, keep_unusable, note_pour_unknown, note_state
from tapwire_core.services.pour_batches import Batches
from tapwire_core.services.pours import (
    Answered,
    AuthorizationRequest,
    EventIdReused,
    RawMessage,
    SettlementRequest,
    UnknownTap,
    new_pour_id,
    report_of_node,
)

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HandlerContext:
    """The context of all handlers. `progress` has each tap's latest message until it is written."""

    db: Database
    publisher: Publisher
    batches: Batches
    metrics: WorkerMetrics = field(default_factory=WorkerMetrics)
    progress: dict[str, PourProgress] = field(default_factory=dict)
    beats: NodeBeats = field(default_factory=NodeBeats)

    async def send(self, path: DevicePath, answer: str) -> None:
        """Send an answer to the tap that asked."""
        await self.publisher.send_command(str(path), answer)

    async def keep(self, raw: RawMessage, malformation: Malformation, why: str, path: DevicePath | None) -> None:
        """Store a message that can't be used, and log it."""
        device = str(path) if path else None
        log.warning("dead letter on %s: %s, %s", raw.topic[:200], malformation, why)
        self.metrics.count_dead_letter()
        await keep_unusable(self.db, raw.topic, raw.payload, malformation, why, device)


UNKNOWN_DEVICE: Final = "no such tap is set up; create the tap, or revoke the device's credentials"


async def answer_card(context: HandlerContext, path: DevicePath, presented: CardPresented, raw: RawMessage) -> bool:
    """Answer a card that asks to pour."""
    fingerprint = hashlib.sha256(encode(presented)).hexdigest()
    actor = Actor(str(path), str(presented.event_id))
    question = Question.of_node(str(path), presented)
    match await context.batches.submit(AuthorizationRequest(question, fingerprint, actor, new_pour_id())):
        case EventIdReused():
            await context.keep(raw, Malformation.EVENT_ID_REUSED, "this event_id was used for another question", path)
        case Answered(payload, tap_known, is_repetition):
            await context.send(path, payload)
            answer = _answer.decode(payload)
            context.metrics.decisions.count_answer(answer.reason)
            _log_answer(path, presented, answer)
            if not tap_known:
                await context.keep(raw, Malformation.UNKNOWN_DEVICE, UNKNOWN_DEVICE, path)
            return tap_known and not is_repetition
    return False


async def settle_pour(context: HandlerContext, path: DevicePath, completed: PourCompleted, raw: RawMessage) -> bool:
    """Settle a reported pour."""
    report = report_of_node(str(path), completed)
    actor = Actor(str(path), str(completed.pour_id))
    content = msgspec.to_builtins(completed)
    answer = await context.batches.submit(SettlementRequest(report, completed.journal_id, actor, content, raw))
    verdict = answer.payload if isinstance(answer, Answered) else UnknownTap()
    await _send_verdict(context, path, raw, verdict)
    if isinstance(verdict, str):
        _log_verdict(path, completed.pour_id, completed.volume_ml, context.metrics.decisions.count_verdict(verdict))
    return isinstance(answer, Answered) and not answer.is_repetition


async def note_flow(context: HandlerContext, path: DevicePath, flow: UnattributedFlow, raw: RawMessage) -> bool:
    """Book beer that flowed without a grant."""
    await _send_verdict(context, path, raw, await record_flow(context.db, path, flow, raw))
    return True


async def note_unknown_pour(context: HandlerContext, path: DevicePath, unknown: PourUnknown, raw: RawMessage) -> bool:  # noqa: ARG001
    """Raise an incident for a pour that a tap no longer has in its journal."""
    await note_pour_unknown(context.db, path, unknown)
    return True


async def note_node(context: HandlerContext, path: DevicePath, state: NodeState, raw: RawMessage) -> bool:
    """Store a node's state; one that says nothing new is a heartbeat, which is stored with others a bit later."""
    if context.beats.collect(path, state):
        return True
    if await note_state(context.db, path, state):
        context.beats.remember(path, state)
        return True
    await context.keep(raw, Malformation.UNKNOWN_DEVICE, UNKNOWN_DEVICE, path)
    return False


async def note_progress(context: HandlerContext, path: DevicePath, progress: PourProgress, raw: RawMessage) -> bool:  # noqa: ARG001
    """Keep a pour's latest progress."""
    context.progress[str(path)] = progress
    return True


async def note_card(context: HandlerContext, path: DevicePath, card: CardRemoved | ReaderCardPresented, raw: RawMessage) -> bool:  # noqa: ARG001
    """Accept a card removed from a tap or presented at a desk reader; only the console shows it."""
    if await device_is_known(context.db, path):
        return True
    await context.keep(raw, Malformation.UNKNOWN_DEVICE, UNKNOWN_DEVICE, path)
    return False


async def answer_unreadable(
    context: HandlerContext, path: DevicePath, raw: RawMessage, malformation: Malformation, why: str
) -> None:
    """Store a message that can't be read; a fact with a readable id is answered all the same."""
    content = read_object(raw.payload) or {}
    kind, pour_id, event_id = content.get("type"), readable_uuid(content.get("pour_id")), readable_uuid(content.get("event_id"))
    if kind == message_type(PourCompleted) and pour_id is not None:
        verdict = await refuse_unreadable_report(context.db, path, pour_id, content, why, raw)
        await _send_verdict(context, path, raw, verdict)
        if isinstance(verdict, str):
            _log_verdict(path, pour_id, None, context.metrics.decisions.count_verdict(verdict))
    elif kind == message_type(UnattributedFlow) and event_id is not None:
        await _send_verdict(context, path, raw, await refuse_unreadable_flow(context.db, path, event_id, why, raw))
    else:
        await context.keep(raw, malformation, why, path)


async def _send_verdict(context: HandlerContext, path: DevicePath, raw: RawMessage, verdict: str | UnknownTap) -> None:
    match verdict:
        case UnknownTap():
            await context.keep(raw, Malformation.UNKNOWN_DEVICE, UNKNOWN_DEVICE, path)
        case str():
            await context.send(path, verdict)


def _log_answer(path: DevicePath, presented: CardPresented, answer: "_Answer") -> None:
    """Log a pour's first line; all later lines until its settlement have its `pour_id`."""
    event_id, card_uid, reason = presented.event_id, presented.card_uid, answer.reason
    facts = {"device": str(path), "event_id": str(event_id), "card_uid": card_uid, "answer": reason}
    named = ""
    if answer.pour_id is not None:
        facts["pour_id"] = str(answer.pour_id)
        named = f", pour {answer.pour_id}"
    log.info("%s asks for card %s: %s%s, event %s", path, card_uid, reason, named, event_id, extra=structured(facts))


def _log_verdict(path: DevicePath, pour_id: UUID, volume_ml: int | None, outcome: str) -> None:
    facts = {"device": str(path), "pour_id": str(pour_id), "volume_ml": volume_ml, "outcome": outcome}
    volume = "an unreadable volume" if volume_ml is None else f"{volume_ml} ml"
    log.info("%s reports %s: %s, pour %s", path, volume, outcome, pour_id, extra=structured(facts))


class _Answer(Struct):
    """The parts of an answer that are counted and logged: a grant has no reason, a denial no pour."""

    reason: str = GRANTED
    pour_id: UUID | None = None


_answer: Final = msgspec.json.Decoder(_Answer)


Handler = Callable[[HandlerContext, DevicePath, Any, RawMessage], Awaitable[bool]]
"""Returns whether the message was usable and new: the queue delays devices that send others."""

HANDLERS: Final[Mapping[type[Message], Handler]] = {
    CardPresented: answer_card,
    ReaderCardPresented: note_card,
    CardRemoved: note_card,
    PourProgress: note_progress,
    PourCompleted: settle_pour,
    PourUnknown: note_unknown_pour,
    UnattributedFlow: note_flow,
    NodeState: note_node,
}
"""Every payload that a device may send has exactly one handler."""
