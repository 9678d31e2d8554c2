"""Stored answers to requests with an `Idempotency-Key`."""

from typing import Final

from msgspec import Struct

from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct

SWEPT_AT_ONCE: Final = 20
"""The most expired answers that one request deletes."""
_KEPT: Final = "SELECT body_hash, status_code, answer FROM idempotent_answers WHERE scope = $1 AND idempotency_key = $2"


class StoredRequest(Struct, frozen=True):
    """The stored first request; `answer` is the use case's result, or with a `status_code` the body that was sent."""

    body_hash: bytes
    status_code: int | None
    answer: str | None


async def claim(store: Store, scope: str, key: str, body_hash: bytes) -> StoredRequest | None:
    """Claim a key; returns the first request, or None for a new key. A repeat waits until the first transaction ends."""
    await store.connection.execute(
        """DELETE FROM idempotent_answers WHERE (scope, idempotency_key) IN (
               SELECT scope, idempotency_key FROM idempotent_answers
               WHERE created_at < now() - make_interval(hours => $1) AND NOT kept_for_good
               ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)""",
        store.policy.idempotency_ttl_h,
        SWEPT_AT_ONCE,
    )
    claimed = await store.connection.fetchval(
        """INSERT INTO idempotent_answers AS kept (scope, idempotency_key, body_hash) VALUES ($1, $2, $3)
           ON CONFLICT (scope, idempotency_key) DO UPDATE
           SET body_hash = excluded.body_hash, done = false, status_code = NULL, answer = NULL, created_at = now()
           WHERE kept.created_at < now() - make_interval(hours => $4) AND NOT kept.kept_for_good
           RETURNING true""",
        scope,
        key,
        body_hash,
        store.policy.idempotency_ttl_h,
    )
    return None if claimed else await read_stored(store, scope, key)


async def read_unexpired(store: Store, scope: str, key: str) -> StoredRequest | None:
    """Read a stored request that has not expired."""
    row = await store.connection.fetchrow(
        f"{_KEPT} AND (kept_for_good OR created_at >= now() - make_interval(hours => $3))",
        scope,
        key,
        store.policy.idempotency_ttl_h,
    )
    return as_struct(row, StoredRequest)


async def read_stored(store: Store, scope: str, key: str) -> StoredRequest:
    """Read the stored request of a repetition."""
    row = await store.connection.fetchrow(_KEPT, scope, key)
    found = as_struct(row, StoredRequest)
    assert found is not None, "only a claim deletes, and only expired answers"
    return found


async def keep_result(store: Store, scope: str, key: str, result: str, *, for_good: bool) -> None:
    """Store the use case's result, in the use case's transaction."""
    await store.connection.execute(
        "UPDATE idempotent_answers SET answer = $3, kept_for_good = $4 WHERE scope = $1 AND idempotency_key = $2",
        scope,
        key,
        result,
        for_good,
    )
