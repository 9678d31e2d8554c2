"""Guests with their cards and visits; operators with their shifts and logins."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlmodel import Field, SQLModel

from tapwire_core.db.tables.columns import (
    closed_set,
    due,
    flag,
    key,
    made_now,
    moment,
    number,
    optional_document,
    optional_reference,
    reference,
    words,
)
from tapwire_core.domain.words import CardStatus, Role, ShiftStatus, VisitStatus


class Guest(SQLModel, table=True):
    """A person with an account; `balance_minor` is the cached sum of the movements, `held_minor` of the pending holds."""

    __tablename__ = "guests"
    __table_args__: Any = (
        CheckConstraint("balance_minor >= held_minor AND held_minor >= 0", name="balance_covers_holds"),
        Index("ix_guests_created", "created_at", "guest_id"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    guest_id: UUID = key()
    first_name: str = words()
    last_name: str | None = words()
    phone: str | None = Field(default=None, index=True)
    birth_date: date | None = None
    age_checked_by: str | None = words()
    age_checked_at: datetime | None = moment()
    blocked: bool = flag()
    balance_minor: int = number(default=0)
    held_minor: int = number(default=0)
    created_at: datetime = made_now()


class Card(SQLModel, table=True):
    """An NFC card; a lost one keeps its guest, so that it can be restored."""

    __tablename__ = "cards"
    __table_args__ = (
        closed_set("status", CardStatus),
        CheckConstraint("(status = 'bound') <= (guest_id IS NOT NULL)", name="bound_has_guest"),
        CheckConstraint("card_uid ~ '^([0-9a-f]{8}|[0-9a-f]{14}|[0-9a-f]{20})$'", name="card_uid_normal"),
    )

    card_uid: str = key()
    status: str = words(default=CardStatus.AVAILABLE)
    guest_id: UUID | None = optional_reference("guests.guest_id", index=True)
    created_at: datetime = made_now()


class Shift(SQLModel, table=True):
    """The operators' working period at a venue."""

    __tablename__ = "shifts"
    __table_args__ = (
        closed_set("status", ShiftStatus),
        CheckConstraint("(status = 'closed') = (closed_at IS NOT NULL)", name="closed_has_time"),
        Index("uq_shifts_one_open_per_venue", "venue_id", unique=True, postgresql_where="status = 'open'"),
    )

    shift_id: UUID = key()
    venue_id: str = reference("venues.venue_id", index=True)
    status: str = words(default=ShiftStatus.OPEN)
    opened_at: datetime = made_now()
    opened_by: str = words()
    closed_at: datetime | None = moment()
    closed_by: str | None = words()
    z_report: dict[str, Any] | None = optional_document()
    z_report_at: datetime | None = moment()
    z_report_by: str | None = words()


class Visit(SQLModel, table=True):
    """A guest's stay. `active_tap_id` and `lock_set_at` are for people; the pending pour alone decides.

    `opening_stages` is what opening it together with its card did, to answer a double click like the first one.
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
        Index("ix_visits_opened", "opened_at", "visit_id"),
        Index("ix_visits_venue_active", "venue_id", postgresql_where="status = 'active'"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    visit_id: UUID = key()
    venue_id: str = reference("venues.venue_id")
    guest_id: UUID = reference("guests.guest_id", index=True)
    shift_id: UUID | None = optional_reference("shifts.shift_id")
    card_uid: str | None = optional_reference("cards.card_uid")
    opening_stages: list[str] | None = Field(default=None, sa_type=ARRAY(TEXT))
    status: str = words(default=VisitStatus.ACTIVE)
    opened_at: datetime = made_now()
    opened_by: str = words()
    closed_at: datetime | None = moment()
    closed_by: str | None = words()
    active_tap_id: str | None = words()
    lock_set_at: datetime | None = moment()


class User(SQLModel, table=True):
    """An operator's login; the hash is argon2's.

    `failed_logins` and `locked_until` are the former version's: `LoginTries` counts now.
    """

    __tablename__ = "users"
    __table_args__ = (closed_set("role", Role),)

    username: str = key()
    role: str = words()
    password_hash: str = words()
    disabled: bool = flag()
    failed_logins: int = number(default=0)
    locked_until: datetime | None = moment()
    created_at: datetime = made_now()


class LoginTries(SQLModel, table=True):
    """The tries to log in under a name since the last right one, for names that nobody has too, which so look the same."""

    __tablename__ = "login_tries"

    username: str = key()
    tries: int = number()
    locked_until: datetime | None = moment()
    tried_at: datetime = made_now()


class Session(SQLModel, table=True):
    """One login of one operator; the token itself is never stored, only its hash."""

    __tablename__ = "sessions"

    token_hash: bytes = key()
    username: str = reference("users.username", index=True)
    created_at: datetime = made_now()
    expires_at: datetime = due()
    revoked_at: datetime | None = moment()
