"""The HTTP door: a controller without MQTT asks and reports by the same rules."""

import asyncio
import itertools
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tapwire_admin.routes import controllers
from tapwire_contracts.denials import INSUFFICIENT_FUNDS_MESSAGE
from tapwire_core.services.cards import report_card_lost
from tapwire_core.services.devices import add_device, revoke_device
from tapwire_core.services.pours import settle_report
from tests.rest import Rest, done, refusal, set_decisions_per_hour
from tests.venue import OPERATOR, Venue

ASK, SYNC = "/api/visits/authorize-pour", "/api/sync/pours"
CARD = {"card_uid": "04a1b2c3"}


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


async def test_a_controller_beyond_its_rate_gets_no_decision_is_counted_and_may_say_it_again(
    rest: Rest, venue: Venue, token: dict[str, str]
) -> None:
    set_decisions_per_hour(2)
    item = {"pour_id": str(uuid4()), "card_uid": "04a1b2c3", "volume_ml": 120, "duration_ms": 4000}
    asked = await rest.nobody.post(SYNC, json={"pours": [item, item]}, headers=token)
    refused = [await rest.nobody.post(path, json=body, headers=token) for path, body in ((SYNC, {"pours": [item]}), (ASK, CARD))]
    set_decisions_per_hour(2)
    again = await rest.nobody.post(SYNC, json={"pours": [item]}, headers=token)

    (incident,) = await venue.incidents("device_misbehaving")
    assert done(asked)["results"][:1] == done(again)["results"]
    assert [refusal(answer, 429, "rate_limited")["retry_after_ms"] > 0 for answer in refused] == [True, True]
    assert incident["tap_path"] == "bar/taps/left"
    assert await venue.audited("pour_denied") == 0


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


async def test_the_token_decides_the_tap_and_a_question_for_another_one_is_audited(
    rest: Rest, venue: Venue, token: dict[str, str]
) -> None:
    ann = await venue.guest(balance_minor=100_00)
    await venue.another_tap("right")

    for tap_id in ("right", "bar/taps/right", "pub/taps/left", "none"):
        body = {"card_uid": ann.card_uid.upper(), "tap_id": tap_id}
        answer = await rest.nobody.post(ASK, json=body, headers=token | {"X-Request-ID": f"ask {tap_id}".replace(" ", "-")})
        denied(answer, 403, "tap_unknown")
    for tap_id in ("left", "bar/taps/left"):
        grant = done(await rest.nobody.post(ASK, json={"card_uid": ann.card_uid, "tap_id": tap_id}, headers=token))
        void = {"pour_id": grant["pour_id"], "card_uid": ann.card_uid, "volume_ml": 0, "duration_ms": 0}
        done(await rest.nobody.post(SYNC, json={"pours": [void]}, headers=token))

    entries = done(await rest.operator.get("/api/audit/?action=pour_denied"))["items"]
    assert [(entry["details"], entry["request_id"], entry["actor"]) for entry in reversed(entries)] == [
        ({"reason": "tap_unknown", "asked_tap": tap_id}, f"ask-{tap_id}", "bar/taps/left")
        for tap_id in ("right", "bar/taps/right", "pub/taps/left", "none")
    ]
    assert all(entry["subjects"] == ["bar/taps/left", ann.card_uid] for entry in entries)


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


async def test_no_item_however_bad_keeps_another_from_its_verdict(rest: Rest, venue: Venue, token: dict[str, str]) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = done(await rest.nobody.post(ASK, json={"card_uid": ann.card_uid}, headers=token))
    pour_id = grant["pour_id"]
    good = f'{{"pour_id": "{pour_id}", "card_uid": "{ann.card_uid}", "volume_ml": 100, "duration_ms": 4000}}'.encode()
    named = {
        "a NUL in the card": good.replace(ann.card_uid.encode(), b"04\\u0000a1b2"),
        "a NUL that is all": good.replace(ann.card_uid.encode(), b"\\u0000"),
        "half a surrogate": good.replace(ann.card_uid.encode(), b"\\ud800\\u0041"),
        "a number without end": good.replace(b"4000", b"1e400"),
        "a volume without end": good.replace(b"100,", b"1e400,"),
        "a volume of many digits": good.replace(b"100,", b"9" * 5000 + b","),
        "a volume that is a text": good.replace(b"100,", b'"100",'),
        "a card that is a list": good.replace(f'"{ann.card_uid}"'.encode(), b"[{}]"),
        "an end reason that is none": good.replace(b"}", b', "end_reason": "\\u0000"}'),
    }
    nameless = {
        "no UTF-8": b'{"pour_id": "\xff"}',
        "a NUL": b'"\\u0000"',
        "an id with a NUL": good.replace(pour_id.encode(), b"\\u0000"),
        "null": b"null",
        "a list": b"[1e400]",
        "an id that is an object": good.replace(f'"{pour_id}"'.encode(), b"{}"),
    }
    items = [*named.values(), *nameless.values(), good.replace(b"}", b', "tail": 1e400}')]

    answer = await rest.nobody.post(SYNC, content=b'{"pours": [' + b",".join(items) + b"]}", headers=token)

    results = done(answer)["results"]
    assert [result["pour_id"] for result in results] == [pour_id] * len(named) + [None] * len(nameless) + [pour_id]
    assert {result["outcome"] for result in results[:-1]} == {"rejected_invalid_report"}
    assert results[-1]["outcome"] == "pending_updated_to_synced"
    assert await venue.balance(ann) == (50_00, 0)
    assert await venue.db.pool.fetchval("SELECT count(*) FROM dead_letters") == len(named) + len(nameless)
    await venue.books_balance()


async def test_a_database_that_goes_away_in_the_middle_of_a_batch_leaves_the_rest_undecided(
    rest: Rest, venue: Venue, token: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = done(await rest.nobody.post(ASK, json={"card_uid": ann.card_uid}, headers=token))
    item = {"pour_id": grant["pour_id"], "card_uid": ann.card_uid, "volume_ml": 100, "duration_ms": 4000}
    other = {**item, "pour_id": str(uuid4())}
    calls = itertools.count()

    async def settle_once(*given: Any) -> Any:
        if next(calls):
            raise ConnectionResetError
        return await settle_report(*given)

    with monkeypatch.context() as broken:
        broken.setattr(controllers, "settle_report", settle_once)
        results = done(await rest.nobody.post(SYNC, json={"pours": [item, other, 7]}, headers=token))["results"]
        refusal(await rest.nobody.post(SYNC, json={"pours": [other]}, headers=token), 503, "unavailable")
    again = done(await rest.nobody.post(SYNC, json={"pours": [item, other]}, headers=token))["results"]

    undecided = {"status": None, "outcome": None, "reason": None}
    assert results == [again[0], {"pour_id": other["pour_id"], **undecided}, {"pour_id": None, **undecided}]
    assert [result["outcome"] for result in again] == ["pending_updated_to_synced", "audit_missing_pending"]
