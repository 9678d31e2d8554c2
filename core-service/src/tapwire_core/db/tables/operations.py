"""What people and devices leave behind: audit, incidents, dead letters, commands on their way, devices, remembered answers."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlmodel import Field, SQLModel

from tapwire_contracts.reasons import IncidentKind, IncidentStatus, Malformation, Presence, Resolution
from tapwire_contracts.topics import DeviceKind
from tapwire_core.db.tables.columns import (
    closed_set,
    document,
    due,
    flag,
    key,
    made_now,
    moment,
    number,
    optional_document,
    serial,
    words,
)


class AuditEntry(SQLModel, table=True):
    """Something that happened, by whom, to what. Only ever added to. `subjects` are the ids it can be found by."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_action", "action", "audit_id"),
        Index("ix_audit_subjects", "subjects", postgresql_using="gin"),
        Index("ix_audit_created_at", "created_at", postgresql_using="brin"),
    )

    audit_id: int | None = serial()
    action: str = words()
    actor: str = words()
    subjects: list[str] = Field(sa_type=ARRAY(TEXT), nullable=False)
    details: dict[str, Any] = document()
    request_id: str | None = words()
    created_at: datetime = made_now()


class Incident(SQLModel, table=True):
    """Something a person must look at; one row a cause while it is unresolved, however often the cause recurs."""

    __tablename__ = "incidents"
    __table_args__ = (
        closed_set("kind", IncidentKind),
        closed_set("status", IncidentStatus),
        closed_set("resolution", Resolution),
        Index("uq_incidents_cause", "kind", "cause", unique=True, postgresql_where="status <> 'resolved'"),
        Index("ix_incidents_unresolved", "raised_at", postgresql_where="status <> 'resolved'"),
        Index("ix_incidents_raised", "raised_at", "incident_id"),
        Index("ix_incidents_pour", "pour_id", postgresql_where="pour_id IS NOT NULL"),
        Index(
            "ix_incidents_ended_by_pour",
            "pour_id",
            postgresql_where="status <> 'resolved' AND kind IN ('sync_timeout', 'journal_lost')",
        ),
    )

    incident_id: UUID = key()
    kind: str = words()
    cause: str = words()
    status: str = words(default=IncidentStatus.OPEN)
    venue_id: str | None = words()
    tap_path: str | None = words()
    pour_id: UUID | None = None
    details: dict[str, Any] = document()
    occurrences: int = number(default=1)
    raised_at: datetime = made_now()
    last_seen_at: datetime = made_now()
    owner: str | None = words()
    claimed_at: datetime | None = moment()
    resolution: str | None = words()
    resolved_at: datetime | None = moment()
    resolved_by: str | None = words()
    comment: str | None = words()


class DeadLetter(SQLModel, table=True):
    """A message that could not be used, kept whole (a larger one than the limit: its start). The same one again is counted."""

    __tablename__ = "dead_letters"
    __table_args__ = (
        closed_set("malformation", Malformation),
        Index("uq_dead_letters_same", "topic", "payload_hash", "malformation", unique=True),
    )

    dead_letter_id: int | None = serial()
    topic: str = words()
    malformation: str = words()
    explanation: str = words()
    payload: bytes
    payload_hash: bytes
    payload_bytes: int = number()
    occurrences: int = number(default=1)
    received_at: datetime = made_now()
    last_received_at: datetime = made_now()


class Command(SQLModel, table=True):
    """A command on its way to a tap, written in the transaction that causes it. Without a payload: publish the tap's config."""

    __tablename__ = "command_outbox"

    command_id: int | None = serial()
    tap_path: str = words()
    payload: str | None = words()
    created_at: datetime = made_now()


class Device(SQLModel, table=True):
    """A tap node, desk reader or HTTP controller that may speak; its secret is stored hashed.

    `secret_hash` opens the HTTP door, `broker_hash` is the same secret as a broker's password file has it.
    """

    __tablename__ = "devices"
    __table_args__ = (closed_set("kind", DeviceKind),)

    path: str = key()
    kind: str = words()
    secret_hash: bytes
    broker_hash: str = words()
    created_at: datetime = made_now()
    rotated_at: datetime | None = moment()
    revoked_at: datetime | None = moment()


class DevicePairing(SQLModel, table=True):
    """A new device that waits to be let in; `claim_hash` is of the token by which it fetches its secret, once."""

    __tablename__ = "device_pairings"
    __table_args__ = (
        CheckConstraint("(path IS NULL) = (accepted_by IS NULL)", name="accepted_by_somebody"),
        CheckConstraint("claimed_at IS NULL OR path IS NOT NULL", name="claimed_when_accepted"),
        UniqueConstraint("code"),
    )

    claim_hash: bytes = key()
    code: str = words()
    expires_at: datetime = due()
    path: str | None = words()
    accepted_by: str | None = words()
    claimed_at: datetime | None = moment()
    created_at: datetime = made_now()


class NodeStatus(SQLModel, table=True):
    """The latest `node_state` of a device, and its latest progress; for screens, and for a person who must estimate a pour."""

    __tablename__ = "node_status"
    __table_args__: Any = (closed_set("status", Presence), {"postgresql_with": {"fillfactor": "50"}})

    path: str = key()
    status: str = words()
    boot_id: UUID
    connection: int = number()
    state: dict[str, Any] = document()
    seen_at: datetime = made_now()
    progress: dict[str, Any] | None = optional_document()
    progress_at: datetime | None = moment()


class IdempotentAnswer(SQLModel, table=True):
    """The first answer to a request that carried an `Idempotency-Key`; `scope` is user and route."""

    __tablename__ = "idempotent_answers"
    __table_args__ = (Index("ix_idempotent_answers_created_at", "created_at"),)

    scope: str = key()
    idempotency_key: str = key()
    body_hash: bytes
    done: bool = flag()
    status_code: int | None = number()
    answer: str | None = words()
    created_at: datetime = made_now()
