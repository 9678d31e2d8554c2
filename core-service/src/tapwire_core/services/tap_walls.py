"""The tap wall as its user wants it. A preference, not an action: the audit log has no entry of it."""

from collections.abc import Sequence

from tapwire_contracts.topics import tap_path
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import tap_walls as writes
from tapwire_core.db.writes.venues import venue_exists
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.closed_sets import WallSort
from tapwire_core.errors import Invalid, NotFound


@use_case
async def set_tap_wall(
    store: Store,
    actor: Actor,
    venue_id: str,
    *,
    sort_by: WallSort,
    tap_ids: Sequence[str] | None = None,
    by_room: bool = False,
    needs_something: bool = False,
) -> None:
    """Remember how the actor sees a venue's taps. `tap_ids` is the actor's own order; None keeps the one that is known."""
    if not await venue_exists(store, venue_id):
        raise NotFound("venue", venue_id)
    if tap_ids is not None:
        if len(set(tap_ids)) < len(tap_ids):
            raise Invalid("tap_ids: each tap stands in the order once.", field="tap_ids")
        if unknown := set(tap_ids) - await writes.tap_ids_of_venue(store, venue_id):
            raise NotFound("tap", tap_path(venue_id, min(unknown)))
    await writes.write_tap_wall(
        store,
        actor.name,
        venue_id,
        sort_by=sort_by,
        tap_ids=tap_ids,
        by_room=by_room,
        needs_something=needs_something,
    )
