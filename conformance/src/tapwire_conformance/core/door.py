"""The HTTP door for controllers without MQTT: CONTRACT.md, "REST"."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from uuid import uuid4

from tapwire_conformance.core.authorisation import POOR_MESSAGE
from tapwire_conformance.core.settlement import expect_money
from tapwire_conformance.core.stage import ML_MINOR, CoreStage
from tapwire_conformance.rules import REST, Broken, Catalogue

RULES: Final[Catalogue[CoreStage]] = Catalogue()

ASK: Final = "/api/visits/authorize-pour"
SYNC: Final = "/api/sync/pours"
COPIES: Final = 6


def item(grant: dict[str, Any], card_uid: str, volume_ml: int) -> dict[str, Any]:
    """A report as a controller sends it."""
    return {"pour_id": grant["pour_id"], "card_uid": card_uid, "volume_ml": volume_ml, "duration_ms": volume_ml * 20}


def allowed(stage: CoreStage, card_uid: str) -> dict[str, Any]:
    """Ask for a card that may pour; the grant."""
    status, body = stage.door(ASK, {"card_uid": card_uid, "tap_id": "left"})
    if status != 200 or body.get("allowed") is not True:
        raise Broken(f"a card that may pour was answered {status} {body}")
    return dict(body)


@RULES.must("DOOR-1", REST)
def asks_and_reports(stage: CoreStage) -> None:
    """A controller's question and report are decided by the same rules, and the same report is charged once."""
    ann = stage.guest(100_00)
    grant = allowed(stage, ann.card_uid)
    if grant["max_volume_ml"] != 200:
        raise Broken(f"money for 200 ml was granted {grant['max_volume_ml']} ml")
    report = {"pours": [item(grant, ann.card_uid, 120)]}
    with ThreadPoolExecutor(COPIES) as senders:
        answers = list(senders.map(lambda _: stage.door(SYNC, report), range(COPIES)))
    verdict = {"pour_id": grant["pour_id"], "status": "accepted", "outcome": "pending_updated_to_synced", "reason": None}
    if answers != [(200, {"results": [verdict]})] * COPIES:
        raise Broken(f"one report, sent {COPIES} times, was answered {answers}")
    expect_money(stage, ann, 100_00 - 120 * ML_MINOR)


@RULES.must("DOOR-2", REST)
def denials(stage: CoreStage) -> None:
    """A denial is 403, or 409 where the contract says so, with `detail` of reason and message."""
    ann, poor = stage.guest(100_00), stage.guest()
    status, body = stage.door(ASK, {"card_uid": poor.card_uid})
    if (status, body) != (403, {"detail": {"reason": "insufficient_funds", "message": POOR_MESSAGE}}):
        raise Broken(f"a guest without money was answered {status} {body}")
    grant = allowed(stage, ann.card_uid)
    status, body = stage.door(ASK, {"card_uid": poor.card_uid})
    if status != 409 or (body["detail"]["reason"], body["detail"].get("pour_id")) != ("processing_sync", grant["pour_id"]):
        raise Broken(f"at a leased tap it was answered {status} {body}")


@RULES.must("DOOR-3", REST)
def without_a_token(stage: CoreStage) -> None:
    """Without a good `X-Internal-Token` both are 401, and nothing is done."""
    ann = stage.guest(100_00)
    for path, body in ((ASK, {"card_uid": ann.card_uid}), (SYNC, {"pours": []})):
        for headers in ({}, {"X-Internal-Token": "guess"}):
            if (answer := stage.api.request("POST", path, body, headers)).status != 401:
                raise Broken(f"{path} without a good token was answered {answer.status} {answer.body}")
    if stage.pours_of(ann):
        raise Broken("a question without a token made a pour")


@RULES.must("DOOR-4", REST)
def a_batch(stage: CoreStage) -> None:
    """A batch gets one verdict an item, in their order; a bad item fails none of the others."""
    ann = stage.guest(100_00)
    grant = allowed(stage, ann.card_uid)
    stranger = {"pour_id": str(uuid4())}
    batch = ["nonsense", item(stranger, ann.card_uid, 10), item(grant, ann.card_uid, 0)]
    status, body = stage.door(SYNC, {"pours": batch})
    if status != 200 or [each["outcome"] for each in body["results"]] != [
        "rejected_invalid_report",
        "audit_missing_pending",
        "accepted_zero_volume",
    ]:
        raise Broken(f"a batch of nonsense, a stranger and a report was answered {status} {body}")


@RULES.must("DOOR-5", REST)
def one_request_id(stage: CoreStage) -> None:
    """One `request_id` is one question, however often it is asked; with other content it is 422."""
    ann, bob = stage.guest(100_00), stage.guest(100_00)
    asked = {"card_uid": ann.card_uid, "request_id": str(uuid4())}
    with ThreadPoolExecutor(COPIES) as senders:
        answers = list(senders.map(lambda _: stage.door(ASK, asked), range(COPIES)))
    if any(answer != answers[0] for answer in answers) or len(stage.pours_of(ann)) != 1:
        raise Broken(f"one request_id was answered {answers}, and made {len(stage.pours_of(ann))} pours")
    status, body = stage.door(ASK, {**asked, "card_uid": bob.card_uid})
    if status != 422:
        raise Broken(f"the same request_id for another card was answered {status} {body}")
