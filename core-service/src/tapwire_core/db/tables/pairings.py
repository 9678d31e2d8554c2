"""Devices that wait to be accepted."""

from datetime import datetime

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import (
    due,
    key,
    made_now,
    moment,
    words,
)


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
