"""Devices that wait to be let in."""

from datetime import datetime

from msgspec import Struct

from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct


class LockedPairing(Struct, frozen=True):
    """A pairing that has not expired, locked for a change."""

    code: str
    path: str | None
    accepted_by: str | None
    claimed: bool


async def make_room(store: Store, most: int) -> bool:
    """Forget expired pairings; whether there are fewer than `most` now. Those who ask at once are let through one by one."""
    await store.connection.execute("LOCK TABLE device_pairings IN SHARE ROW EXCLUSIVE MODE")
    await store.connection.execute("DELETE FROM device_pairings WHERE expires_at <= now() OR claimed_at IS NOT NULL")
    return int(await store.connection.fetchval("SELECT count(*) FROM device_pairings")) < most


async def open_pairing(store: Store, claim_hash: bytes, code: str, ttl_s: int) -> datetime:
    """Keep a new pairing; returns when it expires."""
    expires_at: datetime = await store.connection.fetchval(
        """INSERT INTO device_pairings (claim_hash, code, expires_at) VALUES ($1, $2, now() + $3 * interval '1 second')
           RETURNING expires_at""",
        claim_hash,
        code,
        ttl_s,
    )
    return expires_at


async def lock_by_code(store: Store, code: str) -> LockedPairing | None:
    """The pairing that a person names."""
    return await _lock(store, "code", code)


async def lock_by_claim(store: Store, claim_hash: bytes) -> LockedPairing | None:
    """The pairing of the device that asks."""
    return await _lock(store, "claim_hash", claim_hash)


async def accept(store: Store, code: str, path: str, accepted_by: str) -> None:
    """Note which device it is, and who says so."""
    await store.connection.execute(
        "UPDATE device_pairings SET path = $2, accepted_by = $3 WHERE code = $1", code, path, accepted_by
    )


async def close(store: Store, code: str) -> None:
    """Note that the device has its secret."""
    await store.connection.execute("UPDATE device_pairings SET claimed_at = now() WHERE code = $1", code)


async def _lock(store: Store, column: str, value: object) -> LockedPairing | None:
    row = await store.connection.fetchrow(
        # the column's name is our own
        f"""SELECT code, path, accepted_by, claimed_at IS NOT NULL AS claimed FROM device_pairings
            WHERE {column} = $1 AND expires_at > now() FOR NO KEY UPDATE""",  # noqa: S608
        value,
    )
    return as_struct(row, LockedPairing)
