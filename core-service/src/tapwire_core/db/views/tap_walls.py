"""What the tap wall remembers, for its user."""

from typing import Final

from msgspec import Struct
from sqlalchemy import select

from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Tap, TapWall
from tapwire_core.db.views.queries import read_one, table
from tapwire_core.domain.closed_sets import WallSort
from tapwire_core.domain.tap_order import by_number, in_own_order

walls: Final = table(TapWall)
taps: Final = table(Tap)


class _KeptWall(Struct, frozen=True):
    """A row of the table."""

    sort_by: WallSort = WallSort.NUMBER
    tap_ids: tuple[str, ...] = ()
    by_room: bool = False
    needs_something: bool = False


class TapWallView(Struct, frozen=True):
    """A user's view of a venue's taps. `sort_by`: by number, or the user's own order. `tap_ids`: all taps, in that order.

    `by_room`: the taps of a room stand together. `needs_something`: only the taps that need somebody are shown.
    """

    venue_id: str
    sort_by: WallSort
    tap_ids: tuple[str, ...]
    by_room: bool
    needs_something: bool


async def get_tap_wall(db: Database, username: str, venue_id: str) -> TapWallView:
    """What a user sees of a venue's taps; by number for one who has set nothing."""
    kept_by = select(walls).where(walls.c.username == username, walls.c.venue_id == venue_id)
    kept = await read_one(db, kept_by, _KeptWall) or _KeptWall()
    async with db.read() as connection:
        ids = (await connection.execute(select(taps.c.tap_id).where(taps.c.venue_id == venue_id))).scalars().all()
    order = in_own_order(ids, kept.tap_ids) if kept.sort_by is WallSort.OWN else by_number(ids)
    return TapWallView(venue_id, kept.sort_by, tuple(order), kept.by_room, kept.needs_something)
