"""Operators' sessions, and failed login attempts."""

from datetime import datetime

from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import (
    default_now,
    key,
    number,
    optional_time,
    reference,
    required_time,
)


class LoginTries(SQLModel, table=True):
    """Failed login attempts under a name since its last login; unknown names have rows too, so they behave the same."""

    __tablename__ = "login_tries"

    username: str = key()
    tries: int = number()
    locked_until: datetime | None = optional_time()
    tried_at: datetime = default_now()


class Session(SQLModel, table=True):
    """One login of one operator; the token itself is never stored, only its hash."""

    __tablename__ = "sessions"

    token_hash: bytes = key()
    username: str = reference("users.username", index=True)
    created_at: datetime = default_now()
    expires_at: datetime = required_time()
    revoked_at: datetime | None = optional_time()
