"""What the tap wall remembers."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlmodel import Field, SQLModel

from tapwire_core.db.tables.columns import closed_set, flag, key, string
from tapwire_core.domain.closed_sets import WallSort


class TapWall(SQLModel, table=True):
    """One user's view of a venue's taps. `tap_ids`: the order `own`; taps that it does not name come after it, by number."""

    __tablename__ = "tap_walls"
    __table_args__: Any = (closed_set("sort_by", WallSort),)

    username: str = key("users.username")
    venue_id: str = key("venues.venue_id")
    sort_by: str = string(default=WallSort.NUMBER)
    tap_ids: list[str] = Field(
        default_factory=list, sa_type=ARRAY(TEXT), nullable=False, sa_column_kwargs={"server_default": text("'{}'::text[]")}
    )
    by_room: bool = flag()
    needs_something: bool = flag()
