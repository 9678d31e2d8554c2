"""Recovery after a database was restored: make it safe to use, and settle facts that only the nodes still have."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from tapwire_contracts.card_uid import InvalidCardUid, normalize_card_uid
from tapwire_contracts.codec import encode
from tapwire_contracts.messages import PourCompleted, UnattributedFlow
from tapwire_contracts.reasons import AuditAction, EndReason, FlowCause
from tapwire_contracts.topics import DevicePath
from tapwire_core.db.engine import Database, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import restore, webhooks
from tapwire_core.db.writes.heartbeats import forget_heartbeats
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.webhooks import OffReason
from tapwire_core.errors import Invalid, NotFound
from tapwire_core.progress import Advance, untold
from tapwire_core.services.flows import record_flow
from tapwire_core.services.pours import RawMessage, UnknownTap, report_of_node, settle_report

RECORDED: Final = "recorded"
"""The outcome of a flow without a grant."""


class ExportedFact(Struct, frozen=True):
    """One line of `tapwire-node journal export`; its other fields are not needed for the books."""

    kind: str
    fact_id: UUID
    card_uid: str | None
    cause: FlowCause | None
    started_at: str | None
    duration_ms: int
    ended: int
    end_reason: EndReason | None
    interrupted: int
    odometer_from_ml: int
    odometer_to_ml: int
    journal_id: UUID
    boot_id: UUID


@dataclass(frozen=True, slots=True)
class SettledFact:
    """A fact of a journal with its outcome, new or remembered."""

    fact_id: UUID
    volume_ml: int
    outcome: str


class _Verdict(Struct):
    outcome: str


@use_case
async def begin_after_restore(store: Store, actor: Actor, taken_at: datetime) -> int:
    """Make a database in its state of `taken_at` safe to use; return the number of pours whose reports are requested again.

    It serves a backup, a point-in-time recovery, and a standby that missed commits. No core worker may run meanwhile. Webhooks are
    switched off: this may be a test copy, and receivers know of events that are missing here.
    """
    requested = await restore.ask_again_for_pending_pours(store)
    await restore.forget_commands(store)
    await forget_heartbeats(store)
    await restore.end_sessions(store)
    await restore.forget_guest_pages(store)
    switched_off = await webhooks.switch_all_off(store, OffReason.RESTORED)
    details = {"taken_at": taken_at.isoformat(), "pending_pours": requested, "webhooks_switched_off": switched_off}
    await store.audit(AuditAction.BACKUP_RESTORED, actor, details=details)
    return requested


async def settle_journal(
    db: Database, actor: Actor, path: DevicePath, lines: Iterable[str], advance: Advance = untold
) -> list[SettledFact]:
    """Give every ended fact of a node's exported journal its verdict; a known fact gets its earlier one.

    Raises `Invalid` before anything is booked when a line is not a fact, and `NotFound` for a tap that isn't set up.
    """
    facts = [_read(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    ended = [fact for fact in facts if fact.ended]
    settled: list[SettledFact] = []
    for fact in ended:
        advance("facts", len(settled), len(ended))
        settled.append(await _settle(db, actor, path, fact))
    return settled


def _read(number: int, line: str) -> ExportedFact:
    try:
        fact = msgspec.json.decode(line, type=ExportedFact)
        if fact.ended:
            _message(fact)
    except (msgspec.MsgspecError, InvalidCardUid) as error:
        raise Invalid(f"Line {number} is not a line of `tapwire-node journal export`: {error}", line=number) from error
    return fact


async def _settle(db: Database, actor: Actor, path: DevicePath, fact: ExportedFact) -> SettledFact:
    message = _message(fact)
    raw = RawMessage(f"journal:{path}", encode(message))
    if isinstance(message, UnattributedFlow):
        answer = await record_flow(db, path, message, raw)
    else:
        report = report_of_node(str(path), message)
        answer = await settle_report(db, report, message.journal_id, actor, msgspec.to_builtins(message), raw)
    if isinstance(answer, UnknownTap):
        raise NotFound("tap", path)
    outcome = RECORDED if isinstance(message, UnattributedFlow) else msgspec.json.decode(answer, type=_Verdict).outcome
    return SettledFact(fact.fact_id, message.volume_ml, outcome)


def _message(fact: ExportedFact) -> PourCompleted | UnattributedFlow:
    common = {
        "volume_ml": fact.odometer_to_ml - fact.odometer_from_ml,
        "duration_ms": fact.duration_ms,
        "age_ms": None,
        "odometer_from_ml": fact.odometer_from_ml,
        "odometer_to_ml": fact.odometer_to_ml,
        "journal_id": fact.journal_id,
        "boot_id": fact.boot_id,
        "card_uid": normalize_card_uid(fact.card_uid) if fact.card_uid is not None else None,
    }
    if fact.kind == "flow":
        return msgspec.convert(
            {"type": "unattributed_flow", "event_id": fact.fact_id, "cause": fact.cause, **common}, UnattributedFlow
        )
    pour = {"pour_id": fact.fact_id, "end_reason": fact.end_reason, "interrupted": bool(fact.interrupted)}
    return msgspec.convert({"type": "pour_completed", "started_at": fact.started_at, **pour, **common}, PourCompleted)
