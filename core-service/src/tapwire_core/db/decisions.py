"""The two round trips of a decision: lock and read the facts, write what changes. The SQL is in `db/sql/functions`."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from tapwire_contracts.reasons import IncidentKind
from tapwire_core.db.store import Store
from tapwire_core.domain.actor import CORE
from tapwire_core.domain.authorization import Facts
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.flows import LeakFacts
from tapwire_core.domain.odometers import OdometerFacts, StretchFacts
from tapwire_core.domain.pour_reports import CurrentTap, PourFacts, SettlementFacts


class EarlierAnswer(Struct, frozen=True):
    """The earlier answer to the same question; `pending`: the granted pour is still pending."""

    fingerprint: str
    payload: str
    granted: bool
    pending: bool


class LockedQuestion(Struct, frozen=True):
    """A question under its row locks: its earlier answer, or the facts to decide on."""

    earlier: EarlierAnswer | None = None
    facts: Facts | None = None


class LockedReport(Struct, frozen=True):
    """A report under its row locks: its earlier verdict, or the facts to settle on."""

    earlier_verdict: str | None = None
    facts: SettlementFacts | None = None
    overlapping: tuple[StretchFacts, ...] = ()


class QuestionKey(Struct, frozen=True, kw_only=True, tag_field="kind", tag="question"):
    """The key of a question's locks and facts."""

    tap_path: str
    card_uid: str
    journal_id: UUID | None
    event_id: UUID
    boot_id: UUID | None
    seq: int | None


class ReportKey(Struct, frozen=True, kw_only=True, tag_field="kind", tag="report"):
    """The key of a report's locks and facts."""

    tap_path: str
    pour_id: UUID
    volume_ml: int | None
    from_ml: int | None
    to_ml: int | None
    journal_id: UUID | None
    boot_id: UUID | None = None


class LockedFlow(Struct, frozen=True):
    """An unattributed flow under its row locks. `set_back_boots`: the boots that have an older copy of its journal."""

    recorded: bool
    tap: CurrentTap
    overlapping: tuple[StretchFacts, ...]
    leak: LeakFacts | None
    set_back_boots: tuple[str, ...] = ()


class LockedOdometer(Struct, frozen=True):
    """A journal's odometer under its tap's lock."""

    tap: CurrentTap
    odometer: OdometerFacts


class LockedPour(Struct, frozen=True):
    """A pour under its row locks, and the venue's open shift."""

    pour: PourFacts
    shift_id: UUID | None


_question: Final = msgspec.json.Decoder(LockedQuestion)
_report: Final = msgspec.json.Decoder(LockedReport | None)
_flow: Final = msgspec.json.Decoder(LockedFlow)
_odometer: Final = msgspec.json.Decoder(LockedOdometer)
_pour: Final = msgspec.json.Decoder(LockedPour)
_encoder: Final = msgspec.json.Encoder()

NO_LOCK_TIMEOUT_MS: Final = 0
"""No lock timeout: a lock waits until the statement's own timeout."""


async def lock_together(
    store: Store, keys: Sequence[QuestionKey | ReportKey], wait_ms: int = NO_LOCK_TIMEOUT_MS
) -> list[LockedQuestion | LockedReport | None]:
    """Lock the rows that these keys touch and read the facts of each; None for a report of an unknown tap.

    Rows are locked class by class, so that two batches never deadlock. A row that another transaction holds longer than
    `wait_ms` raises `asyncpg.LockNotAvailableError`.
    """
    found = await store.connection.fetch("SELECT lock_together($1, $2)", _encoder.encode(keys).decode(), wait_ms)
    decoders = (_question if isinstance(key, QuestionKey) else _report for key in keys)
    return [decoder.decode(facts or "null") for decoder, (facts,) in zip(decoders, found, strict=True)]


async def lock_report(store: Store, key: ReportKey) -> LockedReport | None:
    """Lock the rows that one report touches and read the facts; None when there is no such tap."""
    (locked,) = await lock_together(store, [key])
    assert not isinstance(locked, LockedQuestion)
    return locked


async def lock_flow(store: Store, tap_path: str, event_id: UUID, journal_id: UUID, from_ml: int, to_ml: int) -> LockedFlow | None:
    """Lock the rows that an unattributed flow touches and read the facts; None when there is no such tap."""
    found = await store.connection.fetchval("SELECT lock_flow($1, $2, $3, $4, $5)", tap_path, event_id, journal_id, from_ml, to_ml)
    return _flow.decode(found) if found else None


async def lock_odometer(store: Store, tap_path: str, journal_id: UUID) -> LockedOdometer | None:
    """Lock a tap and read a journal's odometer; None when there is no such tap, or a pour of it is pending."""
    found = await store.connection.fetchval("SELECT lock_odometer($1, $2)", tap_path, journal_id)
    return _odometer.decode(found) if found else None


async def lock_pour(store: Store, pour_id: UUID) -> LockedPour | None:
    """Lock a pour with its tap, visit, guest and keg; None when there is no such pour."""
    found = await store.connection.fetchval("SELECT lock_pour($1)", pour_id)
    return _pour.decode(found) if found else None


async def raise_incident(
    store: Store,
    kind: IncidentKind,
    cause: str,
    details: Mapping[str, Any],
    *,
    tap_path: str | None,
    venue_id: str | None,
    pour_id: UUID | None = None,
) -> None:
    """Raise an incident that belongs to no decision."""
    changes = Changes.by(CORE, tap_path=tap_path, venue_id=venue_id)
    changes.raise_incident(kind, cause, details, pour_id=pour_id)
    await write_changes(store, changes)


async def write_changes(store: Store, *decided: Changes) -> None:
    """Complete and write the changes of decisions, commands to the tap included."""
    for changes in decided:
        changes.complete()
        if changes.raised:
            changes.incident_budget = store.policy.device_incidents_per_hour
    if decided:
        await store.connection.execute("SELECT apply_together($1)", _encoder.encode(decided).decode())
