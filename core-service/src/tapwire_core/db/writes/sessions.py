"""Operators' sessions, and failed login attempts."""

from datetime import datetime

from msgspec import Struct

from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct
from tapwire_core.domain.names import fold_username


class LockedTries(Struct, frozen=True):
    """The failed login attempts under a name, locked for a change; `locked_ms`: time until the next attempt is allowed."""

    tries: int
    locked_ms: int


async def lock_tries(store: Store, username: str, longest_wait_ms: int) -> LockedTries:
    """Lock the count of login attempts under a name, whatever its case; it starts at 0.

    No wait is longer than `longest_wait_ms`: one that is was made before the database's clock was set back, and is cut.
    """
    row = await store.connection.fetchrow(
        """INSERT INTO login_tries AS known (username, tries) VALUES ($1, 0)
           ON CONFLICT (username) DO UPDATE
           SET tries = known.tries,
               locked_until = CASE WHEN known.locked_until IS NOT NULL
                   THEN least(known.locked_until, now() + make_interval(secs => $2::float8 / 1000)) END
           RETURNING tries, greatest(0, coalesce(extract(epoch FROM locked_until - now()) * 1000, 0))::bigint AS locked_ms""",
        fold_username(username),
        longest_wait_ms,
    )
    tries = as_struct(row, LockedTries)
    assert tries is not None, "the statement inserts a missing row"
    return tries


async def count_try(store: Store, username: str, wait_ms: int) -> None:
    """Count a login attempt under a name, and allow no other for `wait_ms`."""
    await store.connection.execute(
        """UPDATE login_tries SET tries = tries + 1, tried_at = now(),
                  locked_until = CASE WHEN $2 > 0 THEN now() + make_interval(secs => $2::float8 / 1000) END
           WHERE username = $1""",
        fold_username(username),
        wait_ms,
    )


async def forget_tries(store: Store, username: str) -> None:
    """Reset the count of login attempts, and end a wait."""
    await store.connection.execute("DELETE FROM login_tries WHERE username = $1", fold_username(username))


async def open_session(store: Store, username: str, token_hash: bytes, ttl_h: int) -> datetime:
    """Begin a session and return its expiry; delete the user's sessions that expired more than 30 days ago."""
    await store.connection.execute("DELETE FROM sessions WHERE username = $1 AND expires_at < now() - interval '30 days'", username)
    expires_at: datetime = await store.connection.fetchval(
        """INSERT INTO sessions (token_hash, username, expires_at) VALUES ($1, $2, now() + make_interval(hours => $3))
           RETURNING expires_at""",
        token_hash,
        username,
        ttl_h,
    )
    return expires_at


async def end_session(store: Store, token_hash: bytes) -> None:
    """End one session."""
    await store.connection.execute(
        "UPDATE sessions SET revoked_at = now() WHERE token_hash = $1 AND revoked_at IS NULL", token_hash
    )


async def end_sessions(store: Store, username: str, *, besides: bytes = b"") -> None:
    """End all sessions of a user except `besides`."""
    await store.connection.execute(
        "UPDATE sessions SET revoked_at = now() WHERE username = $1 AND token_hash <> $2 AND revoked_at IS NULL", username, besides
    )
