"""Guests' own pages: the sealed tokens of their addresses."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, LargeBinary, text
from sqlmodel import Field, SQLModel

from tapwire_core.db.tables.columns import default_now, key, optional_time, string


class GuestPage(SQLModel, table=True):
    """The page of one visit's guest. The token is found by its hash, and read again by unsealing it; neither tells it.

    `ended_at`: for good, before the visit's page would have ended by itself.
    """

    __tablename__ = "guest_pages"
    __table_args__ = (
        CheckConstraint("(token_hash IS NULL) = (ended_at IS NOT NULL)", name="ended_has_no_token"),
        CheckConstraint("(token_hash IS NULL) = (sealed_token IS NULL)", name="token_is_sealed"),
    )

    visit_id: UUID = key("visits.visit_id")
    token_hash: bytes | None = Field(default=None, unique=True, sa_type=LargeBinary)
    sealed_token: str | None = string()
    made_at: datetime = default_now()
    ended_at: datetime | None = optional_time()


class GuestPageKey(SQLModel, table=True):
    """The only row: random bytes, made by the database, of which the sealing key is derived."""

    __tablename__ = "guest_page_key"
    __table_args__ = (CheckConstraint("one = 1", name="only_row"),)

    one: int = Field(default=1, primary_key=True, sa_column_kwargs={"server_default": "1", "autoincrement": False})
    random_bytes: bytes = Field(
        sa_type=LargeBinary,
        sa_column_kwargs={
            "server_default": text("decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')")
        },
    )
