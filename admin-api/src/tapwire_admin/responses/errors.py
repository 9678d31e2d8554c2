"""The map from errors to HTTP answers: RFC 9457 `application/problem+json` with a machine-readable `code`.

Ids and limits that the caller needs stand beside `code`, as in `{"code": "card_busy", "visit_id": "…"}`.
"""

import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from tapwire_admin.access.cookies import ForgedRequest
from tapwire_admin.access.secret_addresses import loggable_path
from tapwire_admin.access.venue_guard import without_hidden
from tapwire_admin.requests.request_ids import request_id_of
from tapwire_core.db.failures import is_database_unavailable, is_lock_timeout
from tapwire_core.errors import AllVenuesRequired, DomainError, Invalid, NotFound, Refused, RoleRequired
from tapwire_core.payment_providers.provider import ProviderUnavailable
from tapwire_core.services.decision_rates import RateLimited
from tapwire_core.services.idempotency import IdempotencyKeyReused
from tapwire_core.services.passwords import PasswordsBusy
from tapwire_core.services.sessions import LoginRefused
from tapwire_core.services.shifts import VisitsKeepComing

PROBLEM_JSON: Final = "application/problem+json"
STATUS_OF: Final[Mapping[type[DomainError], HTTPStatus]] = {
    NotFound: HTTPStatus.NOT_FOUND,
    Invalid: HTTPStatus.BAD_REQUEST,
    Refused: HTTPStatus.CONFLICT,
    RoleRequired: HTTPStatus.FORBIDDEN,
    AllVenuesRequired: HTTPStatus.FORBIDDEN,
    LoginRefused: HTTPStatus.UNAUTHORIZED,
    ForgedRequest: HTTPStatus.FORBIDDEN,
    IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    PasswordsBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    ProviderUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    VisitsKeepComing: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Status of each kind of domain error; a subclass has that of its nearest parent."""

BUSY: Final = "busy"
UNAVAILABLE: Final = "unavailable"
INTERNAL_ERROR: Final = "internal_error"

CODE_OF: Final[Mapping[int, str]] = {
    HTTPStatus.BAD_REQUEST: "invalid",
    HTTPStatus.UNAUTHORIZED: "login_required",
    HTTPStatus.FORBIDDEN: "role_required",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
    HTTPStatus.INTERNAL_SERVER_ERROR: INTERNAL_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE: UNAVAILABLE,
}
"""Codes of HTTP's own refusals."""

FAULTS: Final[Mapping[str, HTTPStatus]] = {
    BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
    UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    INTERNAL_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Faults of the server: a row is locked by somebody else, the database is unreachable, or a bug."""

TEXTS: Final[Mapping[str, str]] = {
    BUSY: "Somebody else is changing the same record. Try again in a moment; repeat a booking with the same Idempotency-Key.",
    UNAVAILABLE: "The database is unreachable. Try again in a moment; repeat a booking with the same Idempotency-Key.",
    INTERNAL_ERROR: "An internal error occurred. The request may be repeated with its Idempotency-Key; nothing is booked twice.",
}

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
TRY_AGAIN: Final[Mapping[str, str]] = MappingProxyType({"Retry-After": "1"})

_MISSING: Final = re.compile(r"Missing required (?P<source>\w+) parameter '(?P<field>[^']+)'")
"""Litestar reports a missing parameter in its text only."""
_log: Final = logging.getLogger("tapwire.admin")


def answer_domain_error(request: Request[Any, Any, Any], error: DomainError) -> Response[Any]:
    """Answer a use case's refusal."""
    wait_ms = error.facts.get("retry_after_ms")
    headers = {"Retry-After": str(math.ceil(wait_ms / 1_000))} if isinstance(wait_ms, int) else NO_HEADERS
    return problem(request, status_of(type(error)), error.code, str(error), without_hidden(request, error.facts), headers)


def status_of(kind: type[DomainError]) -> HTTPStatus:
    """The HTTP status of a kind of domain error."""
    return next((STATUS_OF[parent] for parent in kind.__mro__ if parent in STATUS_OF), HTTPStatus.INTERNAL_SERVER_ERROR)


def answer_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Answer a refusal before any use case: invalid input, no login, wrong role, no such route."""
    code = CODE_OF.get(error.status_code, HTTPStatus(error.status_code).phrase.lower().replace(" ", "_"))
    if isinstance(error, ValidationException):
        invalid = invalid_fields(error)
        facts = {"field": invalid[0].field, "errors": invalid} if invalid else {"errors": []}
        return problem(request, HTTPStatus.BAD_REQUEST, code, "; ".join(map(str, invalid)) or error.detail, facts)
    facts = error.extra if isinstance(error.extra, dict) else {}
    return problem(request, HTTPStatus(error.status_code), code, error.detail, facts, error.headers or {})


def answer_fault(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer an unexpected exception; the caller gets the request's id, and no internals."""
    code = fault_of(request, error)
    headers = NO_HEADERS if code == INTERNAL_ERROR else TRY_AGAIN
    return problem(request, FAULTS[code], code, TEXTS[code], {}, headers)


def fault_of(request: Request[Any, Any, Any], error: Exception) -> str:
    """Log a fault and return its code, one of `FAULTS`."""
    where = f"{request.method} {quote(loggable_path(request.scope['path']))}"
    if is_lock_timeout(error):
        _log.warning("%s: somebody else held a row for too long", where)
        return BUSY
    if is_database_unavailable(error):
        _log.warning("%s: the database is unreachable, %r", where, error)
        return UNAVAILABLE
    _log.error("%s failed, request %s", where, request_id_of(request.scope), exc_info=error)
    return INTERNAL_ERROR


@dataclass(frozen=True, slots=True)
class FieldError:
    """One invalid field of a request. `field`: a parameter's name, or the place in the body, as in `detail.ids[3]`."""

    field: str | None
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


def invalid_fields(error: ValidationException) -> list[FieldError]:
    """All invalid fields of a request, from the errors of msgspec and Litestar."""
    if missing := _MISSING.match(error.detail):
        return [FieldError(missing["field"], f"Missing required {missing['source']} parameter.")]
    parts = [part for part in error.extra or [] if isinstance(part, dict)]
    if [part.get("key") for part in parts] == ["data"]:
        return [FieldError(None, "The request needs a JSON object as its body.")]
    return [FieldError(part.get("key") or part.get("source"), part.get("message", "")) for part in parts]


def problem(
    request: Request[Any, Any, Any],
    status: HTTPStatus,
    code: str,
    detail: str,
    facts: Mapping[str, object],
    headers: Mapping[str, str] = NO_HEADERS,
) -> Response[Any]:
    """A problem document."""
    standard = {"type": "about:blank", "title": status.phrase, "status": status.value, "code": code, "detail": detail}
    login = {"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else {}
    content = {**facts, **standard, "request_id": request_id_of(request.scope)}
    return Response(content, status_code=status.value, media_type=PROBLEM_JSON, headers={**headers, **login})
