"""Operators: their logins, roles and passwords. Passwords are kept as argon2id hashes, session tokens as SHA-256."""

import re
from typing import Final, TypedDict, Unpack

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import Database, Steps, prepared_use_case
from tapwire_core.db.store import Store
from tapwire_core.db.tables import User
from tapwire_core.db.writes import sessions as session_writes
from tapwire_core.db.writes import users as user_writes
from tapwire_core.db.writes import venues as venue_writes
from tapwire_core.db.writes.rows import change_row
from tapwire_core.domain.actor import CORE, Actor
from tapwire_core.domain.closed_sets import Role
from tapwire_core.domain.names import fold_username, is_name
from tapwire_core.errors import Invalid, NotFound, Refused
from tapwire_core.services.passwords import STAFF, hash_password, normalize_password
from tapwire_core.services.request_limits import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH
from tapwire_core.services.sessions import hash_token, lock_proven, prove_password
from tapwire_core.services.shown import Shown, require_as_shown

USERNAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$"
_USERNAME: Final = re.compile(USERNAME_PATTERN)


class UserExists(Refused):
    """Another user has this name."""

    code = "user_exists"


class LastEngineer(Refused):
    """No enabled engineer of all venues would be left."""

    code = "last_engineer"


class UserChanges(TypedDict, total=False):
    """Changes of a user."""

    role: Role
    venues: list[str] | None
    disabled: bool
    password: str


@prepared_use_case
async def create_user(
    _: Database, actor: Actor, username: str, role: Role, password: str, venues: list[str] | None = None
) -> Steps:
    """Add an operator, of all venues unless some are named."""
    if not _USERNAME.fullmatch(username) or fold_username(username) == CORE.name:
        raise Invalid(f"username must match {USERNAME_PATTERN}, and not be {CORE.name!r}.", field="username")
    require_password(password)
    password_hash = await hash_password(password)

    async def add(store: Store) -> None:
        if await user_writes.user_exists(store, username):
            raise UserExists(f"There is already a user {username!r}: use another name.", username=username)
        wanted = await _require_venues(store, venues)
        await store.insert(User, username=username, role=role.value, password_hash=password_hash, venues=wanted)
        await store.audit(AuditAction.USER_CREATED, actor, username, details={"role": role, "venues": wanted})

    return add


@prepared_use_case
async def change_own_password(db: Database, actor: Actor, token: str, old: str, new: str) -> Steps:
    """Change the actor's own password and end their other sessions; a wrong old password counts as a wrong login."""
    require_password(new)
    old_hash = await prove_password(db, STAFF, actor, old)
    new_hash = await hash_password(new)

    async def change(store: Store) -> None:
        await lock_proven(store, actor, old_hash)
        await change_row(store, User, {"username": actor.name}, {"password_hash": new_hash})
        await session_writes.end_sessions(store, actor.name, besides=hash_token(token))
        await store.audit(AuditAction.USER_CHANGED, actor, actor.name, details={"password": "changed"})

    return change


@prepared_use_case
async def change_user(
    _: Database, actor: Actor, username: str, *, shown: Shown | None = None, **changes: Unpack[UserChanges]
) -> Steps:
    """Change a user, all or nothing; one enabled engineer of all venues must stay.

    A new password ends the user's sessions and lock-out; disabling ends the sessions.
    """
    password = changes.pop("password", None)
    columns, audited = dict(changes), dict(changes)
    if password is not None:
        require_password(password)
        columns["password_hash"] = await hash_password(password)
        audited["password"] = "changed"  # noqa: S105  the audit log's word for it
    is_engineer = changes.get("role", Role.ENGINEER) is Role.ENGINEER
    leaves = changes.get("disabled", False) or not is_engineer or changes.get("venues") is not None

    async def change(store: Store) -> None:
        engineers = await user_writes.lock_enabled_engineers(store)
        known = (await _require_user(store, username)).username
        await require_as_shown(store, shown)
        if leaves and engineers == [known]:
            raise LastEngineer("This is the last engineer of all venues: make another one first.")
        if "venues" in changes:
            columns["venues"] = audited["venues"] = await _require_venues(store, changes["venues"])
        await change_row(store, User, {"username": known}, columns)
        if password is not None:
            await session_writes.forget_tries(store, known)
        if password is not None or changes.get("disabled"):
            await session_writes.end_sessions(store, known)
        await store.audit(AuditAction.USER_CHANGED, actor, known, details=audited)

    return change


def require_password(password: str) -> None:
    """Raise `Invalid` for a password that is too short, too long, or has no visible character."""
    if not MIN_PASSWORD_LENGTH <= len(normalize_password(password)) <= MAX_PASSWORD_LENGTH:
        raise Invalid(f"A password has {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters.", field="password")
    if not is_name("".join(mark for mark in password if mark.isprintable())):
        raise Invalid("A password needs a visible character.", field="password")


async def _require_venues(store: Store, venues: list[str] | None) -> list[str] | None:
    """The named venues, each once, in order; raises `NotFound` for one that there is not."""
    if venues is None:
        return None
    if not venues:
        raise Invalid("venues: name at least one venue, or leave it empty (null) for all.", field="venues")
    wanted = sorted(set(venues))
    for venue_id in wanted:
        if not await venue_writes.venue_exists(store, venue_id):
            raise NotFound("venue", venue_id)
    return wanted


async def _require_user(store: Store, username: str) -> user_writes.LockedUser:
    user = await user_writes.lock_user(store, username)
    if user is None:
        raise NotFound("user", username)
    return user
