"""Webhooks and their deliveries, for engineers, and events made of audit entries with the objects of the other views."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec
from msgspec import Struct
from sqlalchemy import Select, case, func, select, true

from tapwire_contracts.reasons import AuditAction, WebhookEventType
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Webhook, WebhookDelivery, WebhookEvent
from tapwire_core.db.views.audit import AuditEntryView
from tapwire_core.db.views.incidents import IncidentView, incidents_by_id
from tapwire_core.db.views.money import Booked, MovementKind, bookings_at
from tapwire_core.db.views.pours import PourView, pours_by_id
from tapwire_core.db.views.queries import FIRST_PAGE, Page, PageRequest, age_ms, read_one, read_page, table
from tapwire_core.db.views.shifts import ShiftView, shifts_by_id
from tapwire_core.db.views.visits import VisitInEvent, visits_by_id
from tapwire_core.domain.closed_sets import PaidBy
from tapwire_core.domain.webhooks import DeliveryCause, DeliveryStatus, OffReason

webhooks: Final = table(Webhook)
events: Final = table(WebhookEvent)
deliveries: Final = table(WebhookDelivery)

EVENT_NAMESPACE: Final = UUID("6f0f4f0e-7f0b-5c7e-9f53-0d3c6c5d2f4a")
"""Namespace of event ids, which are derived from the audit entry: a replayed event keeps its id."""

POUR_EVENTS: Final[Mapping[str, WebhookEventType]] = {
    AuditAction.POUR_AUTHORIZED: WebhookEventType.POUR_AUTHORIZED,
    AuditAction.POUR_SYNCED: WebhookEventType.POUR_SETTLED,
    AuditAction.OVERPOUR_CHARGED: WebhookEventType.POUR_SETTLED,
    AuditAction.OVERPOUR_WRITTEN_OFF: WebhookEventType.POUR_SETTLED,
    AuditAction.RECONCILE_DONE: WebhookEventType.POUR_RECONCILED,
    AuditAction.SYNC_REJECTED_INSUFFICIENT_FUNDS: WebhookEventType.POUR_REJECTED,
    AuditAction.POUR_VOIDED: WebhookEventType.POUR_VOIDED,
    AuditAction.VISIT_FORCE_UNLOCK: WebhookEventType.POUR_VOIDED,
}
MONEY_EVENTS: Final[Mapping[str, WebhookEventType]] = {
    AuditAction.TOP_UP: WebhookEventType.TOP_UP_BOOKED,
    AuditAction.REFUND: WebhookEventType.REFUND_BOOKED,
    AuditAction.ADJUSTMENT: WebhookEventType.ADJUSTMENT_BOOKED,
    AuditAction.COMP: WebhookEventType.COMP_BOOKED,
    AuditAction.PAYMENT_PAID: WebhookEventType.TOP_UP_BOOKED,
    AuditAction.TOP_UP_REVERSED: WebhookEventType.TOP_UP_REVERSED,
    AuditAction.DEPOSIT_TAKEN: WebhookEventType.DEPOSIT_BOOKED,
    AuditAction.DEPOSIT_RETURNED: WebhookEventType.DEPOSIT_BOOKED,
    AuditAction.DEPOSIT_FORFEITED: WebhookEventType.DEPOSIT_BOOKED,
}
VISIT_EVENTS: Final[Mapping[str, WebhookEventType]] = {
    AuditAction.VISIT_OPENED: WebhookEventType.VISIT_OPENED,
    AuditAction.VISIT_CLOSED: WebhookEventType.VISIT_CLOSED,
}
INCIDENT_EVENTS: Final[Mapping[str, WebhookEventType]] = {
    AuditAction.INCIDENT_RAISED: WebhookEventType.INCIDENT_RAISED,
    AuditAction.INCIDENT_RESOLVED: WebhookEventType.INCIDENT_RESOLVED,
}
SHIFT_EVENTS: Final[Mapping[str, WebhookEventType]] = {
    AuditAction.SHIFT_OPENED: WebhookEventType.SHIFT_OPENED,
    AuditAction.SHIFT_CLOSED: WebhookEventType.SHIFT_CLOSED,
}
DRAWER_EVENTS: Final[Mapping[str, WebhookEventType]] = {
    AuditAction.SHIFT_COUNTED: WebhookEventType.SHIFT_COUNTED,
    AuditAction.CASH_MOVED: WebhookEventType.CASH_MOVED,
}
PAYMENT_EVENTS: Final[Mapping[str, WebhookEventType]] = {AuditAction.PAYMENT_REVERSED: WebhookEventType.PAYMENT_REVERSED}
"""Events of the drawer and of payments carry what their audit entries say."""
GUEST_EVENTS: Final[Mapping[str, WebhookEventType]] = {AuditAction.GUEST_ERASED: WebhookEventType.GUEST_ERASED}
EVENT_OF: Final[Mapping[str, WebhookEventType]] = {
    **POUR_EVENTS,
    **MONEY_EVENTS,
    **VISIT_EVENTS,
    **INCIDENT_EVENTS,
    **SHIFT_EVENTS,
    **DRAWER_EVENTS,
    **PAYMENT_EVENTS,
    **GUEST_EVENTS,
}
"""The event type of each audited action; other actions make no event."""

OMITTED_FIELDS: Final = frozenset({"age_ms", "progress_ml", "comment", "reason", "reversed_by_movement_id"})
"""Fields left out of events: values true only at the moment of reading, and texts that may be about people."""


class WebhookView(Struct, frozen=True):
    """An endpoint; `failures` since its last success, `waiting` deliveries, of which the oldest is `oldest_waiting_ms` old."""

    webhook_id: UUID
    url: str
    description: str | None
    event_types: tuple[WebhookEventType, ...]
    enabled: bool
    off_reason: OffReason | None
    old_secret_until: datetime | None
    failures: int
    failing_since: datetime | None
    retry_at: datetime | None
    waiting: int
    oldest_waiting_ms: int
    replaying: bool
    created_at: datetime
    created_by: str


class DeliveryView(Struct, frozen=True):
    """The delivery of an event to an endpoint. `due_at`: time of the next attempt. `answer`: the start of the latest answer."""

    delivery_id: UUID
    webhook_id: UUID
    event_id: UUID
    event_type: WebhookEventType
    occurred_at: datetime
    cause: DeliveryCause
    status: DeliveryStatus
    attempts: int
    due_at: datetime | None
    attempted_at: datetime | None
    delivered_at: datetime | None
    answer_status: int | None
    answer: str | None
    error: str | None
    duration_ms: int | None
    created_at: datetime


class DeliveryDetail(DeliveryView, frozen=True):
    """A delivery with the exact body that is sent."""

    payload: str


class OutgoingEvent(Struct, frozen=True):
    """An event, as stored and sent."""

    event_id: UUID
    audit_id: int | None
    event_type: WebhookEventType
    occurred_at: datetime
    payload: str


async def list_webhooks(db: Database, page: PageRequest = FIRST_PAGE) -> Page[WebhookView]:
    """Endpoints, the oldest first."""
    return await read_page(db, _webhooks(), WebhookView, [webhooks.c.created_at, webhooks.c.webhook_id], page)


async def get_webhook(db: Database, webhook_id: UUID) -> WebhookView | None:
    """One endpoint."""
    return await read_one(db, _webhooks().where(webhooks.c.webhook_id == webhook_id), WebhookView)


async def list_deliveries(
    db: Database, webhook_id: UUID, *, status: DeliveryStatus | None = None, page: PageRequest = FIRST_PAGE
) -> Page[DeliveryView]:
    """List an endpoint's deliveries, the latest first."""
    statement = _deliveries().where(deliveries.c.webhook_id == webhook_id)
    if status is not None:
        statement = statement.where(deliveries.c.status == status.value)
    return await read_page(
        db, statement, DeliveryView, [deliveries.c.created_at, deliveries.c.delivery_id], page, newest_first=True
    )


async def get_delivery(db: Database, webhook_id: UUID, delivery_id: UUID) -> DeliveryDetail | None:
    """One delivery to an endpoint, with its body."""
    statement = _deliveries().add_columns(events.c.payload)
    one = (deliveries.c.webhook_id == webhook_id) & (deliveries.c.delivery_id == delivery_id)
    return await read_one(db, statement.where(one), DeliveryDetail)


async def make_events(db: Database, entries: Iterable[AuditEntryView], wanted: Collection[str]) -> list[OutgoingEvent]:
    """Make the events of audit entries, in their order; only those of the wanted types."""
    typed = [(entry, EVENT_OF[entry.action]) for entry in entries if entry.action in EVENT_OF]
    of_interest = [entry for entry, kind in typed if kind in wanted]
    bookings = await _bookings_of(db, [entry for entry in of_interest if entry.action in MONEY_EVENTS])
    objects: dict[UUID, PourView | VisitInEvent | IncidentView | ShiftView] = {
        **{visit.visit_id: visit for visit in await visits_by_id(db, _subjects(of_interest, VISIT_EVENTS))},
        **{pour.pour_id: pour for pour in await pours_by_id(db, _subjects(of_interest, POUR_EVENTS))},
        **{incident.incident_id: incident for incident in await incidents_by_id(db, _subjects(of_interest, INCIDENT_EVENTS))},
        **{shift.shift_id: shift for shift in await shifts_by_id(db, _subjects(of_interest, SHIFT_EVENTS))},
    }
    found: list[OutgoingEvent] = []
    for entry, kind in typed:
        subject = _subject(entry)
        if kind in wanted and entry.audit_id in bookings:
            found.append(_make_event(entry, kind, bookings[entry.audit_id], subject))
        elif kind in wanted and entry.action in DRAWER_EVENTS:
            booked = {"shift_id": subject, "venue_id": entry.venue_id, "currency": db.policy.currency, **entry.details}
            found.append(_make_event(entry, kind, booked, subject))
        elif kind in wanted and entry.action in PAYMENT_EVENTS:
            reversed_payment = {"venue_id": entry.venue_id, "currency": db.policy.currency, **entry.details}
            found.append(_make_event(entry, kind, reversed_payment, subject))
        elif kind in wanted and entry.action in GUEST_EVENTS:
            found.append(_make_event(entry, kind, {"guest_id": subject, "erased_at": entry.created_at}, subject))
        elif kind in wanted and subject in objects:
            found.append(_make_event(entry, kind, msgspec.to_builtins(objects[subject]), subject))
    return found


def payload_of(event_id: UUID, kind: WebhookEventType, at: datetime, content: Mapping[str, Any]) -> str:
    """The body that is signed and sent, as JSON."""
    data = {name: value for name, value in content.items() if name not in OMITTED_FIELDS}
    body = {"id": event_id, "type": kind, "timestamp": at, "venue_id": data.get("venue_id"), "data": data}
    return msgspec.json.encode(body).decode()


def _make_event(entry: AuditEntryView, kind: WebhookEventType, content: Mapping[str, Any], subject: UUID) -> OutgoingEvent:
    event_id = uuid5(EVENT_NAMESPACE, f"{entry.audit_id} {entry.created_at.isoformat()} {kind} {subject}")
    return OutgoingEvent(event_id, entry.audit_id, kind, entry.created_at, payload_of(event_id, kind, entry.created_at, content))


async def _bookings_of(db: Database, entries: Sequence[AuditEntryView]) -> dict[int, dict[str, Any]]:
    """The booking of each audit entry, by the entry's id; they share time, account and amount."""
    left = await bookings_at(db, {(_subject(entry), entry.created_at) for entry in entries})
    found: dict[int, dict[str, Any]] = {}
    for entry in entries:
        booked = next((booking for booking in left if _is_of(booking, entry)), None)
        if booked is not None:
            left.remove(booked)
            found[entry.audit_id] = {**msgspec.to_builtins(booked), "balance_minor": entry.details.get("balance_minor")}
    return found


def _is_of(booking: Booked, entry: AuditEntryView) -> bool:
    is_same = (booking.guest_id, booking.created_at) == (_subject(entry), entry.created_at)
    kind: str = AuditAction.TOP_UP_REVERSED if booking.kind is MovementKind.REVERSAL else booking.kind
    if booking.kind is MovementKind.TOP_UP and booking.method is PaidBy.ONLINE_PAYMENT:
        kind = AuditAction.PAYMENT_PAID
    return is_same and (kind, booking.amount_minor) == (entry.action, entry.details.get("amount_minor"))


def _subjects(entries: Iterable[AuditEntryView], actions: Collection[str]) -> list[UUID]:
    return [_subject(entry) for entry in entries if entry.action in actions]


def _subject(entry: AuditEntryView) -> UUID:
    """The entry's main subject, its first one; for a visit unlocked without a pour it is the visit."""
    return UUID(entry.subjects[0])


def _webhooks() -> Select[Any]:
    waiting = select(func.count(), func.min(deliveries.c.created_at)).where(
        deliveries.c.webhook_id == webhooks.c.webhook_id, deliveries.c.status == DeliveryStatus.PENDING.value
    )
    counted = waiting.lateral("waiting")
    count, oldest = counted.c
    return select(
        *(column for column in webhooks.c if "secret" not in column.name),
        case((webhooks.c.old_secret_until > func.now(), webhooks.c.old_secret_until)).label("old_secret_until"),
        count.label("waiting"),
        func.coalesce(age_ms(oldest), 0).label("oldest_waiting_ms"),
        webhooks.c.replay_after.is_not(None).label("replaying"),
    ).join_from(webhooks, counted, true())


def _deliveries() -> Select[Any]:
    due = case((deliveries.c.status == DeliveryStatus.PENDING.value, deliveries.c.due_at))
    return select(
        *(column for column in deliveries.c if column.name != "due_at"),
        due.label("due_at"),
        events.c.event_type,
        events.c.occurred_at,
    ).join(events, events.c.event_id == deliveries.c.event_id)
