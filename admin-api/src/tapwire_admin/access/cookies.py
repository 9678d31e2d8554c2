"""The console's login: the session's token in an HTTP-only cookie, and a CSRF token against forged requests.

A browser sends the cookie with every request, also with one that another site triggers. So a request that changes something and is
authorised by the cookie must carry the session's CSRF token too, in a header or a form's field: only our own pages know it. It is
derived from the session's token by a one-way function: it ends with the session, every process can compute it, and nothing is
stored. Programs that send `Authorization: Bearer …` need none, because no browser adds that header by itself.
"""

import hmac
from typing import Any, Final

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie, MutableScopeHeaders
from litestar.enums import RequestEncodingType

from tapwire_core.errors import DomainError
from tapwire_core.services.sessions import Login

SESSION_COOKIE: Final = "tapwire_session"
CSRF_HEADER: Final = "X-CSRF-Token"
CSRF_FIELD: Final = "csrf_token"
"""A form's field with the same token as the header."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FORMS: Final = frozenset({RequestEncodingType.URL_ENCODED, RequestEncodingType.MULTI_PART})
PRIVATE_PATHS: Final = "/api/"
_PURPOSE: Final = b"csrf"
_CACHED_STATUSES: Final = frozenset({200, 304})


class ForgedRequest(DomainError):
    """A request with a login's cookie that none of our pages has made."""

    code = "csrf_token_required"


def require_same_site(request: Request[Any, Any, Any]) -> None:
    """Raise `ForgedRequest` when the browser reports that another site sent the login."""
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        raise ForgedRequest("Another site may not log its visitors in here: use the console's own page.")


def remember_login(request: Request[Any, Any, Any], login: Login) -> Cookie:
    """The cookie of a new session, kept until the browser ends; call `require_same_site` first."""
    return _cookie(request, login.token)


def forget_login(request: Request[Any, Any, Any]) -> Cookie:
    """The cookie that deletes the login's cookie."""
    return _cookie(request, "", max_age=0)


def csrf_token_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The token that our own pages send as `CSRF_FIELD` or `CSRF_HEADER`; empty without a login's cookie."""
    token = connection.cookies.get(SESSION_COOKIE, "")
    return make_csrf_token(token) if token else ""


def make_csrf_token(session_token: str) -> str:
    """The CSRF token of a session; it reveals nothing of the session's own token."""
    return hmac.digest(session_token.encode(), _PURPOSE, "sha256").hex()


async def require_csrf_token(request: Request[Any, Any, Any]) -> None:
    """Raise `ForgedRequest` unless the request has a safe method or carries the session's CSRF token."""
    if request.method in SAFE_METHODS:
        return
    shown = request.headers.get(CSRF_HEADER) or await _token_in_form(request)
    if not hmac.compare_digest(shown.encode(), csrf_token_of(request).encode()):
        raise ForgedRequest(
            f"Send the session's CSRF token in {CSRF_HEADER}, or as the form's field {CSRF_FIELD}.", header=CSRF_HEADER
        )


async def forbid_caching(message: Any, scope: Any) -> None:
    """Forbid browsers to cache the API's answers: after a logout, "back" would show them to the next person at the counter."""
    if message["type"] != "http.response.start":
        return
    is_cacheable = _is_cacheable(scope)
    if (scope["path"].startswith(PRIVATE_PATHS) or is_cacheable) and not (is_cacheable and message["status"] in _CACHED_STATUSES):
        MutableScopeHeaders.from_message(message)["Cache-Control"] = "no-store"


def _is_cacheable(scope: Any) -> bool:
    """True for a route that declares `cacheable`: its answers may be kept, its refusals may not."""
    handler = scope.get("route_handler")
    return handler is not None and bool(handler.opt.get("cacheable"))


async def _token_in_form(request: Request[Any, Any, Any]) -> str:
    if request.content_type[0] not in _FORMS:
        return ""
    shown = (await request.form()).get(CSRF_FIELD)
    return shown if isinstance(shown, str) else ""


def _cookie(request: Request[Any, Any, Any], value: str, max_age: int | None = None) -> Cookie:
    secure = bool(request.app.state.cookie_secure) or request.url.scheme == "https"
    return Cookie(SESSION_COOKIE, value=value, max_age=max_age, httponly=True, samesite="lax", secure=secure)
