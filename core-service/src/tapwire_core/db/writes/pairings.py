"""Pairings: new devices that wait for acceptance."""

from datetime import datetime, timedelta

from msgspec import Struct

from tapwire_core.db.clock import CLOCK_TOLERANCE
from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct


class LockedPairing(Struct, frozen=True):
    """A pairing that has not expired, locked for a change."""

    code: str
    path: str | None
    accepted_by: str | None
    claimed: bool


async def make_room(store: Store, most: int, ttl_s: int) -> bool:
    """Delete expired pairings, also those that would last longer than `ttl_s`, and return whether fewer than `most` remain.

    Locks the table: concurrent requests run in turn.
    """
    await store.connection.execute("LOCK TABLE device_pairings IN SHARE ROW EXCLUSIVE MODE")
    await store.connection.execute(
        """DELETE FROM device_pairings
           WHERE is_over(expires_at, $1) OR claimed_at IS NOT NULL""",
        timedelta(seconds=ttl_s) + CLOCK_TOLERANCE,
    )
    return int(await store.connection.fetchval("SELECT count(*) FROM device_pairings")) < most


async def open_pairing(store: Store, claim_hash: bytes, code: str, ttl_s: int) -> datetime:
    """Add a pairing; returns its expiry."""
    expires_at: datetime = await store.connection.fetchval(
        """INSERT INTO device_pairings (claim_hash, code, expires_at) VALUES ($1, $2, now() + $3 * interval '1 second')
           RETURNING expires_at""",
        claim_hash,
        code,
        ttl_s,
    )
    return expires_at


async def lock_by_code(store: Store, code: str, ttl_s: int) -> LockedPairing | None:
    """Lock the pairing with the code that a person entered."""
    return await _lock(store, "code", code, ttl_s)


async def lock_by_claim(store: Store, claim_hash: bytes, ttl_s: int) -> LockedPairing | None:
    """Lock the pairing of the asking device."""
    return await _lock(store, "claim_hash", claim_hash, ttl_s)


async def accept(store: Store, code: str, path: str, accepted_by: str) -> None:
    """Record the device's path, and who accepted it."""
    await store.connection.execute(
        "UPDATE device_pairings SET path = $2, accepted_by = $3 WHERE code = $1", code, path, accepted_by
    )


async def close(store: Store, code: str) -> None:
    """Record that the device has fetched its secret."""
    await store.connection.execute("UPDATE device_pairings SET claimed_at = now() WHERE code = $1", code)


async def _lock(store: Store, column: str, value: object, ttl_s: int) -> LockedPairing | None:
    row = await store.connection.fetchrow(
        # the column name is our own code's, never input
        f"""SELECT code, path, accepted_by, claimed_at IS NOT NULL AS claimed FROM device_pairings
            WHERE {column} = $1 AND NOT is_over(expires_at, $2)
            FOR NO KEY UPDATE""",  # noqa: S608
        value,
        timedelta(seconds=ttl_s) + CLOCK_TOLERANCE,
    )
    return as_struct(row, LockedPairing)
