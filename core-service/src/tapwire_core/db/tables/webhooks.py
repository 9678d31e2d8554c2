"""Webhooks: endpoints, events and deliveries."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlmodel import Field, SQLModel

from tapwire_core.db.tables.columns import (
    closed_set,
    default_now,
    flag,
    key,
    number,
    optional_time,
    reference,
    required_time,
    string,
)
from tapwire_core.domain.webhooks import DeliveryCause, DeliveryStatus, OffReason


class Webhook(SQLModel, table=True):
    """An endpoint for events. Its secret is stored readable, since deliveries are signed with it.

    It gets events from `active_since` on. `failures` counts those since the last success, the first at `failing_since`. With a
    `replay_after` it gets earlier audit entries again, up to `replay_until`.
    """

    __tablename__ = "webhooks"
    __table_args__ = (
        closed_set("off_reason", OffReason),
        CheckConstraint("enabled = (off_reason IS NULL)", name="off_for_a_reason"),
        CheckConstraint("(old_secret IS NULL) = (old_secret_until IS NULL)", name="old_secret_ends"),
        CheckConstraint("(failures = 0) = (failing_since IS NULL)", name="failing_since_a_time"),
        CheckConstraint("(replay_after IS NULL) = (replay_until IS NULL)", name="replay_has_two_ends"),
    )

    webhook_id: UUID = key()
    url: str = string()
    description: str | None = string()
    event_types: list[str] = Field(sa_type=ARRAY(TEXT), nullable=False)
    enabled: bool = flag()
    off_reason: str | None = string()
    active_since: datetime = required_time()
    secret: str = string()
    old_secret: str | None = string()
    old_secret_until: datetime | None = optional_time()
    failures: int = number(default=0)
    failing_since: datetime | None = optional_time()
    retry_at: datetime | None = optional_time()
    replay_after: int | None = number()
    replay_until: int | None = number()
    created_at: datetime = default_now()
    created_by: str = string()


class WebhookCursor(SQLModel, table=True):
    """The last audit id of which events were made. The first webhook adds the only row; its lock selects the worker."""

    __tablename__ = "webhook_cursor"
    __table_args__ = (CheckConstraint("one = 1", name="only_row"),)

    one: int = Field(default=1, primary_key=True, sa_column_kwargs={"server_default": "1", "autoincrement": False})
    audit_id: int = number()


class WebhookEvent(SQLModel, table=True):
    """An event: the text that every delivery signs and sends. `audit_id`: null for a test."""

    __tablename__ = "webhook_events"
    __table_args__ = (Index("ix_webhook_events_created_at", "created_at"),)

    event_id: UUID = key()
    audit_id: int | None = number()
    event_type: str = string()
    occurred_at: datetime = required_time()
    payload: str = string()
    created_at: datetime = default_now()


class WebhookDelivery(SQLModel, table=True):
    """The delivery of an event to an endpoint. While it is being sent, `due_at` is the end of the worker's lease."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        closed_set("status", DeliveryStatus),
        closed_set("cause", DeliveryCause),
        CheckConstraint("(status = 'delivered') = (delivered_at IS NOT NULL)", name="delivered_has_time"),
        Index("ix_webhook_deliveries_due", "webhook_id", "due_at", postgresql_where="status = 'pending'"),
        Index("ix_webhook_deliveries_tests", "due_at", postgresql_where="status = 'pending' AND cause = 'test'"),
        Index("ix_webhook_deliveries_made", "webhook_id", "created_at", "delivery_id"),
        Index("ix_webhook_deliveries_event", "event_id"),
        Index("ix_webhook_deliveries_created_at", "created_at"),
    )

    delivery_id: UUID = key()
    webhook_id: UUID = reference("webhooks.webhook_id")
    event_id: UUID = reference("webhook_events.event_id")
    cause: str = string(default=DeliveryCause.EVENT)
    status: str = string(default=DeliveryStatus.PENDING)
    attempts: int = number(default=0)
    due_at: datetime = default_now()
    attempted_at: datetime | None = optional_time()
    delivered_at: datetime | None = optional_time()
    answer_status: int | None = number()
    answer: str | None = string()
    error: str | None = string()
    duration_ms: int | None = number()
    created_at: datetime = default_now()
