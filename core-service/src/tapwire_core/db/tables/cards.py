"""NFC cards."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import (
    closed_set,
    default_now,
    key,
    optional_reference,
    string,
)
from tapwire_core.domain.closed_sets import CardStatus


class Card(SQLModel, table=True):
    """An NFC card; a lost card keeps its guest, so that it can be restored."""

    __tablename__ = "cards"
    __table_args__ = (
        closed_set("status", CardStatus),
        CheckConstraint("(status = 'bound') <= (guest_id IS NOT NULL)", name="bound_has_guest"),
        Index("ix_cards_uid_beginning", "card_uid", postgresql_ops={"card_uid": "varchar_pattern_ops"}),
        CheckConstraint("card_uid ~ '^([0-9a-f]{8}|[0-9a-f]{14}|[0-9a-f]{20})$'", name="card_uid_normal"),
    )

    card_uid: str = key()
    status: str = string(default=CardStatus.AVAILABLE)
    guest_id: UUID | None = optional_reference("guests.guest_id", index=True)
    created_at: datetime = default_now()
