"""The lock of a tap that is there, for each use case that changes one."""

from tapwire_contracts.topics import DevicePath
from tapwire_core.db.store import Store
from tapwire_core.db.writes.taps import LockedTap, lock_tap
from tapwire_core.errors import NotFound


async def require_tap(store: Store, tap: DevicePath | str) -> LockedTap:
    """Lock a tap for a change; raises `NotFound`."""
    locked = await lock_tap(store, str(tap))
    if locked is None:
        raise NotFound("tap", tap)
    return locked
