"""Idempotent requests: the same `Idempotency-Key` with the same body has its effect once, and repeats get the first answer.

The transaction of the effect also claims the key and keeps the use case's result, so a crash between commit and answer loses
neither: the repeat makes its answer from the kept result. The answer itself is kept before it is sent, and from then on repeated to
the letter. A refused request keeps nothing, because nothing was done. The key of a booking is kept for good, with its
movement: a clock that jumps must not let a repeat book again.

An answer with a secret is kept sealed with a key that only its client has: a repeat with that key gets the secret again, another
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


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with an `Idempotency-Key`; `scope` is the user and the route. A `sealing_key` seals its kept answer."""

    scope: str
    key: str
    body_hash: bytes
    sealing_key: bytes | None = None

    def seal(self, text: str) -> str:
        """Seal a text of the answer, to keep it."""
        return text if self.sealing_key is None else seal(self.sealing_key, text)

    def unseal(self, kept: str) -> str:
        """Restore a kept text of the answer; raises `SecretShownOnce`."""
        text = kept if self.sealing_key is None else unseal(self.sealing_key, kept)
        if text is None:
            raise SecretShownOnce("The secret was shown to another session and can't be shown again: rotate it to get a new one.")
        return text


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The answer to the first request."""

    status_code: int
    body: str


async def run_once(
    db: Database,
    request: KeyedRequest,
    wanted: Callable[Concatenate[Database, P], Awaitable[R]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> R | KeptAnswer:
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
) -> KeptAnswer | None:
    """Run a `prepared_use_case` once. A repeat prepares nothing: its old password is no longer the right one."""
    before = await _seek(db, request)
    if before is not None:
        return _repeat(request, before, NoneType)
    prepare: Callable[..., Awaitable[Steps]] = inspect.unwrap(wanted)
    return await _claim(db, request, await prepare(db, *args, **kwargs), NoneType)


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
) -> R | KeptAnswer:
    before = await writes.claim(store, request.scope, request.key, request.body_hash)
    if before is not None:
        return _repeat(request, before, result_type)
    result = await steps(store)
    kept = request.seal(msgspec.json.encode(result).decode())
    await writes.keep_result(store, request.scope, request.key, kept, for_good=kept_for_good)
    return result


_claim_urgently: Final = urgent_use_case(inspect.unwrap(_claim))


def _repeat(request: KeyedRequest, before: writes.StoredRequest, result_type: type[R]) -> R | KeptAnswer:
    if before.body_hash != request.body_hash:
        raise IdempotencyKeyReused("This Idempotency-Key was used with another body: send a new key.")
    if before.done:
        return _answer(request, before)
    assert before.answer is not None, "the result is kept in the transaction that claims the key"
    return msgspec.json.decode(request.unseal(before.answer), type=result_type)


@urgent_use_case
async def keep_answer(store: Store, request: KeyedRequest, answer: KeptAnswer) -> KeptAnswer:
    """Keep an answer before it is sent, and return the one to send: the first that was kept."""
    await writes.keep_answer(store, request.scope, request.key, answer.status_code, request.seal(answer.body))
    return _answer(request, await writes.read_stored(store, request.scope, request.key))


def _answer(request: KeyedRequest, row: writes.StoredRequest) -> KeptAnswer:
    assert row.status_code is not None
    assert row.answer is not None
    return KeptAnswer(row.status_code, request.unseal(row.answer))


def _result_type(steps: Callable[..., Any]) -> Any:
    return get_type_hints(steps)["return"]
