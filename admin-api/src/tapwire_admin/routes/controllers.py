"""The HTTP door, for controllers without MQTT: the two use cases that tap nodes call, with the same answers.

The device's secret in `X-Internal-Token` identifies the tap. A denial is `{"detail": {"reason", "message"}}`, the only refusal of
this API that is not a problem document.
"""

import hashlib
import json
import logging
import time
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID, uuid4, uuid5

import msgspec
from litestar import Request, Response, post
from msgspec import Meta, Struct

from tapwire_admin.access.auth import DEVICES, device_of
from tapwire_admin.requests.bodies import unreadable_body
from tapwire_admin.requests.dependencies import Db, JSONBody
from tapwire_admin.requests.field_types import CardUid, Verbatim
from tapwire_admin.requests.request_ids import request_id_of
from tapwire_contracts.card_uid import InvalidCardUid, normalize_card_uid
from tapwire_contracts.codec import DECODE_ERRORS, read_object
from tapwire_contracts.denials import DENIALS, INSUFFICIENT_FUNDS_MESSAGE
from tapwire_contracts.messages import Milliliters, Milliseconds, PourAuthorized, PourDenied, PourSettled
from tapwire_contracts.reasons import DenyReason, EndReason, Malformation, Outcome, VerdictReason, VerdictStatus
from tapwire_contracts.topics import DevicePath
from tapwire_core.db.engine import Database
from tapwire_core.db.failures import is_retryable
from tapwire_core.db.views.taps import get_tap
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.authorization import Question
from tapwire_core.domain.pour_reports import Report
from tapwire_core.monitoring.metrics import GRANTED
from tapwire_core.services.cards import read_card_uid
from tapwire_core.services.decision_rates import RateLimited, write_undecided
from tapwire_core.services.devices import deny_other_tap
from tapwire_core.services.flows import readable_uuid, refuse_unreadable_report
from tapwire_core.services.nodes import keep_unusable
from tapwire_core.services.pours import EventIdReused, RawMessage, UnknownTap, authorize_pour, settle_report

MAX_BATCH: Final = 200
"""Maximum number of reports in one request."""
CONFLICTS: Final = frozenset(reason for reason, denial in DENIALS.items() if denial.conflict)
"""Denials that are answered 409; all others are 403."""
REQUEST_ID_REUSED: Final = "request_id_reused"

_log: Final = logging.getLogger("tapwire.admin.door")
_answer: Final[msgspec.json.Decoder[PourAuthorized | PourDenied]] = msgspec.json.Decoder(PourAuthorized | PourDenied)
_verdict: Final = msgspec.json.Decoder(PourSettled)


class AuthorizePour(Struct, kw_only=True):
    """A card's request to pour. A repeated `request_id` gets the same answer; without one, each request is new."""

    card_uid: CardUid
    tap_id: Verbatim | None = None
    request_id: Annotated[Verbatim, Meta(min_length=1)] | None = None


class PoursToSync(Struct, kw_only=True):
    """Reports of a batch, undecoded: each is decoded by itself, so that an invalid one fails no other."""

    pours: Annotated[list[msgspec.Raw], Meta(max_length=MAX_BATCH)]


class ReportedPour(Struct, kw_only=True):
    """A controller's one report of a pour."""

    pour_id: UUID
    card_uid: Annotated[str, Meta(description="8, 14 or 20 hex digits, as read or written")]
    volume_ml: Milliliters
    duration_ms: Milliseconds
    end_reason: EndReason | None = None


class ReportedPours(Struct, kw_only=True):
    """A batch as documented: `PoursToSync` with the type of its reports."""

    pours: Annotated[list[ReportedPour], Meta(max_length=MAX_BATCH)]


class PourAllowed(PourAuthorized, frozen=True, kw_only=True, tag="pour_authorized"):
    """A grant, with its limits of volume and time."""

    allowed: bool = True


class Denial(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The reason of a denial; `pour_id` is the pour that holds the tap."""

    reason: Annotated[str, Meta(examples=[DenyReason.INSUFFICIENT_FUNDS])]
    message: Annotated[str, Meta(examples=[INSUFFICIENT_FUNDS_MESSAGE])]
    pour_id: UUID | None = None


class Denied(Struct, frozen=True, kw_only=True):
    """A denial: the only refusal that is not a problem document."""

    detail: Denial


class SyncResult(Struct, frozen=True, kw_only=True):
    """The verdict on one report; `pour_id` is null if it can't be read.

    Without a status there is no verdict yet, because the database became unreachable: send the report again.
    """

    pour_id: UUID | None
    status: VerdictStatus | None
    outcome: Outcome | None
    reason: VerdictReason | None


class SyncResults(Struct, frozen=True, kw_only=True):
    """One verdict for each report, in their order."""

    results: list[SyncResult]


async def _admit(request: Request[Any, Any, Any], db: Database, device: DevicePath, topic: str, decisions: int = 1) -> None:
    """Take decisions off the device's allowance; raises `RateLimited`, and counts what gets no decision."""
    rates, now_s = request.app.state.rates, time.monotonic()
    if rates.admit(str(device), now_s, decisions):
        return
    rates.count(str(device), topic, await request.body(), decisions)
    if rates.is_due(now_s):
        await write_undecided(db, rates, now_s)
    raise RateLimited(
        "This device asks and reports too fast: send the same again later.", retry_after_ms=rates.retry_after_ms(str(device))
    )


@post(
    "/visits/authorize-pour",
    access=DEVICES,
    status_code=200,
    answers={
        200: (PourAllowed, "a grant"),
        403: (Denied, "denied: " + ", ".join(reason for reason in DenyReason if reason not in CONFLICTS)),
        409: (Denied, "denied for now: " + ", ".join(reason for reason in DenyReason if reason in CONFLICTS)),
        422: (Denied, REQUEST_ID_REUSED),
    },
    refuses=(RateLimited,),
)
async def authorize(request: Request[Any, Any, Any], db: Db, data: JSONBody[AuthorizePour]) -> Response[PourAllowed | Denied]:
    """Decide whether a card may pour at the controller's tap, and how much."""
    device = device_of(request)
    await _admit(request, db, device, f"http:{device}/authorize-pour")
    card_uid = read_card_uid(data.card_uid)
    actor = Actor(str(device), request_id_of(request.scope))
    if data.tap_id not in (None, device.device_id, str(device)):
        await deny_other_tap(db, actor, device, data.tap_id, card_uid)
        return _denial(DenyReason.TAP_UNKNOWN, "The token belongs to another tap.", None)
    event_id = _event_id(device, data.request_id)
    fingerprint = hashlib.sha256(f"{device} {card_uid}".encode()).hexdigest()
    question = Question(str(device), event_id, card_uid, None, None, frozenset())
    answered = await authorize_pour(db, question, fingerprint, actor, uuid4())
    if isinstance(answered, EventIdReused):
        reused = Denied(detail=Denial(reason=REQUEST_ID_REUSED, message="This request_id was used before with another card."))
        return Response(reused, status_code=HTTPStatus.UNPROCESSABLE_ENTITY)
    decisions = request.app.state.decisions
    match _answer.decode(answered.payload):
        case PourAuthorized() as grant:
            decisions.count_answer(GRANTED)
            return Response(PourAllowed(**msgspec.structs.asdict(grant)))
        case PourDenied() as denial:
            decisions.count_answer(denial.reason)
            reason = DenyReason(denial.reason)
            return _denial(reason, denial.message, await _blocking_pour_id(db, device, reason))


@post("/sync/pours", access=DEVICES, body=ReportedPours, status_code=200, refuses=(RateLimited,))
async def sync_pours(request: Request[Any, Any, Any], db: Db) -> SyncResults:
    """Settle reports; each gets its verdict, exactly once."""
    device, actor = device_of(request), Actor(str(device_of(request)), request_id_of(request.scope))
    raws = [RawMessage(f"http:{device}/sync/pours", item) for item in split_batch(await request.body())]
    await _admit(request, db, device, f"http:{device}/sync/pours", max(len(raws), 1))
    results = await _sync_all(db, device, actor, raws)
    for result in results:
        if result.outcome is not None:
            request.app.state.decisions.count_outcome(result.outcome)
    return SyncResults(results=results)


async def _sync_all(db: Database, device: DevicePath, actor: Actor, raws: list[RawMessage]) -> list[SyncResult]:
    """One result for each report; raises if the database is unreachable before the first."""
    results: list[SyncResult] = []
    for raw in raws:
        try:
            results.append(await _sync(db, device, actor, raw))
        except Exception as error:
            if is_retryable(error) and not results:
                raise
            if is_retryable(error):
                return results + [_undecided(left) for left in raws[len(results) :]]
            results.append(await _keep_failed(db, device, raw, error))
    return results


def split_batch(body: bytes) -> list[bytes]:
    """The undecoded reports of a batch; raises 400 for a body that is not a batch."""
    try:
        return [bytes(item) for item in msgspec.json.decode(body, type=PoursToSync).pours]
    except DECODE_ERRORS as error:
        # one item with invalid text, such as half a surrogate, must not fail the others
        items = (read_object(body.decode(errors="replace").encode()) or {}).get("pours")
        if not isinstance(items, list) or len(items) > MAX_BATCH:
            raise unreadable_body(error) from error
        return [json.dumps(item).encode() for item in items]


async def _sync(db: Database, device: DevicePath, actor: Actor, raw: RawMessage) -> SyncResult:
    try:
        reported = msgspec.json.decode(raw.payload, type=ReportedPour)
        report = Report(
            tap_path=str(device),
            pour_id=reported.pour_id,
            card_uid=normalize_card_uid(reported.card_uid),
            volume_ml=reported.volume_ml,
            duration_ms=reported.duration_ms,
            end_reason=reported.end_reason,
            odometer_from_ml=None,
            odometer_to_ml=None,
        )
    except (*DECODE_ERRORS, InvalidCardUid) as error:
        return await _refuse(db, device, str(error), raw)
    content = {**msgspec.to_builtins(reported), "card_uid": report.card_uid}
    verdict = await settle_report(db, report, None, actor, content, raw)
    return await _result(db, device, report.pour_id, verdict, raw)


async def _refuse(db: Database, device: DevicePath, why: str, raw: RawMessage) -> SyncResult:
    content, explanation = read_object(raw.payload) or {}, printable(why)
    pour_id = readable_uuid(content.get("pour_id"))
    if pour_id is None:
        await keep_unusable(db, raw.topic, raw.payload, Malformation.INVALID_FIELD, explanation, str(device))
        return _unusable(None)
    verdict = await refuse_unreadable_report(db, device, pour_id, {}, explanation, raw)
    return await _result(db, device, pour_id, verdict, raw)


async def _keep_failed(db: Database, device: DevicePath, raw: RawMessage, error: Exception) -> SyncResult:
    """Keep a report that fails every time as a dead letter, so that it does not block the others."""
    _log.error("could not settle a report of %s", device, exc_info=error)
    await keep_unusable(db, raw.topic, raw.payload, Malformation.INVALID_REPORT, f"failed: {type(error).__name__}", str(device))
    return _unusable(readable_uuid((read_object(raw.payload) or {}).get("pour_id")))


async def _result(db: Database, device: DevicePath, pour_id: UUID, verdict: str | UnknownTap, raw: RawMessage) -> SyncResult:
    if isinstance(verdict, UnknownTap):
        await keep_unusable(db, raw.topic, raw.payload, Malformation.UNKNOWN_DEVICE, "no such tap is set up", str(device))
        return _unusable(pour_id)
    settled = _verdict.decode(verdict)
    return SyncResult(
        pour_id=settled.pour_id,
        status=VerdictStatus(settled.status),
        outcome=Outcome(settled.outcome),
        reason=None if settled.reason is None else VerdictReason(settled.reason),
    )


def _unusable(pour_id: UUID | None) -> SyncResult:
    return SyncResult(
        pour_id=pour_id,
        status=VerdictStatus.REJECTED,
        outcome=Outcome.REJECTED_INVALID_REPORT,
        reason=VerdictReason.INVALID_REPORT,
    )


def _undecided(raw: RawMessage) -> SyncResult:
    pour_id = readable_uuid((read_object(raw.payload) or {}).get("pour_id"))
    return SyncResult(pour_id=pour_id, status=None, outcome=None, reason=None)


def printable(text: str) -> str:
    """A text that quotes input, without characters that PostgreSQL can't store."""
    return text.replace("\0", "").encode(errors="backslashreplace").decode()


def _event_id(device: DevicePath, request_id: str | None) -> UUID:
    """The question's id: the caller's if it is a UUID, else one derived from it."""
    if request_id is None:
        return uuid4()
    return readable_uuid(request_id) or uuid5(_REQUEST_IDS, f"{device} {request_id}")


_REQUEST_IDS: Final = UUID("5f0a5a52-7f5c-4f0b-9a31-3a8e3b1f7d11")
"""Namespace of ids derived from controllers' request ids."""


async def _blocking_pour_id(db: Database, device: DevicePath, reason: DenyReason) -> UUID | None:
    if reason is not DenyReason.PROCESSING_SYNC:
        return None
    tap = await get_tap(db, str(device))
    return tap.pending_pour_id if tap else None


def _denial(reason: DenyReason, message: str, pour_id: UUID | None) -> Response[PourAllowed | Denied]:
    status = HTTPStatus.CONFLICT if reason in CONFLICTS else HTTPStatus.FORBIDDEN
    return Response(Denied(detail=Denial(reason=reason, message=message, pour_id=pour_id)), status_code=status)


HANDLERS = (authorize, sync_pours)
