"""Incidents: tasks for a person."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import SQLModel

from tapwire_contracts.reasons import IncidentKind, IncidentStatus, Resolution
from tapwire_core.db.tables.columns import (
    closed_set,
    default_now,
    json_object,
    key,
    number,
    optional_time,
    string,
)


class Incident(SQLModel, table=True):
    """A problem that a person must resolve; one unresolved row per cause, however often the cause recurs.

    `uq_incidents_once` are the kinds that are raised once per cause for good.
    """

    __tablename__ = "incidents"
    __table_args__ = (
        closed_set("kind", IncidentKind),
        closed_set("status", IncidentStatus),
        closed_set("resolution", Resolution),
        Index("uq_incidents_cause", "kind", "cause", unique=True, postgresql_where="status <> 'resolved'"),
        Index("uq_incidents_once", "kind", "cause", unique=True, postgresql_where="kind IN ('keg_low', 'keg_expired')"),
        Index("ix_incidents_unresolved", "raised_at", postgresql_where="status <> 'resolved'"),
        Index("ix_incidents_raised", "raised_at", "incident_id"),
        Index("ix_incidents_tap", "tap_path", "raised_at", postgresql_where="tap_path IS NOT NULL"),
        Index("ix_incidents_pour", "pour_id", postgresql_where="pour_id IS NOT NULL"),
        Index(
            "ix_incidents_open_of_pour",
            "pour_id",
            postgresql_where="pour_id IS NOT NULL AND status <> 'resolved'",
        ),
    )

    incident_id: UUID = key()
    kind: str = string()
    cause: str = string()
    status: str = string(default=IncidentStatus.OPEN)
    venue_id: str | None = string()
    tap_path: str | None = string()
    pour_id: UUID | None = None
    details: dict[str, Any] = json_object()
    occurrences: int = number(default=1)
    raised_at: datetime = default_now()
    last_seen_at: datetime = default_now()
    owner: str | None = string()
    claimed_at: datetime | None = optional_time()
    resolution: str | None = string()
    resolved_at: datetime | None = optional_time()
    resolved_by: str | None = string()
    comment: str | None = string()
