"""Pairings: new devices that wait for acceptance."""

from datetime import datetime

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import (
    default_now,
    key,
    optional_time,
    required_time,
    string,
)


class DevicePairing(SQLModel, table=True):
    """A new device that waits for acceptance; `claim_hash` is of the token with which it fetches its secret, once."""

    __tablename__ = "device_pairings"
    __table_args__ = (
        CheckConstraint("(path IS NULL) = (accepted_by IS NULL)", name="accepted_by_somebody"),
        CheckConstraint("claimed_at IS NULL OR path IS NOT NULL", name="claimed_when_accepted"),
        UniqueConstraint("code"),
    )

    claim_hash: bytes = key()
    code: str = string()
    expires_at: datetime = required_time()
    path: str | None = string()
    accepted_by: str | None = string()
    claimed_at: datetime | None = optional_time()
    created_at: datetime = default_now()
