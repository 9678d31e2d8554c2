"""The one map from what can go wrong to an HTTP answer: RFC 9457 `application/problem+json` with a machine `code`.

Ids and limits that the caller needs to act on stand beside `code`, as in `{"code": "card_busy", "visit_id": "…"}`.
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
from tapwire_admin.requests.request_ids import request_id_of
from tapwire_core.db.failures import is_database_gone, is_row_held
from tapwire_core.errors import DomainError, Invalid, NotFound, Refused
from tapwire_core.services.idempotency import IdempotencyKeyReused
from tapwire_core.services.passwords import PasswordsBusy
from tapwire_core.services.sessions import LoginRefused

PROBLEM_JSON: Final = "application/problem+json"
STATUS_OF: Final[Mapping[type[DomainError], HTTPStatus]] = {
    NotFound: HTTPStatus.NOT_FOUND,
    Invalid: HTTPStatus.BAD_REQUEST,
    Refused: HTTPStatus.CONFLICT,
    LoginRefused: HTTPStatus.UNAUTHORIZED,
    ForgedRequest: HTTPStatus.FORBIDDEN,
    IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    PasswordsBusy: HTTPStatus.SERVICE_UNAVAILABLE,
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
"""Codes of what HTTP itself refuses."""

FAULTS: Final[Mapping[str, HTTPStatus]] = {
    BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
    UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    INTERNAL_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""What may be wrong with us: somebody else holds what is to be changed, the database is away, or it is our mistake."""

TEXTS: Final[Mapping[str, str]] = {
    BUSY: "Somebody else is changing the same right now: try again in a moment, a booking with the same Idempotency-Key.",
    UNAVAILABLE: "The database can't be reached now: try again in a moment, a booking with the same Idempotency-Key.",
    INTERNAL_ERROR: "Something went wrong here. Nothing was booked twice: the request may be repeated with its Idempotency-Key.",
}

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
TRY_AGAIN: Final[Mapping[str, str]] = MappingProxyType({"Retry-After": "1"})

_MISSING: Final = re.compile(r"Missing required (?P<source>\w+) parameter '(?P<field>[^']+)'")
"""What Litestar says of a parameter that is not there, in its text alone."""
_log: Final = logging.getLogger("tapwire.admin")


def answer_domain_error(request: Request[Any, Any, Any], error: DomainError) -> Response[Any]:
    """A use case that can't be done."""
    wait_ms = error.facts.get("retry_after_ms")
    headers = {"Retry-After": str(math.ceil(wait_ms / 1_000))} if isinstance(wait_ms, int) else NO_HEADERS
    return problem(request, status_of(type(error)), error.code, str(error), error.facts, headers)


def status_of(kind: type[DomainError]) -> HTTPStatus:
    """The status that a kind of domain error is answered with."""
    return next((STATUS_OF[parent] for parent in kind.__mro__ if parent in STATUS_OF), HTTPStatus.INTERNAL_SERVER_ERROR)


def answer_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """What was refused before a use case was called: unreadable, no login, not the role, no such route."""
    code = CODE_OF.get(error.status_code, HTTPStatus(error.status_code).phrase.lower().replace(" ", "_"))
    if isinstance(error, ValidationException):
        wrong = invalid_fields(error)
        facts = {"field": wrong[0].field, "errors": wrong} if wrong else {"errors": []}
        return problem(request, HTTPStatus.BAD_REQUEST, code, "; ".join(map(str, wrong)) or error.detail, facts)
    facts = error.extra if isinstance(error.extra, dict) else {}
    return problem(request, HTTPStatus(error.status_code), code, error.detail, facts, error.headers or {})


def answer_fault(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """What no use case says; the caller gets the id to find it by, and nothing of its inside."""
    code = fault_of(request, error)
    headers = NO_HEADERS if code == INTERNAL_ERROR else TRY_AGAIN
    return problem(request, FAULTS[code], code, TEXTS[code], {}, headers)


def fault_of(request: Request[Any, Any, Any], error: Exception) -> str:
    """The code of a fault, which is logged: one of `FAULTS`."""
    where = f"{request.method} {quote(request.url.path)}"
    if is_row_held(error):
        _log.warning("%s: somebody else held a row for too long", where)
        return BUSY
    if is_database_gone(error):
        _log.warning("%s: the database is gone, %r", where, error)
        return UNAVAILABLE
    _log.error("%s failed, request %s", where, request_id_of(request.scope), exc_info=error)
    return INTERNAL_ERROR


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing in a request that can't be read. `field`: a parameter's name, or the place in the body, as in `detail.ids[3]`."""

    field: str | None
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


def invalid_fields(error: ValidationException) -> list[FieldError]:
    """Each thing that can't be read, from what msgspec and Litestar say of it."""
    if missing := _MISSING.match(error.detail):
        return [FieldError(missing["field"], f"Missing required {missing['source']} parameter.")]
    told = [part for part in error.extra or [] if isinstance(part, dict)]
    if [part.get("key") for part in told] == ["data"]:
        return [FieldError(None, "The request needs a JSON object as its body.")]
    return [FieldError(part.get("key") or part.get("source"), part.get("message", "")) for part in told]


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
