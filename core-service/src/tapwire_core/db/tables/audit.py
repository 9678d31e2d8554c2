"""The audit log, append-only."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlmodel import Field, SQLModel

from tapwire_core.db.tables.columns import (
    default_now,
    json_object,
    serial,
    string,
)


class AuditEntry(SQLModel, table=True):
    """An audited action with its actor. `subjects` are the ids that it can be found by.

    `venue_id`: the venue that it is about; null for what belongs to none, and for entries of before revision 0025.
    """

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_action", "action", "audit_id"),
        Index("ix_audit_subjects", "subjects", postgresql_using="gin"),
        Index("ix_audit_created_at", "created_at", postgresql_using="brin"),
        Index("ix_audit_venue", "venue_id", "audit_id", postgresql_where="venue_id IS NOT NULL"),
    )

    audit_id: int | None = serial()
    action: str = string()
    actor: str = string()
    subjects: list[str] = Field(sa_type=ARRAY(TEXT), nullable=False)
    details: dict[str, Any] = json_object()
    request_id: str | None = string()
    created_at: datetime = default_now()
    venue_id: str | None = string()
