"""Dead letters: messages that could not be used."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import SQLModel

from tapwire_contracts.reasons import Malformation
from tapwire_core.db.tables.columns import (
    closed_set,
    default_now,
    number,
    serial,
    string,
)


class DeadLetter(SQLModel, table=True):
    """An unusable message, truncated at the size limit. Repetitions are counted."""

    __tablename__ = "dead_letters"
    __table_args__ = (
        closed_set("malformation", Malformation),
        Index("ix_dead_letters_device", text("coalesce(device, '')"), "received_at"),
        Index("uq_dead_letters_same", "topic", "payload_hash", "malformation", unique=True),
    )

    dead_letter_id: int | None = serial()
    topic: str = string()
    device: str | None = string()
    malformation: str = string()
    explanation: str = string()
    payload: bytes
    payload_hash: bytes
    payload_bytes: int = number()
    occurrences: int = number(default=1)
    received_at: datetime = default_now()
    last_received_at: datetime = default_now()
