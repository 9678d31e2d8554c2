"""Operators' logins."""

from msgspec import Struct

from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct
from tapwire_core.domain.closed_sets import Role
from tapwire_core.domain.names import fold_username


class LockedUser(Struct, frozen=True):
    """A user's row, locked for a change."""

    username: str
    role: Role
    password_hash: str
    disabled: bool


async def lock_user(store: Store, username: str) -> LockedUser | None:
    """Lock a user's row for a change; names are compared without case."""
    row = await store.connection.fetchrow(
        "SELECT username, role, password_hash, disabled FROM users WHERE lower(username) = $1 FOR NO KEY UPDATE",
        fold_username(username),
    )
    return as_struct(row, LockedUser)


async def user_exists(store: Store, username: str) -> bool:
    """Return whether the user exists."""
    return bool(await store.connection.fetchval("SELECT true FROM users WHERE lower(username) = $1", fold_username(username)))


async def lock_enabled_engineers(store: Store) -> list[str]:
    """Lock the rows of all enabled engineers of all venues, in order."""
    rows = await store.connection.fetch(
        "SELECT username FROM users WHERE role = 'engineer' AND venues IS NULL AND NOT disabled ORDER BY username FOR NO KEY UPDATE"
    )
    return [row["username"] for row in rows]
