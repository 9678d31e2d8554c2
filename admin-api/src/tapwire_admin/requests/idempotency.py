"""`Idempotency-Key` of HTTP requests: a repeat gets the first result, and its handler makes the answer of it anew.

The result of a route with `returns_secret` is stored for the asking session alone: encrypted with a key derived from the session's
token, of which the database has only a hash, and the `Idempotency-Key`. The body of a route with `accepts_secret` is recognised by
a slow hash, because a fast one would let its password be guessed.
"""

import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from litestar import Request, Response
from litestar.di import NamedDependency

from tapwire_admin.access.auth import operator_of, token_of
from tapwire_contracts.card_uid import InvalidCardUid, normalize_card_uid
from tapwire_core.db.engine import Database
from tapwire_core.errors import Invalid
from tapwire_core.services.idempotency import AnsweredBefore, KeyedRequest, run_once, run_prepared_once
from tapwire_core.services.passwords import hash_slowly

HEADER: Final = "Idempotency-Key"
KEY_PATTERN: Final = r"^[\x21-\x7e]([\x20-\x7e]{0,198}[\x21-\x7e])?$"
CARD_IN_PATH: Final = "card_uid"
_KEY: Final = re.compile(KEY_PATTERN)

P = ParamSpec("P")
R = TypeVar("R")


class IdempotencyKeyRequired(Invalid):
    """The route moves money: without a key, a repeat would move it twice."""

    code = "idempotency_key_required"


@dataclass(frozen=True, slots=True)
class Once:
    """Runs a use case once for each key; without a key, at each request."""

    db: Database
    request: KeyedRequest | None

    async def __call__(self, use_case: Callable[Concatenate[Database, P], Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a use case, or return its first result again."""
        if self.request is None:
            return await use_case(self.db, *args, **kwargs)
        return await run_once(self.db, self.request, use_case, *args, **kwargs)

    async def prepared(
        self, use_case: Callable[Concatenate[Database, P], Awaitable[None]], /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Run a `prepared_use_case` likewise."""
        if self.request is None:
            return await use_case(self.db, *args, **kwargs)
        return await run_prepared_once(self.db, self.request, use_case, *args, **kwargs)


async def provide_once(request: Request[Any, Any, Any], db: NamedDependency[Database]) -> Once:
    """The request's `Once`; a route with `key_required=True` refuses a request without a key."""
    key = key_of(request)
    if key is None:
        if request.route_handler.opt.get("key_required"):
            raise IdempotencyKeyRequired(f"Send a new {HEADER} with each booking, and the same with its repeats.", header=HEADER)
        return Once(db, None)
    scope = scope_of(request)
    declared, body = request.route_handler.opt, await request.body()
    slow = hash_slowly(body, f"{scope} {key}".encode()) if declared.get("accepts_secret") else None
    keyed = KeyedRequest(
        scope,
        key,
        body_hash=await slow if slow else hashlib.sha256(body).digest(),
        sealing_key=sealing_key_of(request, key) if declared.get("returns_secret") else None,
    )
    return Once(db, keyed)


def key_of(request: Request[Any, Any, Any]) -> str | None:
    """The request's `Idempotency-Key`; raises `Invalid` for an unreadable one."""
    key = request.headers.get(HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise Invalid(f"{HEADER} is 1 to 200 visible ASCII characters.", header=HEADER)
    return key


def scope_of(request: Request[Any, Any, Any]) -> str:
    """The key's scope: user, method and path, with ids in canonical form, since UUIDs and card ids have many spellings."""
    ids = {name: _canonical(name, value) for name, value in request.path_params.items()}
    return f"{operator_of(request).username} {request.method} {request.scope['path_template'].format_map(ids)}"


def _canonical(name: str, given: object) -> str:
    with suppress(InvalidCardUid):
        return normalize_card_uid(str(given)) if name == CARD_IN_PATH else str(given)
    return str(given)


def sealing_key_of(request: Request[Any, Any, Any], key: str) -> bytes:
    """The key that encrypts a stored result for its session alone."""
    return hmac.digest(token_of(request).encode(), key.encode(), "sha256")


def repeat_answer(_: Request[Any, Any, Any], error: AnsweredBefore) -> Response[bytes]:
    """The answer that an earlier version kept whole."""
    return Response(error.body.encode(), status_code=error.status_code, media_type="application/json")
