"""Beverages and their prices."""

from uuid import UUID

from tapwire_core.db.store import Store


async def lock_beverage(store: Store, beverage_id: UUID) -> bool:
    """Lock a beverage's row for a change; False when there is no such beverage."""
    found = await store.connection.fetchval("SELECT true FROM beverages WHERE beverage_id = $1 FOR NO KEY UPDATE", beverage_id)
    return bool(found)


async def share_beverage(store: Store, beverage_id: UUID) -> None:
    """Share-lock a beverage until this transaction ends, so that no tap's config misses a change of it."""
    await store.connection.execute("SELECT FROM beverages WHERE beverage_id = $1 FOR SHARE", beverage_id)


async def beverage_is_archived(store: Store, beverage_id: UUID) -> bool | None:
    """Return whether the beverage is archived; None when there is no such beverage."""
    found: bool | None = await store.connection.fetchval(
        "SELECT archived_at IS NOT NULL FROM beverages WHERE beverage_id = $1 FOR SHARE", beverage_id
    )
    return found


async def keep_name(store: Store, beverage_id: UUID) -> None:
    """Note the beverage's present name as its name from now on, if it is a new one."""
    await store.connection.execute(
        """INSERT INTO beverage_names (beverage_id, name)
           SELECT beverage_id, name FROM beverages WHERE beverage_id = $1 AND name IS DISTINCT FROM (
               SELECT earlier.name FROM beverage_names AS earlier WHERE earlier.beverage_id = $1 ORDER BY since DESC LIMIT 1)
           ON CONFLICT (beverage_id, since) DO UPDATE SET name = excluded.name""",
        beverage_id,
    )


async def set_archived(store: Store, beverage_id: UUID, *, archived: bool) -> None:
    """Archive or restore the beverage."""
    await store.connection.execute(
        "UPDATE beverages SET archived_at = CASE WHEN $2 THEN coalesce(archived_at, now()) END WHERE beverage_id = $1",
        beverage_id,
        archived,
    )


async def taps_with_beverage(store: Store, beverage_id: UUID) -> list[str]:
    """The taps that carry a keg of this beverage, in the order of their paths."""
    rows = await store.connection.fetch(
        "SELECT tap_path FROM taps JOIN kegs USING (keg_id) WHERE beverage_id = $1 ORDER BY tap_path", beverage_id
    )
    return [row["tap_path"] for row in rows]
