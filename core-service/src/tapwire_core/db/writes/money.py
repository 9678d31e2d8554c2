"""Money movements, for use cases that name one."""

from uuid import UUID

from tapwire_core.db.store import Store


async def newest_movement(store: Store, guest_id: UUID) -> int:
    """The newest movement of a guest's account; under the guest's lock, that of this transaction."""
    found: int = await store.connection.fetchval("SELECT max(movement_id) FROM money_movements WHERE guest_id = $1", guest_id)
    return found
