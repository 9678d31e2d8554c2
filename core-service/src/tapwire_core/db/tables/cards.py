"""NFC cards."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import (
    closed_set,
    default_now,
    key,
    number,
    optional_reference,
    string,
)
from tapwire_core.domain.closed_sets import CardStatus


class Card(SQLModel, table=True):
    """An NFC card; a lost card keeps its guest, so that it can be restored.

    `deposit_minor`: the guest's deposit on it, taken at the venue `deposit_venue_id`.
    """

    __tablename__ = "cards"
    __table_args__ = (
        closed_set("status", CardStatus),
        CheckConstraint("(status = 'bound') <= (guest_id IS NOT NULL)", name="bound_has_guest"),
        CheckConstraint("deposit_minor >= 0", name="deposit_not_negative"),
        CheckConstraint("(deposit_minor > 0) = (deposit_venue_id IS NOT NULL)", name="deposit_has_venue"),
        CheckConstraint("deposit_minor = 0 OR guest_id IS NOT NULL", name="deposit_has_guest"),
        Index("ix_cards_deposit_venue", "deposit_venue_id", postgresql_where="deposit_venue_id IS NOT NULL"),
        Index("ix_cards_uid_beginning", "card_uid", postgresql_ops={"card_uid": "varchar_pattern_ops"}),
        CheckConstraint("card_uid ~ '^([0-9a-f]{8}|[0-9a-f]{14}|[0-9a-f]{20})$'", name="card_uid_normal"),
    )

    card_uid: str = key()
    status: str = string(default=CardStatus.AVAILABLE)
    guest_id: UUID | None = optional_reference("guests.guest_id", index=True)
    deposit_minor: int = number(default=0)
    deposit_venue_id: str | None = optional_reference("venues.venue_id")
    created_at: datetime = default_now()
