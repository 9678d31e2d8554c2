"""Logging in and out, and one's own account."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from msgspec import Meta, Struct

from tapwire_admin.access.auth import EVERYBODY, OPERATOR, operator_of, token_of
from tapwire_admin.access.cookies import (
    SESSION_COOKIE,
    ForgedRequest,
    forget_login,
    make_csrf_token,
    remember_login,
    require_same_site,
)
from tapwire_admin.access.venue_guard import GUESTS
from tapwire_admin.requests.dependencies import CurrentActor, Db, JSONBody, RunOnce
from tapwire_admin.requests.field_types import GivenPassword, Password, Verbatim
from tapwire_admin.requests.request_ids import request_id_of
from tapwire_core.db.views.users import Operator
from tapwire_core.domain.closed_sets import Role
from tapwire_core.services import sessions, users
from tapwire_core.services.passwords import PasswordsBusy
from tapwire_core.services.sessions import LoginLocked, LoginRefused


class Credentials(Struct, kw_only=True, forbid_unknown_fields=True):
    """An operator's login."""

    username: Verbatim
    password: GivenPassword
    cookie: Annotated[bool, Meta(description="put the token into an HTTP-only cookie, and answer its CSRF token")] = False


class PasswordChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """One's old password and the new one."""

    old_password: GivenPassword
    new_password: Password


class SessionBegun(Struct, frozen=True, kw_only=True):
    """A session; its token is shown once, or set as a cookie with `csrf_token` shown."""

    token: str | None
    csrf_token: str | None
    username: str
    role: Role
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SessionLength:
    """Duration of a session, in hours."""

    hours: int


@post("/session", access=EVERYBODY, refuses=(LoginRefused, LoginLocked, PasswordsBusy, ForgedRequest))
async def begin_session(
    request: Request[Any, Any, Any], db: Db, session_length: NamedDependency[SessionLength], data: JSONBody[Credentials]
) -> Response[SessionBegun]:
    """Log in."""
    if data.cookie:
        require_same_site(request)
    request_id = request_id_of(request.scope)
    login = await sessions.log_in(db, data.username, data.password, ttl_h=session_length.hours, request_id=request_id)
    return Response(_begun(login, in_cookie=data.cookie), cookies=[remember_login(request, login)] if data.cookie else None)


@delete("/session", access=OPERATOR, about=GUESTS)
async def end_session(request: Request[Any, Any, Any], db: Db, actor: CurrentActor) -> Response[None]:
    """Log out: the token becomes invalid, and its cookie is deleted."""
    await sessions.log_out(db, actor, token_of(request))
    return Response(None, cookies=[forget_login(request)] if SESSION_COOKIE in request.cookies else None)


@get("/me", access=OPERATOR)
async def read_me(request: Request[Any, Any, Any]) -> Operator:
    """The logged-in operator."""
    return operator_of(request)


@post("/me/password", access=OPERATOR, about=GUESTS, accepts_secret=True, status_code=204, refuses=(LoginRefused, LoginLocked))
async def change_password(
    request: Request[Any, Any, Any], actor: CurrentActor, once: RunOnce, data: JSONBody[PasswordChange]
) -> None:
    """Change one's own password; one's other sessions end."""
    await once.prepared(users.change_own_password, actor, token_of(request), data.old_password, data.new_password)


def _begun(login: sessions.Login, *, in_cookie: bool) -> SessionBegun:
    return SessionBegun(
        token=None if in_cookie else login.token,
        csrf_token=make_csrf_token(login.token) if in_cookie else None,
        username=login.username,
        role=login.role,
        expires_at=login.expires_at,
    )


HANDLERS = (begin_session, end_session, read_me, change_password)
