"""Logging in and out. A wrong password gets the same answer as an unknown name; after a few, each next try must wait longer.

A try is counted, and its wait set, before the password is checked, and taken back when the password was right. So concurrent tries
gain nothing over sequential ones; during the wait a right password gets the same answer as a wrong one.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import Database, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import sessions as session_writes
from tapwire_core.db.writes import users as user_writes
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.closed_sets import Role
from tapwire_core.errors import DomainError
from tapwire_core.services.passwords import LOGINS, Lane, is_password

FREE_TRIES: Final = 5
"""Tries in a row, or concurrent ones, that cause no wait."""
FIRST_WAIT_MS: Final = 1_000
LONGEST_WAIT_MS: Final = 300_000
"""The wait doubles with each wrong password, up to this."""


class LoginRefused(DomainError):
    """No such user, a wrong password, or a user who is disabled."""

    code = "login_refused"


class LoginLocked(LoginRefused):
    """Too many wrong passwords: logins are locked for a while."""

    code = "login_locked"


@dataclass(frozen=True, slots=True)
class Login:
    """A new session; the token is shown once."""

    token: str
    username: str
    role: Role
    expires_at: datetime


async def log_in(db: Database, username: str, password: str, *, ttl_h: int, request_id: str | None = None) -> Login:
    """Begin a session of `ttl_h` hours; raises the errors of `prove_password`."""
    actor = Actor(username, request_id)
    password_hash = await prove_password(db, LOGINS, actor, password)
    return await _begin(db, actor, password_hash, secrets.token_urlsafe(), ttl_h)


async def prove_password(db: Database, lane: Lane, actor: Actor, password: str) -> str:
    """Check the actor's password and return its hash; the caller then forgets the tries.

    Raises `LoginRefused`, `LoginLocked` with how long to wait, or `PasswordsBusy`.
    """
    with lane.place():
        user, locked_ms = await _count_try(db, actor)
        if locked_ms:
            raise LoginLocked("Too many wrong passwords: wait and try again.", retry_after_ms=locked_ms)
        right = await lane.run(is_password, user.password_hash if user else None, password)
    if user is None or not right or user.disabled:
        await _note_failure(db, actor, known_user=user is not None)
        raise _refused()
    return user.password_hash


async def lock_proven(store: Store, actor: Actor, password_hash: str) -> user_writes.LockedUser:
    """Lock the actor's row, and reset the counted tries; raises `LoginRefused` when the password was changed meanwhile."""
    user = await user_writes.lock_user(store, actor.name)
    if user is None or user.disabled or user.password_hash != password_hash:
        raise _refused()
    await session_writes.forget_tries(store, actor.name)
    return user


@use_case
async def log_out(store: Store, actor: Actor, token: str) -> None:
    """End the session of this token."""
    await session_writes.end_session(store, hash_token(token))
    await store.audit(AuditAction.LOGGED_OUT, actor, actor.name)


def hash_token(token: str) -> bytes:
    """Hash a token or a device's secret for storage: both are long and random, so a fast hash is enough."""
    return hashlib.sha256(token.encode()).digest()


@use_case
async def _count_try(store: Store, actor: Actor) -> tuple[user_writes.LockedUser | None, int]:
    """Count a try, and return the user, and how long to wait if the try is none; a wait that was cut must stay so."""
    user = await user_writes.lock_user(store, actor.name)
    counted = await session_writes.lock_tries(store, actor.name, LONGEST_WAIT_MS)
    if not counted.locked_ms:
        await session_writes.count_try(store, actor.name, _wait_after(counted.tries + 1))
    return user, counted.locked_ms


def _wait_after(tries: int) -> int:
    """The wait after so many tries, in milliseconds."""
    excess = tries - FREE_TRIES
    return min(FIRST_WAIT_MS * 2 ** min(excess, 20), LONGEST_WAIT_MS) if excess >= 0 else 0


@use_case
async def _note_failure(store: Store, actor: Actor, *, known_user: bool) -> None:
    await store.audit(AuditAction.LOGIN_FAILED, actor, actor.name, details={"known_user": known_user})


@use_case
async def _begin(store: Store, actor: Actor, password_hash: str, token: str, ttl_h: int) -> Login:
    user = await lock_proven(store, actor, password_hash)
    expires_at = await session_writes.open_session(store, user.username, hash_token(token), ttl_h)
    await store.audit(AuditAction.LOGIN_SUCCEEDED, Actor(user.username, actor.request_id), user.username)
    return Login(token, user.username, user.role, expires_at)


def _refused() -> LoginRefused:
    return LoginRefused("The name or the password is wrong, or the user is disabled.")
