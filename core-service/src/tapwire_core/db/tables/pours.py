"""Pours, the answers to questions, and the reports with their verdicts."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, Index, text
from sqlmodel import Field, SQLModel

from tapwire_contracts.reasons import EndReason, StopReason, SyncStatus
from tapwire_core.db.tables.columns import (
    closed_set,
    default_now,
    flag,
    json_object,
    key,
    number,
    optional_reference,
    optional_time,
    reference,
    serial,
    string,
)

NEVER: Final = text("'-infinity'")
"""The re-arm of a guest who was never re-armed."""
LIST_COLLATION: Final = "C"
"""The collation of the index for lists of a tap's pours."""


class Pour(SQLModel, table=True):
    """An authorisation and its outcome. The row moves from `pending_sync` to one of the other states.

    Price, tax, keg, strength and limits are frozen at authorisation. `odometer_seen_ml`: the highest value of its journal's
    odometer known then; what the pour's node reports of it can't begin below. `armed_at`: the re-arm of its guest from which it
    counts against a serving limit: the last one before its grant, or a later one that found it pending. The two partial unique
    indexes ARE the leases of visit and tap.
    """

    __tablename__ = "pours"
    __table_args__: Any = (
        closed_set("sync_status", SyncStatus),
        closed_set("end_reason", EndReason),
        closed_set("stop_reason", StopReason),
        CheckConstraint("sync_status <> 'pending_sync' OR (volume_ml = 0 AND amount_minor = 0)", name="pending_is_empty"),
        CheckConstraint("(sync_status = 'pending_sync') = (settled_at IS NULL)", name="terminal_has_time"),
        CheckConstraint("volume_ml >= 0 AND amount_minor >= 0 AND hold_minor >= 0", name="not_negative"),
        CheckConstraint("sell_price_per_liter_minor >= 1", name="price_positive"),
        CheckConstraint("tax_rate_bp BETWEEN 0 AND 10000", name="tax_rate_range"),
        Index("uq_pours_visit_lease", "visit_id", unique=True, postgresql_where="sync_status = 'pending_sync'"),
        Index("uq_pours_tap_lease", "tap_path", unique=True, postgresql_where="sync_status = 'pending_sync'"),
        Index(
            "ix_pours_guest_holds",
            "guest_id",
            postgresql_include=["hold_minor"],
            postgresql_where="sync_status = 'pending_sync'",
        ),
        # the migration gives its venue a collation of its own, and its time is an expression, so that no other index answers
        # what a serving limit counts
        Index("ix_pours_served", "guest_id", "venue_id", "armed_at", text("(authorized_at AT TIME ZONE 'UTC')")),
        Index("ix_pours_authorized", "authorized_at", "pour_id"),
        Index("ix_pours_visit", "visit_id", "authorized_at"),
        # for lists only: the migration creates it with `LIST_COLLATION`, which Alembic does not see, so that no decision uses
        # it to find a tap's pending pour among all its pours
        Index("ix_pours_tap", "tap_path", "authorized_at"),
        Index("ix_pours_venue", "venue_id", "authorized_at"),
        Index("ix_pours_settled_at", "settled_at", postgresql_using="brin"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    pour_id: UUID = key()
    visit_id: UUID = reference("visits.visit_id")
    guest_id: UUID = reference("guests.guest_id")
    card_uid: str = reference("cards.card_uid")
    venue_id: str = reference("venues.venue_id")
    tap_path: str = reference("taps.tap_path")
    keg_id: UUID = reference("kegs.keg_id", index=True)
    beverage_id: UUID = reference("beverages.beverage_id")
    shift_id: UUID | None = optional_reference("shifts.shift_id")
    sync_status: str = string(default=SyncStatus.PENDING_SYNC)
    request_id: UUID
    journal_id: UUID | None = None
    boot_id: UUID | None = None
    seq: int | None = number()
    odometer_seen_ml: int | None = number()
    abv_hundredths: int | None = number()
    tax_rate_bp: int | None = number()
    armed_at: datetime = Field(
        default=None, sa_type=DateTime(timezone=True), nullable=False, sa_column_kwargs={"server_default": NEVER}
    )
    sell_price_per_liter_minor: int = number()
    price_rule_id: UUID | None = optional_reference("price_rules.price_rule_id")
    max_volume_ml: int = number()
    hold_minor: int = number()
    volume_ml: int = number(default=0)
    amount_minor: int = number(default=0)
    loss_minor: int = number(default=0)
    stock_ml: int = number(default=0)
    reported: bool = flag()
    report_refused: bool = flag()
    report_may_have_come: bool = flag()
    end_reason: str | None = string()
    stop_reason: str | None = string()
    duration_ms: int | None = number()
    asked_at: datetime | None = optional_time()
    authorized_at: datetime = default_now()
    settled_at: datetime | None = optional_time()
    settled_shift_id: UUID | None = optional_reference("shifts.shift_id", index=True)
    settled_by: str | None = string()


class AuthorizationAnswer(SQLModel, table=True):
    """The answer to a question, grant or denial, repeated verbatim. `fingerprint` is the hash of the question's content."""

    __tablename__ = "authorization_answers"
    __table_args__ = (Index("ix_authorization_answers_seq", "tap_path", "journal_id", "seq"),)

    tap_path: str = key()
    event_id: UUID = key()
    fingerprint: bytes
    pour_id: UUID | None = optional_reference("pours.pour_id")
    journal_id: UUID | None = None
    seq: int | None = number()
    payload: str = string()
    decided_at: datetime = default_now()


class PourReport(SQLModel, table=True):
    """A report and its verdict; the unique index defines which reports are the same."""

    __tablename__ = "pour_reports"
    __table_args__ = (
        Index(
            "uq_pour_reports_same",
            "pour_id",
            "tap_path",
            "volume_ml",
            "odometer_from_ml",
            "odometer_to_ml",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
    )

    report_id: int | None = serial()
    tap_path: str = string()
    pour_id: UUID
    volume_ml: int = number()
    odometer_from_ml: int | None = number()
    odometer_to_ml: int | None = number()
    report: dict[str, Any] = json_object()
    verdict: str = string()
    received_at: datetime = default_now()
