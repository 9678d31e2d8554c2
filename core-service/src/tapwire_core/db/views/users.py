"""Operators, and the operator of a session."""

from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from sqlalchemy import Select, and_, func, select

from tapwire_core.db.clock import CLOCK_TOLERANCE
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import LoginTries, Session, User
from tapwire_core.db.views.queries import (
    FIRST_PAGE,
    Page,
    PageRequest,
    age_ms,
    read_one,
    read_page,
    table,
)
from tapwire_core.domain.closed_sets import Role
from tapwire_core.domain.names import fold_username
from tapwire_core.domain.venue_scope import VenueScope

users: Final = table(User)
sessions: Final = table(Session)
login_tries: Final = table(LoginTries)


VenueIds = Annotated[tuple[str, ...], Meta(examples=[["bar"]])]


class UserView(Struct, frozen=True):
    """An operator; `locked_ms`: time until the next login attempt is allowed. `venues`: null for all."""

    username: str
    role: Role
    venues: VenueIds | None
    disabled: bool
    locked_ms: int
    created_at: datetime


class Operator(Struct, frozen=True):
    """The operator of a session. `venues`: those of which the operator sees things; null for all."""

    username: str
    role: Role
    venues: VenueIds | None = None

    @property
    def scope(self) -> VenueScope:
        """The venues of which the operator sees things."""
        return VenueScope.of(self.venues)


async def list_users(db: Database, page: PageRequest = FIRST_PAGE) -> Page[UserView]:
    """Users by name."""
    return await read_page(db, _users(), UserView, [users.c.username], page)


async def get_user(db: Database, username: str) -> UserView | None:
    """One user."""
    return await read_one(db, _users().where(func.lower(users.c.username) == fold_username(username)), UserView)


async def operator_of_token(db: Database, token_hash: bytes) -> Operator | None:
    """Read the operator of a session's token; None once the session has ended.

    A session that begins later than now ends too: since the database's clock was set back it would last longer than any may.
    """
    begun = sessions.c.created_at <= func.now() + CLOCK_TOLERANCE
    lasts = and_(sessions.c.revoked_at.is_(None), sessions.c.expires_at > func.now(), begun, ~users.c.disabled)
    statement = (
        select(users.c.username, users.c.role, users.c.venues)
        .join(sessions, sessions.c.username == users.c.username)
        .where(sessions.c.token_hash == token_hash, lasts)
    )
    return await read_one(db, statement, Operator)


def _users() -> Select[Any]:
    wait_ms = func.greatest(0, func.coalesce(-age_ms(login_tries.c.locked_until), 0))
    shown = [users.c[name] for name in ("username", "role", "venues", "disabled", "created_at")]
    with_tries = users.outerjoin(login_tries, login_tries.c.username == func.lower(users.c.username))
    return select(*shown, wait_ms.label("locked_ms")).select_from(with_tries)
