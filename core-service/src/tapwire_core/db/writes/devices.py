"""Devices' credentials."""

from msgspec import Struct

from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct


class LockedDevice(Struct, frozen=True):
    """A device's row, locked for a change."""

    path: str
    revoked: bool


async def lock_device(store: Store, path: str) -> LockedDevice | None:
    """Lock a device's row for a change."""
    row = await store.connection.fetchrow(
        "SELECT path, revoked_at IS NOT NULL AS revoked FROM devices WHERE path = $1 FOR NO KEY UPDATE", path
    )
    return as_struct(row, LockedDevice)


async def give_secret(store: Store, path: str, secret_hash: bytes, broker_hash: str) -> None:
    """Replace a device's secret; the old one is no longer valid, and a revoked device has access again."""
    await store.connection.execute(
        """UPDATE devices SET secret_hash = $2, broker_hash = $3, rotated_at = now(), revoked_at = NULL,
            closed_hash = CASE WHEN revoked_at IS NOT NULL AND closed_hash = '' THEN $3 ELSE closed_hash END
            WHERE path = $1""",
        path,
        secret_hash,
        broker_hash,
    )


async def revoke(store: Store, path: str) -> None:
    """Revoke the device's credentials; a repetition keeps the first time."""
    await store.connection.execute("UPDATE devices SET revoked_at = coalesce(revoked_at, now()) WHERE path = $1", path)


async def record_closed(store: Store, path: str, login: str) -> None:
    """Record that the broker has closed all connections that are older than this login, a hash, or "" for none."""
    await store.connection.execute("UPDATE devices SET closed_hash = $2 WHERE path = $1", path, login)
