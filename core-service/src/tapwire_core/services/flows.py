"""Beer that flowed without a grant, and unreadable reports: each is recorded once and always answered."""

from collections.abc import Mapping
from uuid import UUID

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import MAX_INTEGER, FlowRecorded, UnattributedFlow
from tapwire_contracts.reasons import Malformation
from tapwire_contracts.topics import DevicePath
from tapwire_core.db.decisions import ReportKey, lock_flow, lock_report, write_changes
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes.dead_letters import keep_dead_letter
from tapwire_core.db.writes.taps import tap_exists
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.answers import settled_message
from tapwire_core.domain.change_records import StretchAccounted
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.flows import record_new_flow
from tapwire_core.domain.odometers import account_implausible
from tapwire_core.domain.pour_reports import CurrentTap, Report
from tapwire_core.domain.settlement import refuse
from tapwire_core.services.cleanings import record_measured_cleaning
from tapwire_core.services.pours import RawMessage, UnknownTap


@use_case
async def record_flow(store: Store, path: DevicePath, flow: UnattributedFlow, raw: RawMessage) -> str | UnknownTap:
    """Record an unattributed flow exactly once; return the answer's payload."""
    locked = await lock_flow(store, str(path), flow.event_id, flow.journal_id, flow.odometer_from_ml, flow.odometer_to_ml)
    if locked is None:
        return UnknownTap()
    if not locked.recorded:
        changes, set_back = _changes(path, locked.tap, str(flow.event_id)), str(flow.boot_id) in locked.set_back_boots
        why_not = record_new_flow(
            str(path), flow, locked.tap, locked.overlapping, locked.leak, store.policy, changes, set_back=set_back
        )
        if why_not is not None:
            await keep_dead_letter(store, raw.topic, raw.payload, Malformation.INVALID_REPORT, why_not, device=str(path))
        await write_changes(store, changes)
        if why_not is None:
            await record_measured_cleaning(store, Actor(str(path), str(flow.event_id)), str(path), locked.tap.venue_id, flow)
    return encode(FlowRecorded(event_id=flow.event_id)).decode()


def _changes(path: DevicePath, tap: CurrentTap, request_id: str | None = None) -> Changes:
    actor = Actor(str(path), request_id)
    return Changes.by(actor, tap_path=str(path), venue_id=tap.venue_id, shift_id=tap.shift_id, kegs=tap.kegs)


@use_case
async def refuse_unreadable_report(
    store: Store, path: DevicePath, pour_id: UUID, content: Mapping[str, object], why: str, raw: RawMessage
) -> str | UnknownTap:
    """Give a report of which only the `pour_id` can be read its verdict; a person must end the pour."""
    stretch, journal_id = readable_stretch(content), readable_uuid(content.get("journal_id"))
    from_ml, to_ml = stretch or (None, None)
    key = ReportKey(tap_path=str(path), pour_id=pour_id, volume_ml=None, from_ml=from_ml, to_ml=to_ml, journal_id=journal_id)
    locked = await lock_report(store, key)
    await keep_dead_letter(store, raw.topic, raw.payload, Malformation.INVALID_REPORT, why, device=str(path))
    if locked is None:
        return UnknownTap()
    assert locked.facts is not None
    pour = locked.facts.pour
    report = Report(str(path), pour_id, "", 0, 0, None, None, None)
    changes = _changes(path, locked.facts.tap)
    verdict = refuse(report, pour, why, changes)
    if stretch is not None and journal_id is not None:
        accounted = StretchAccounted(journal_id=journal_id, from_ml=stretch[0], to_ml=stretch[1], fact_id=pour_id)
        account_implausible(accounted, pour, locked.overlapping, changes)
    await write_changes(store, changes)
    return encode(settled_message(report, verdict, store.policy)).decode()


@use_case
async def refuse_unreadable_flow(store: Store, path: DevicePath, event_id: UUID, why: str, raw: RawMessage) -> str | UnknownTap:
    """Answer a flow of which only the `event_id` can be read, so that its node stops repeating it; its dead letter is for a person.

    Its volume stays a hole of the odometer, and is booked as one.
    """
    await keep_dead_letter(store, raw.topic, raw.payload, Malformation.INVALID_REPORT, why, device=str(path))
    if not await tap_exists(store, str(path)):
        return UnknownTap()
    return encode(FlowRecorded(event_id=event_id)).decode()


def readable_stretch(content: Mapping[str, object]) -> tuple[int, int] | None:
    """The odometer's stretch of an unreadable fact, if that much can be read."""
    from_ml, to_ml = content.get("odometer_from_ml"), content.get("odometer_to_ml")
    if type(from_ml) is int and type(to_ml) is int and 0 <= from_ml <= to_ml <= MAX_INTEGER:
        return from_ml, to_ml
    return None


def readable_uuid(value: object) -> UUID | None:
    """A UUID of an unreadable fact, if that much can be read."""
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
