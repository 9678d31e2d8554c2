"""Conversion between facts and rows of the journal."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final
from uuid import UUID

from tapwire_contracts.messages import PourCompleted, UnattributedFlow
from tapwire_contracts.reasons import EndReason, FlowCause
from tapwire_node.controller.flow_facts import Closing, Fact

FACT_COLUMNS: Final = (
    "kind",
    "fact_id",
    "card_uid",
    "cause",
    "started_at",
    "duration_ms",
    "end_reason",
    "interrupted",
    "ended_ms",
    "odometer_from_ml",
    "odometer_to_ml",
    "journal_id",
    "boot_id",
    "tail_ml",
    "over_ml",
    "latency_ms",
)
Row = tuple[str | int | None, ...]


def fact_to_row(fact: Fact) -> Row:
    """The values of `FACT_COLUMNS` for a fact."""
    message = fact.message
    match message:
        case PourCompleted():
            own: Row = ("pour", str(message.pour_id), message.card_uid, None, message.started_at, message.duration_ms)
            end: Row = (message.end_reason.value, int(message.interrupted))
        case UnattributedFlow():
            own = ("flow", str(message.event_id), message.card_uid, message.cause.value, None, message.duration_ms)
            end = (None, 0)
    stretch = (message.odometer_from_ml, message.odometer_to_ml, str(message.journal_id), str(message.boot_id))
    closing: Row = (None, None, None)
    if fact.closing is not None:
        closing = (fact.closing.tail_ml, fact.closing.over_ml, fact.closing.latency_ms)
    return (*own, *end, fact.ended_ms, *stretch, *closing)


def read_row(row: sqlite3.Row) -> Fact | None:
    """Convert the row of an ended fact; None when it can't be read: a newer program wrote it, or a bit has flipped."""
    try:
        return row_to_fact(row)
    except ValueError:
        return None


def ids_of(rows: Iterable[sqlite3.Row], kind: str) -> Iterator[UUID]:
    """The ids of the facts of a kind, of unreadable rows too unless the id itself is unreadable."""
    for row in rows:
        if row["kind"] == kind:
            with suppress(ValueError):
                yield UUID(row["fact_id"])


def row_to_fact(row: sqlite3.Row) -> Fact:
    """Convert the row of an ended fact; raises `ValueError`."""
    volume_ml = row["odometer_to_ml"] - row["odometer_from_ml"]
    journal_id, boot_id = UUID(row["journal_id"]), UUID(row["boot_id"])
    closing = Closing(row["tail_ml"], row["over_ml"], row["latency_ms"]) if row["tail_ml"] is not None else None
    if row["kind"] == "flow":
        flow = UnattributedFlow(
            event_id=UUID(row["fact_id"]),
            cause=FlowCause(row["cause"]),
            volume_ml=volume_ml,
            duration_ms=row["duration_ms"],
            card_uid=row["card_uid"],
            age_ms=None,
            odometer_from_ml=row["odometer_from_ml"],
            odometer_to_ml=row["odometer_to_ml"],
            journal_id=journal_id,
            boot_id=boot_id,
        )
        return Fact(flow, row["ended_ms"], closing)
    if row["kind"] != "pour":
        raise ValueError(row["kind"])
    pour = PourCompleted(
        pour_id=UUID(row["fact_id"]),
        card_uid=row["card_uid"],
        volume_ml=volume_ml,
        duration_ms=row["duration_ms"],
        end_reason=EndReason(row["end_reason"]),
        interrupted=bool(row["interrupted"]),
        started_at=row["started_at"],
        age_ms=None,
        odometer_from_ml=row["odometer_from_ml"],
        odometer_to_ml=row["odometer_to_ml"],
        journal_id=journal_id,
        boot_id=boot_id,
    )
    return Fact(pour, row["ended_ms"], closing)
