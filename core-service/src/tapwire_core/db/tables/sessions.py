"""Operators' sessions, and the failed tries to open one."""

from datetime import datetime

from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import (
    due,
    key,
    made_now,
    moment,
    number,
    reference,
)


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
