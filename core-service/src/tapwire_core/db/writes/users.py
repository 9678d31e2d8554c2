"""Operators' logins and sessions."""

from datetime import datetime

from msgspec import Struct

from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct
from tapwire_core.domain.words import Role


class LockedUser(Struct, frozen=True):
    """A user's row, locked for a change. `locked_ms`: for how long yet no login is tried."""

    username: str
    role: Role
    password_hash: str
    disabled: bool
    failed_logins: int
    locked_ms: int


async def lock_user(store: Store, username: str) -> LockedUser | None:
    """Lock a user's row for a change."""
    row = await store.connection.fetchrow(
        """SELECT username, role, password_hash, disabled, failed_logins,
                  greatest(0, coalesce(extract(epoch FROM locked_until - now()) * 1000, 0))::bigint AS locked_ms
           FROM users WHERE username = $1 FOR NO KEY UPDATE""",
        username,
    )
    return as_struct(row, LockedUser)


async def user_exists(store: Store, username: str) -> bool:
    """Whether there is such a user."""
    return bool(await store.connection.fetchval("SELECT true FROM users WHERE username = $1", username))


async def lock_enabled_engineers(store: Store) -> list[str]:
    """Lock the rows of all engineers who may log in, in order."""
    rows = await store.connection.fetch(
        "SELECT username FROM users WHERE role = 'engineer' AND NOT disabled ORDER BY username FOR NO KEY UPDATE"
    )
    return [row["username"] for row in rows]


async def note_failed_login(store: Store, username: str, locked_ms: int) -> None:
    """Count a wrong password, and try no login for a while."""
    await store.connection.execute(
        """UPDATE users SET failed_logins = failed_logins + 1, locked_until = now() + make_interval(secs => $2::float8 / 1000)
           WHERE username = $1""",
        username,
        locked_ms,
    )


async def open_session(store: Store, username: str, token_hash: bytes, ttl_h: int) -> datetime:
    """Begin a session and return when it ends; forget the count of wrong passwords, and sessions that ended long ago."""
    await store.connection.execute("UPDATE users SET failed_logins = 0, locked_until = NULL WHERE username = $1", username)
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
    """End all sessions of a user, but for one."""
    await store.connection.execute(
        "UPDATE sessions SET revoked_at = now() WHERE username = $1 AND token_hash <> $2 AND revoked_at IS NULL", username, besides
    )
