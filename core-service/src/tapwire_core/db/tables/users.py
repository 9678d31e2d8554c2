"""Operators' logins."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlmodel import Field, SQLModel

from tapwire_core.db.tables.columns import (
    closed_set,
    default_now,
    flag,
    key,
    number,
    optional_time,
    string,
)
from tapwire_core.domain.closed_sets import Role


class User(SQLModel, table=True):
    """An operator's login; names differ by more than case. The hash is argon2's. `venues`: null for all.

    `failed_logins` and `locked_until` are unused: `LoginTries` replaces them.
    """

    __tablename__ = "users"
    __table_args__ = (
        closed_set("role", Role),
        CheckConstraint("cardinality(venues) > 0", name="venues_named"),
        Index("uq_users_name", text("lower(username)"), unique=True),
    )

    username: str = key()
    role: str = string()
    password_hash: str = string()
    venues: list[str] | None = Field(default=None, sa_type=ARRAY(TEXT))
    disabled: bool = flag()
    failed_logins: int = number(default=0)
    locked_until: datetime | None = optional_time()
    created_at: datetime = default_now()
