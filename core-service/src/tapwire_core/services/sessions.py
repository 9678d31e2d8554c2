"""Logging in and out. A wrong password is answered like an unknown name; after a few of them each next try must wait longer."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import Database, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import users as writes
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.words import Role
from tapwire_core.errors import DomainError
from tapwire_core.services.passwords import LOGINS, is_password

FREE_TRIES: Final = 5
"""So many wrong passwords in a row cost nothing."""
FIRST_WAIT_MS: Final = 1_000
LONGEST_WAIT_MS: Final = 300_000
"""The wait doubles with each wrong password, up to this."""


class LoginRefused(DomainError):
    """No such user, a wrong password, or a user who is disabled."""

    code = "login_refused"


class LoginLocked(LoginRefused):
    """Too many wrong passwords: no login is tried for a while."""

    code = "login_locked"


@dataclass(frozen=True, slots=True)
class Login:
    """A session that has begun; the token is shown once."""

    token: str
    username: str
    role: Role
    expires_at: datetime


async def log_in(db: Database, username: str, password: str, *, ttl_h: int, request_id: str | None = None) -> Login:
    """Begin a session of `ttl_h` hours; raises `LoginRefused`, `PasswordsBusy`, or `LoginLocked` with how long to wait."""
    actor = Actor(username, request_id)
    with LOGINS.place():
        user = await _look_up(db, username)
        if user is not None and user.locked_ms:
            raise _locked(user.locked_ms)
        right = await LOGINS.run(is_password, user.password_hash if user else None, password)
    if user is None or not right or user.disabled:
        await _note_failure(db, actor)
        raise LoginRefused("The name or the password is wrong, or the user is disabled.")
    token = secrets.token_urlsafe()
    expires_at = await _begin(db, actor, hash_token(token), ttl_h)
    return Login(token, user.username, user.role, expires_at)


@use_case
async def log_out(store: Store, actor: Actor, token: str) -> None:
    """End the session of this token."""
    await writes.end_session(store, hash_token(token))
    await store.audit(AuditAction.LOGGED_OUT, actor, actor.name)


def hash_token(token: str) -> bytes:
    """What is kept of a token or a device's secret: both are long and random, so a plain hash gives nothing away."""
    return hashlib.sha256(token.encode()).digest()


@use_case
async def _look_up(store: Store, username: str) -> writes.LockedUser | None:
    return await writes.lock_user(store, username)


@use_case
async def _note_failure(store: Store, actor: Actor) -> None:
    user = await writes.lock_user(store, actor.name)
    if user is not None:
        excess = user.failed_logins + 1 - FREE_TRIES
        wait_ms = min(FIRST_WAIT_MS * 2 ** min(excess, 20), LONGEST_WAIT_MS) if excess >= 0 else 0
        await writes.note_failed_login(store, actor.name, wait_ms)
    await store.audit(AuditAction.LOGIN_FAILED, actor, actor.name, details={"known_user": user is not None})


@use_case
async def _begin(store: Store, actor: Actor, token_hash: bytes, ttl_h: int) -> datetime:
    user = await writes.lock_user(store, actor.name)
    if user is None or user.disabled:
        raise LoginRefused("The name or the password is wrong, or the user is disabled.")
    if user.locked_ms:
        raise _locked(user.locked_ms)
    expires_at = await writes.open_session(store, actor.name, token_hash, ttl_h)
    await store.audit(AuditAction.LOGIN_SUCCEEDED, actor, actor.name)
    return expires_at


def _locked(locked_ms: int) -> LoginLocked:
    return LoginLocked("Too many wrong passwords: wait and try again.", retry_after_ms=locked_ms)
