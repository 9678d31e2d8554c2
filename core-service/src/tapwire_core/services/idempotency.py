"""Idempotent requests: the same `Idempotency-Key` with the same body has its effect once, and repeats get the first result.

The transaction of the effect also claims the key and keeps the use case's result: ids, and amounts as they were then. Every repeat
makes its answer anew from that, so no kept answer holds a name that was changed or erased since, and a crash between commit and
answer loses nothing. A refused request keeps nothing, because nothing was done. The key of a booking is kept for good, with its
movement: a clock that jumps must not let a repeat book again.

A result with a secret is kept sealed with a key that only its client has: a repeat with that key gets the secret again, another
key, or a reader of the database, does not.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import NoneType
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, get_type_hints

import msgspec

from tapwire_core.db.engine import Database, Steps, is_booking, is_urgent, urgent_use_case, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import idempotency as writes
from tapwire_core.errors import DomainError, Refused
from tapwire_core.services.sealing import seal, unseal

P = ParamSpec("P")
R = TypeVar("R")


class IdempotencyKeyReused(DomainError):
    """The key was used before with another body."""

    code = "idempotency_key_reused"


class SecretShownOnce(Refused):
    """The first answer has a secret, and is kept only for the session that requested it."""

    code = "secret_shown_once"


class AnsweredBefore(Exception):
    """The answer was kept whole, by a version before revision 0038: it is sent again."""

    def __init__(self, status_code: int, body: str) -> None:
        super().__init__("the request was answered before")
        self.status_code = status_code
        self.body = body


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with an `Idempotency-Key`; `scope` is the user and the route. A `sealing_key` seals its kept result."""

    scope: str
    key: str
    body_hash: bytes
    sealing_key: bytes | None = None

    def seal(self, text: str) -> str:
        """Seal a result, to keep it."""
        return text if self.sealing_key is None else seal(self.sealing_key, text)

    def unseal(self, kept: str) -> str:
        """Restore a kept result; raises `SecretShownOnce`."""
        text = kept if self.sealing_key is None else unseal(self.sealing_key, kept)
        if text is None:
            raise SecretShownOnce("The secret was shown to another session and can't be shown again: rotate it to get a new one.")
        return text


async def run_once(
    db: Database,
    request: KeyedRequest,
    wanted: Callable[Concatenate[Database, P], Awaitable[R]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """Run a `use_case` for a request, or return its first result again; raises `IdempotencyKeyReused`."""
    steps: Callable[..., Awaitable[R]] = inspect.unwrap(wanted)
    claim = _claim_urgently if is_urgent(wanted) else _claim
    kept_for_good = is_booking(steps)
    return await claim(db, request, lambda store: steps(store, *args, **kwargs), _result_type(steps), kept_for_good=kept_for_good)


async def run_prepared_once(
    db: Database,
    request: KeyedRequest,
    wanted: Callable[Concatenate[Database, P], Awaitable[None]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> None:
    """Run a `prepared_use_case` once. A repeat prepares nothing: its old password is no longer the right one."""
    before = await _seek(db, request)
    if before is not None:
        _repeat(request, before, NoneType)
        return
    prepare: Callable[..., Awaitable[Steps]] = inspect.unwrap(wanted)
    await _claim(db, request, await prepare(db, *args, **kwargs), NoneType)


@use_case
async def _seek(store: Store, request: KeyedRequest) -> writes.StoredRequest | None:
    return await writes.read_unexpired(store, request.scope, request.key)


@use_case
async def _claim(
    store: Store,
    request: KeyedRequest,
    steps: Callable[[Store], Awaitable[R]],
    result_type: type[R],
    *,
    kept_for_good: bool = False,
) -> R:
    before = await writes.claim(store, request.scope, request.key, request.body_hash)
    if before is not None:
        return _repeat(request, before, result_type)
    result = await steps(store)
    kept = request.seal(msgspec.json.encode(result).decode())
    await writes.keep_result(store, request.scope, request.key, kept, for_good=kept_for_good)
    return result


_claim_urgently: Final = urgent_use_case(inspect.unwrap(_claim))


def _repeat(request: KeyedRequest, before: writes.StoredRequest, result_type: type[R]) -> R:
    if before.body_hash != request.body_hash:
        raise IdempotencyKeyReused("This Idempotency-Key was used with another body: send a new key.")
    assert before.answer is not None, "the result is kept in the transaction that claims the key"
    kept = request.unseal(before.answer)
    if before.status_code is not None:
        raise AnsweredBefore(before.status_code, kept)
    return msgspec.json.decode(kept, type=result_type)


def _result_type(steps: Callable[..., Any]) -> Any:
    return get_type_hints(steps)["return"]
