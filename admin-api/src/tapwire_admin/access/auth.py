"""Access control. Each route declares its `access`; a route without one refuses everybody.

A session's token comes as `Authorization: Bearer …`, or in the console's cookie (`cookies`). The user's role is read on every
request, so that a change takes effect at once. The controller of a tap sends the device's secret as `X-Internal-Token`.
"""

from enum import StrEnum
from typing import Any, Final

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import ClientException, NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from tapwire_admin.access.cookies import SESSION_COOKIE, require_csrf_token
from tapwire_admin.access.venue_guard import require_in_scope
from tapwire_admin.requests.request_ids import request_id_of
from tapwire_contracts.topics import DeviceKind, DevicePath
from tapwire_core.db.engine import Database
from tapwire_core.db.views.devices import device_of_secret
from tapwire_core.db.views.users import Operator, operator_of_token
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.closed_sets import Role
from tapwire_core.services.sessions import hash_token

SCHEME: Final = "bearer"
DEVICE_HEADER: Final = "X-Internal-Token"
MAX_TOKEN_LENGTH: Final = 200

OPERATOR: Final = Role.OPERATOR
SHIFT_LEAD: Final = Role.SHIFT_LEAD
ENGINEER: Final = Role.ENGINEER


class OpenTo(StrEnum):
    """Access without an operator's session."""

    EVERYBODY = "everybody"
    DEVICES = "devices"


EVERYBODY: Final = OpenTo.EVERYBODY
DEVICES: Final = OpenTo.DEVICES


async def enforce_access(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """The guard of the whole application; it also gives the request its id and start time."""
    request_id_of(connection.scope)
    if "\0" in connection.scope["path"]:
        raise ClientException("A path must not hold the NUL character.")
    access = handler.opt.get("access")
    if access is DEVICES:
        connection.scope["state"]["device"] = await _device(connection)
        return
    if access is EVERYBODY:
        return
    if not isinstance(access, Role):
        raise PermissionDeniedException("This route declares no access, so nobody may call it.")
    operator = await _operator(connection)
    connection.scope["state"]["operator"] = operator
    connection.scope["state"]["username"] = operator.username
    require_role(operator, access)
    await require_in_scope(connection, handler, operator, connection.app.state.db)


def require_role(operator: Operator, role: Role) -> None:
    """Raise 403 unless the operator has this role, or one that includes it."""
    if not may(operator, role):
        raise PermissionDeniedException(f"This needs the role {role}.", extra={"required_role": role, "role": operator.role})


def may(operator: Operator, role: Role) -> bool:
    """True if the operator has this role, or one that includes it."""
    return operator.role.includes(role)


def token_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The session's token from header or cookie; raises 401."""
    token = _bearer_of(connection) or connection.cookies.get(SESSION_COOKIE, "")
    if not 0 < len(token) <= MAX_TOKEN_LENGTH:
        raise NotAuthorizedException("Log in with POST /api/session, and send the token as 'Authorization: Bearer …'.")
    return token


def operator_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Operator:
    """The logged-in operator; for routes that require a role."""
    operator: Operator = connection.scope["state"]["operator"]
    return operator


def actor_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Actor:
    """The operator as the audit log names them."""
    return Actor(operator_of(connection).username, request_id_of(connection.scope))


def device_of(connection: ASGIConnection[Any, Any, Any, Any]) -> DevicePath:
    """The calling controller's tap; for routes that are open to devices."""
    device: DevicePath = connection.scope["state"]["device"]
    return device


async def _device(connection: ASGIConnection[Any, Any, Any, Any]) -> DevicePath:
    token, db = connection.headers.get(DEVICE_HEADER, ""), connection.app.state.db
    path = await device_of_secret(db, hash_token(token)) if 0 < len(token) <= MAX_TOKEN_LENGTH else None
    device = DevicePath.parse(path) if path else None
    if device is None or device.kind is not DeviceKind.TAP:
        raise NotAuthorizedException(f"Send the secret of a tap's controller in {DEVICE_HEADER}.")
    return device


async def _operator(connection: ASGIConnection[Any, Any, Any, Any]) -> Operator:
    db: Database = connection.app.state.db
    operator = await operator_of_token(db, hash_token(token_of(connection)))
    if operator is None:
        raise NotAuthorizedException("The session has ended: log in again with POST /api/session.")
    if isinstance(connection, Request) and not _bearer_of(connection):
        await require_csrf_token(connection)
    return operator


def _bearer_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    scheme, _, token = connection.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == SCHEME else ""
