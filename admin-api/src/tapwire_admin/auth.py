"""Who may call what. Each route declares its `access`; a route without one is refused to everybody.

A session's token comes as `Authorization: Bearer …`. Its user's role is read at every request, so that a change counts at once.
"""

from enum import StrEnum
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from tapwire_admin.request_ids import request_id_of
from tapwire_core.db.engine import Database
from tapwire_core.db.views.operations import Operator, operator_of_token
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.words import Role
from tapwire_core.services.sessions import hash_token

PREFIX: Final = "Bearer "
MAX_TOKEN_LENGTH: Final = 200

OPERATOR: Final = Role.OPERATOR
SHIFT_LEAD: Final = Role.SHIFT_LEAD
ENGINEER: Final = Role.ENGINEER


class OpenTo(StrEnum):
    """Access without an operator's session."""

    EVERYBODY = "everybody"
    DEVICES = "devices"


EVERYBODY: Final = OpenTo.EVERYBODY
_RANK: Final = {role: rank for rank, role in enumerate(Role)}
"""Each role includes the ones before it."""


async def enforce_access(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """The guard of the whole application; what comes in is named and timed from here on."""
    request_id_of(connection.scope)
    access = handler.opt.get("access")
    if isinstance(access, OpenTo):
        return
    if not isinstance(access, Role):
        raise PermissionDeniedException("This route says of nobody that they may call it.")
    operator = await _operator(connection)
    connection.scope["state"]["operator"] = operator
    connection.scope["state"]["username"] = operator.username
    require_role(operator, access)


def require_role(operator: Operator, role: Role) -> None:
    """Raise 403 unless the operator has this role, or one that includes it."""
    if _RANK[operator.role] < _RANK[role]:
        raise PermissionDeniedException(f"This needs the role {role}.", extra={"required_role": role, "role": operator.role})


def token_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The session's token, as the caller sent it; raises 401."""
    header = connection.headers.get("Authorization", "")
    if not header.startswith(PREFIX) or len(header) > MAX_TOKEN_LENGTH:
        raise NotAuthorizedException("Log in with POST /api/session, and send the token as 'Authorization: Bearer …'.")
    return header.removeprefix(PREFIX)


def operator_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Operator:
    """Who is logged in; for routes that ask for a role."""
    operator: Operator = connection.scope["state"]["operator"]
    return operator


def actor_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Actor:
    """The operator as the audit log names them."""
    return Actor(operator_of(connection).username, request_id_of(connection.scope))


async def _operator(connection: ASGIConnection[Any, Any, Any, Any]) -> Operator:
    db: Database = connection.app.state.db
    operator = await operator_of_token(db, hash_token(token_of(connection)))
    if operator is None:
        raise NotAuthorizedException("The session has ended: log in again with POST /api/session.")
    return operator
