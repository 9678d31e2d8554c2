"""The HTTP door: a controller without MQTT asks and reports by the same rules."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tapwire_contracts.reasons import INSUFFICIENT_FUNDS_MESSAGE
from tapwire_core.services.cards import report_card_lost
from tapwire_core.services.devices import add_device, revoke_device
from tests.rest import Rest, done, refusal
from tests.venue import OPERATOR, Venue

ASK, SYNC = "/api/visits/authorize-pour", "/api/sync/pours"


@pytest.fixture
async def token(venue: Venue) -> dict[str, str]:
    """The header of the left tap's controller."""
    return {"X-Internal-Token": (await add_device(venue.db, OPERATOR, "bar/taps/left")).secret}


def denied(answer: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    """Assert that the card may not pour, and return the detail."""
    assert answer.status_code == status, answer.text
    detail: dict[str, Any] = answer.json()["detail"]
    assert detail["reason"] == reason
    return detail


async def test_a_controller_asks_reports_and_the_guest_pays_what_flowed(rest: Rest, venue: Venue, token: dict[str, str]) -> None:
    ann = await venue.guest(balance_minor=100_00)

    grant = done(await rest.nobody.post(ASK, json={"card_uid": ann.card_uid, "tap_id": "left"}, headers=token))
    item = {"pour_id": grant["pour_id"], "card_uid": ann.card_uid, "volume_ml": 120, "duration_ms": 4000}
    first = done(await rest.nobody.post(SYNC, json={"pours": [item]}, headers=token))
    again = done(await rest.nobody.post(SYNC, json={"pours": [{**item, "tail": 1}]}, headers=token))

    assert (grant["allowed"], grant["max_volume_ml"]) == (True, 200)
    verdict = {"pour_id": grant["pour_id"], "status": "accepted", "outcome": "pending_updated_to_synced", "reason": None}
    assert first == again == {"results": [verdict]}
    assert await venue.balance(ann) == (40_00, 0)
    await venue.books_balance()


async def test_one_request_id_is_one_question_however_often_it_is_asked(rest: Rest, venue: Venue, token: dict[str, str]) -> None:
    ann, bob = await venue.guest(balance_minor=100_00), await venue.guest(balance_minor=100_00)
    for request_id in (str(uuid4()), "question 17"):
        body = {"card_uid": ann.card_uid, "request_id": request_id}

        answers = await asyncio.gather(*(rest.nobody.post(ASK, json=body, headers=token) for _ in range(6)))

        assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
        other = await rest.nobody.post(ASK, json={**body, "card_uid": bob.card_uid}, headers=token)
        denied(other, 422, "request_id_reused")
        void = {"pour_id": answers[0].json()["pour_id"], "card_uid": ann.card_uid, "volume_ml": 0, "duration_ms": 0}
        done(await rest.nobody.post(SYNC, json={"pours": [void]}, headers=token))


async def test_each_denial_has_its_status_reason_and_message(rest: Rest, venue: Venue, token: dict[str, str]) -> None:
    poor, rich, lost = await venue.guest(), await venue.guest(balance_minor=500_00), await venue.guest(balance_minor=1)
    await report_card_lost(venue.db, OPERATOR, lost.card_uid, "gone")

    async def ask(card_uid: str) -> httpx.Response:
        return await rest.nobody.post(ASK, json={"card_uid": card_uid}, headers=token)

    assert denied(await ask(poor.card_uid), 403, "insufficient_funds")["message"] == INSUFFICIENT_FUNDS_MESSAGE
    denied(await ask("04ffffff"), 403, "card_unknown")
    denied(await ask(lost.card_uid), 403, "lost_card")
    grant = done(await ask(rich.card_uid))
    assert denied(await ask(poor.card_uid), 409, "processing_sync")["pour_id"] == grant["pour_id"]
    other = await venue.another_tap("right")
    header = {"X-Internal-Token": (await add_device(venue.db, OPERATOR, other.path)).secret}
    denied(await rest.nobody.post(ASK, json={"card_uid": rich.card_uid}, headers=header), 409, "card_in_use_on_other_tap")
    mistaken = await rest.nobody.post(ASK, json={"card_uid": rich.card_uid, "tap_id": "left"}, headers=header)
    denied(mistaken, 403, "tap_unknown")
    done(await rest.operator.delete("/api/taps/bar/right/keg"))
    denied(await rest.nobody.post(ASK, json={"card_uid": rich.card_uid}, headers=header), 409, "tap_not_configured")


async def test_without_a_good_token_nothing_is_asked_or_reported(rest: Rest, venue: Venue, token: dict[str, str]) -> None:
    reader = {"X-Internal-Token": (await add_device(venue.db, OPERATOR, "bar/readers/desk")).secret}
    for headers in ({}, {"X-Internal-Token": "guess"}, reader, {"Authorization": rest.engineer.headers["Authorization"]}):
        refusal(await rest.nobody.post(ASK, json={"card_uid": "04a1b2c3"}, headers=headers), 401, "login_required")
        refusal(await rest.nobody.post(SYNC, json={"pours": []}, headers=headers), 401, "login_required")

    await revoke_device(venue.db, OPERATOR, "bar/taps/left")
    refusal(await rest.nobody.post(ASK, json={"card_uid": "04a1b2c3"}, headers=token), 401, "login_required")


async def test_a_batch_gives_each_report_its_verdict_in_order_whatever_the_others_are(
    rest: Rest, venue: Venue, token: dict[str, str]
) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = done(await rest.nobody.post(ASK, json={"card_uid": ann.card_uid}, headers=token))
    good = {"pour_id": grant["pour_id"], "card_uid": ann.card_uid, "volume_ml": 100, "duration_ms": 4000}
    unknown = {**good, "pour_id": str(uuid4())}
    items = [
        7,
        {"volume_ml": 5},
        unknown,
        {**good, "volume_ml": -1},
        {**good, "volume_ml": 1_000_000},
        good,
        {**good, "volume_ml": 90},
    ]

    results = done(await rest.nobody.post(SYNC, json={"pours": items}, headers=token))["results"]

    assert [(result["outcome"], result["pour_id"] is None) for result in results] == [
        ("rejected_invalid_report", True),
        ("rejected_invalid_report", True),
        ("audit_missing_pending", False),
        ("rejected_invalid_report", False),
        ("rejected_invalid_report", False),
        ("pending_updated_to_synced", False),
        ("audit_late_recorded", False),
    ]
    assert await venue.balance(ann) == (50_00, 0)
    assert await venue.db.pool.fetchval("SELECT count(*) FROM dead_letters") == 4
    await venue.books_balance()


async def test_a_batch_that_is_none_or_too_large_is_unreadable(rest: Rest, token: dict[str, str]) -> None:
    unreadable: list[dict[str, object]] = [{}, {"pours": {}}, {"pours": [1] * 201}]
    for body in unreadable:
        refusal(await rest.nobody.post(SYNC, json=body, headers=token), 400, "invalid")
    assert done(await rest.nobody.post(SYNC, json={"pours": []}, headers=token)) == {"results": []}
