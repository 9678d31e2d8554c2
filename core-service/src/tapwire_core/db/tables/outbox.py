"""Commands for taps, waiting to be published."""

from datetime import datetime

from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import (
    made_now,
    serial,
    words,
)


class Command(SQLModel, table=True):
    """A command on its way to a tap, written in the transaction that causes it. Without a payload: publish the tap's config."""

    __tablename__ = "command_outbox"

    command_id: int | None = serial()
    tap_path: str = words()
    payload: str | None = words()
    created_at: datetime = made_now()
