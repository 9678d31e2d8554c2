"""Column kinds, one function each, so that all tables declare them alike."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

_NOW: Final = text("now()")


def key(foreign_key: str | None = None) -> Any:
    """A text or UUID primary key, set by the code that inserts the row."""
    return Field(primary_key=True, foreign_key=foreign_key) if foreign_key else Field(primary_key=True)


def serial() -> Any:
    """A serial primary key; its order is the order of insertion."""
    return Field(default=None, primary_key=True, sa_type=BigInteger)


def reference(target: str, *, index: bool = False) -> Any:
    """A foreign key to another table's row."""
    return Field(foreign_key=target, index=index)


def optional_reference(target: str, *, index: bool = False) -> Any:
    """A foreign key that may be null."""
    return Field(default=None, foreign_key=target, index=index)


def string(*, default: str | None = None) -> Any:
    """Text of any length, not null unless the annotation says so."""
    return Field(default=default, sa_type=Text, sa_column_kwargs={"server_default": default} if default is not None else {})


def number(*, default: int | None = None) -> Any:
    """A 64-bit integer: money in minor units, volume in millilitres, durations in milliseconds."""
    given = {"server_default": text(str(default))} if default is not None else {}
    return Field(default=default, sa_type=BigInteger, sa_column_kwargs=given)


def flag(*, default: bool = False) -> Any:
    """A boolean with a default."""
    return Field(default=default, sa_column_kwargs={"server_default": text(str(default).lower())})


def optional_time() -> Any:
    """A time that is null until the event happens."""
    return Field(default=None, sa_type=DateTime(timezone=True))


def default_now() -> Any:
    """A time, by default that of the insert."""
    return Field(default=None, sa_type=DateTime(timezone=True), nullable=False, sa_column_kwargs={"server_default": _NOW})


def required_time() -> Any:
    """A time that the insert must give."""
    return Field(sa_type=DateTime(timezone=True))


def json_object() -> Any:
    """A JSON object that no rule reads."""
    return Field(default_factory=dict, sa_type=JSONB, nullable=False, sa_column_kwargs={"server_default": text("'{}'::jsonb")})


def json_list() -> Any:
    """A JSON array, empty by default."""
    return Field(default_factory=list, sa_type=JSONB, nullable=False, sa_column_kwargs={"server_default": text("'[]'::jsonb")})


def optional_json_object() -> Any:
    """A JSON object that may be null."""
    return Field(default=None, sa_type=JSONB)


def closed_set(column: str, members: type[StrEnum] | Iterable[str]) -> CheckConstraint:
    """The constraint that a text column has one of these values."""
    listed = ", ".join(f"'{member}'" for member in members)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")
