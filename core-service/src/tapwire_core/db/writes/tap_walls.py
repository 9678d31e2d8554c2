"""What the tap wall remembers."""

from collections.abc import Sequence

from tapwire_core.db.store import Store
from tapwire_core.domain.closed_sets import WallSort


async def write_tap_wall(
    store: Store,
    username: str,
    venue_id: str,
    *,
    sort_by: WallSort,
    tap_ids: Sequence[str] | None,
    by_room: bool,
    needs_something: bool,
) -> None:
    """Set a user's view of a venue; `tap_ids` None keeps the user's own order."""
    await store.connection.execute(
        """
        INSERT INTO tap_walls (username, venue_id, sort_by, tap_ids, by_room, needs_something)
        VALUES ($1, $2, $3, coalesce($4::text[], '{}'), $5, $6)
        ON CONFLICT (username, venue_id) DO UPDATE SET
            sort_by = $3, tap_ids = coalesce($4::text[], tap_walls.tap_ids), by_room = $5, needs_something = $6
        """,
        username,
        venue_id,
        sort_by.value,
        None if tap_ids is None else list(tap_ids),
        by_room,
        needs_something,
    )


async def tap_ids_of_venue(store: Store, venue_id: str) -> set[str]:
    """The ids of a venue's taps."""
    return {row["tap_id"] for row in await store.connection.fetch("SELECT tap_id FROM taps WHERE venue_id = $1", venue_id)}
