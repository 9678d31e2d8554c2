"""Commands for taps, waiting to be published."""

from datetime import datetime

from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import (
    default_now,
    serial,
    string,
)


class Command(SQLModel, table=True):
    """A command on its way to a tap, written in the transaction that causes it. Without a payload: publish the tap's config."""

    __tablename__ = "command_outbox"

    command_id: int | None = serial()
    tap_path: str = string()
    payload: str | None = string()
    created_at: datetime = default_now()
