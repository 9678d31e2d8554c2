"""Refusals of each operation, for the documentation: derived from the route's declaration, so that no code is written twice.

Most follow from the route itself: an `access` needs a login, a body may be unreadable. A route names its use cases' own refusals as
classes, `refuses=(CardBusy, …)`; `responses/errors.py` has their statuses.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from litestar.handlers import HTTPRouteHandler

from tapwire_admin.access.auth import DEVICES, EVERYBODY
from tapwire_admin.access.cookies import SAFE_METHODS, ForgedRequest
from tapwire_admin.access.venue_guard import INSTALLATION, about_of
from tapwire_admin.openapi.examples import EXAMPLE_REQUEST_ID
from tapwire_admin.requests.idempotency import IdempotencyKeyRequired
from tapwire_admin.responses.errors import BUSY, CODE_OF, FAULTS, PROBLEM_JSON, status_of
from tapwire_core.domain.closed_sets import Role
from tapwire_core.errors import AllVenuesRequired, DomainError, Invalid, NotFound
from tapwire_core.services.idempotency import IdempotencyKeyReused, SecretShownOnce
from tapwire_core.services.passwords import PasswordsBusy

MEANING_OF: Final = {
    HTTPStatus.UNAUTHORIZED: "Nobody is logged in, or the session or the device's secret is no longer valid.",
    HTTPStatus.FORBIDDEN: "The operator's role does not allow this.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than the API accepts.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body's content type is not JSON.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "An internal error; the request may be repeated with its Idempotency-Key.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database is unreachable, or all streams are in use: try again in a moment.",
}
"""Texts of HTTP's own refusals."""

_TEXT: Final = {"type": "string"}
PROBLEM: Final = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457; beside `code` stand the ids and limits that the caller needs to act on",
    "properties": {**dict.fromkeys(("type", "title", "code", "detail", "request_id"), _TEXT), "status": {"type": "integer"}},
    "required": ["type", "title", "status", "code", "detail", "request_id"],
}


@dataclass(frozen=True, slots=True, order=True)
class Refusal:
    """One documented refusal of an operation."""

    status: HTTPStatus
    code: str
    meaning: str


ROW_HELD: Final = Refusal(FAULTS[BUSY], BUSY, "Somebody else is changing the same record: try again in a moment.")


def refusals_of(method: str, handler: HTTPRouteHandler) -> list[Refusal]:
    """All refusals of an operation, sorted by status and code."""
    kinds, statuses = set(_kinds(method, handler)), set(_statuses(handler))
    known = {Refusal(status_of(kind), kind.code, _first_line(kind)) for kind in kinds}
    by_http = {Refusal(status, CODE_OF[status], MEANING_OF[status]) for status in statuses}
    held = {ROW_HELD} if ROW_HELD.status in statuses and method not in SAFE_METHODS else set[Refusal]()
    return sorted(known | by_http | held)


def document_refusals(refusals: list[Refusal]) -> dict[str, Any]:
    """The responses of an OpenAPI operation: for each status its codes, with an example of each."""
    by_status: defaultdict[HTTPStatus, list[Refusal]] = defaultdict(list)
    for refusal in refusals:
        by_status[refusal.status].append(refusal)
    return {str(status.value): _response(refused) for status, refused in by_status.items()}


def _kinds(method: str, handler: HTTPRouteHandler) -> Iterator[type[DomainError]]:
    given = handler.parsed_fn_signature.parameters
    yield from handler.opt.get("refuses", ())
    if takes_input(handler):
        yield Invalid
    if any("{" in path for path in handler.paths):
        yield NotFound
    if isinstance(handler.opt["access"], Role) and method not in SAFE_METHODS:
        yield ForgedRequest
    if isinstance(handler.opt["access"], Role) and about_of(handler, method) is INSTALLATION:
        yield AllVenuesRequired
    if "once" in given:
        yield from (Invalid, IdempotencyKeyReused)
        yield from (IdempotencyKeyRequired,) if handler.opt.get("key_required") else ()
        yield from (SecretShownOnce,) if handler.opt.get("returns_secret") else ()
        yield from (PasswordsBusy,) if handler.opt.get("accepts_secret") else ()


def _statuses(handler: HTTPRouteHandler) -> Iterator[HTTPStatus]:
    access = handler.opt["access"]
    if isinstance(access, Role):
        yield from (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    if access is DEVICES:
        yield HTTPStatus.UNAUTHORIZED
    if takes_body(handler):
        yield from (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    if access is not EVERYBODY or "db" in handler.parsed_fn_signature.parameters:
        yield from (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INTERNAL_SERVER_ERROR)


def takes_body(handler: HTTPRouteHandler) -> bool:
    """True for a route that reads a body."""
    return "data" in handler.parsed_fn_signature.parameters or handler.opt.get("body") is not None


def takes_input(handler: HTTPRouteHandler) -> bool:
    """True for a route with input that may be invalid."""
    provided = {"db", "actor", "once", "live", "request", "session_length", "own_venue"}
    return takes_body(handler) or bool(set(handler.parsed_fn_signature.parameters) - provided)


def _response(refused: list[Refusal]) -> dict[str, Any]:
    codes = {"type": "object", "properties": {"code": {"enum": [refusal.code for refusal in refused]}}}
    content = {
        "schema": {"allOf": [{"$ref": "#/components/schemas/Problem"}, codes]},
        "examples": {refusal.code: {"summary": refusal.meaning, "value": _example(refusal)} for refusal in refused},
    }
    return {
        "description": " ".join(f"`{refusal.code}`: {refusal.meaning}" for refusal in refused),
        "content": {PROBLEM_JSON: content},
    }


def _example(refusal: Refusal) -> dict[str, Any]:
    standard = {"type": "about:blank", "title": refusal.status.phrase, "status": refusal.status.value, "code": refusal.code}
    return {**standard, "detail": refusal.meaning, "request_id": EXAMPLE_REQUEST_ID}


def _first_line(kind: type[DomainError]) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]
