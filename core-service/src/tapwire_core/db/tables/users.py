"""Operators' logins."""

from datetime import datetime

from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import (
    closed_set,
    flag,
    key,
    made_now,
    moment,
    number,
    words,
)
from tapwire_core.domain.closed_sets import Role


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
