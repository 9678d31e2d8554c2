"""Visits."""

from datetime import datetime
from typing import Any
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
    optional_reference,
    optional_time,
    reference,
    string,
)
from tapwire_core.domain.closed_sets import VisitStatus


class Visit(SQLModel, table=True):
    """A guest's stay. `active_tap_id` and `lock_set_at` are for people; the pending pour alone decides.

    `opening_stages` records what opening the visit with its card did, so that a double click gets the first answer.
    `patrons`: people who drink on it; a serving limit is for each. `rearmed_at`: the last re-arm in this visit. `valid_until`: from
    then on its card opens no tap; null: until it is closed. `ended_by_shift_id`: the shift whose closing ended it; such a visit can
    still be checked out.

    `opened_after_movement`, `closed_after_movement`: the guest's latest movement of money at opening and at closing, 0 without one;
    the receipt is of those between. Both are set by a trigger.
    """

    __tablename__ = "visits"
    __table_args__: Any = (
        closed_set("status", VisitStatus),
        CheckConstraint("(status = 'closed') = (closed_at IS NOT NULL)", name="closed_has_time"),
        Index("uq_visits_one_active_per_guest", "guest_id", unique=True, postgresql_where="status = 'active'"),
        Index(
            "uq_visits_one_active_per_card",
            "card_uid",
            unique=True,
            postgresql_where="status = 'active' AND card_uid IS NOT NULL",
        ),
        CheckConstraint("patrons BETWEEN 1 AND 20", name="patrons_sane"),
        Index("ix_visits_rearmed", "guest_id", "venue_id", "rearmed_at", postgresql_where="rearmed_at IS NOT NULL"),
        Index("ix_visits_opened", "opened_at", "visit_id"),
        Index("ix_visits_venue_active", "venue_id", postgresql_where="status = 'active'"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    visit_id: UUID = key()
    venue_id: str = reference("venues.venue_id")
    guest_id: UUID = reference("guests.guest_id", index=True)
    shift_id: UUID | None = optional_reference("shifts.shift_id")
    card_uid: str | None = optional_reference("cards.card_uid")
    patrons: int = number(default=1)
    alcohol_allowed: bool = flag(default=True)
    rearmed_at: datetime | None = optional_time()
    valid_until: datetime | None = optional_time()
    opened_after_movement: int | None = number()
    closed_after_movement: int | None = number()
    opening_stages: list[str] | None = Field(default=None, sa_type=ARRAY(TEXT))
    status: str = string(default=VisitStatus.ACTIVE)
    opened_at: datetime = default_now()
    opened_by: str = string()
    closed_at: datetime | None = optional_time()
    closed_by: str | None = string()
    ended_by_shift_id: UUID | None = optional_reference("shifts.shift_id")
    active_tap_id: str | None = string()
    lock_set_at: datetime | None = optional_time()
