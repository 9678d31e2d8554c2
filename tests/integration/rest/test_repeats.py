"""Repeats with an `Idempotency-Key`: any POST of an operator may be sent again and gets its first answer, secrets too."""

from typing import Any

import httpx
import pytest

from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import Role
from tapwire_core.services import users
from tapwire_core.services.idempotency import run_once, run_prepared_once
from tapwire_core.services.passwords import is_password
from tapwire_core.services.visits import close_visit
from tests.rest import Rest, done, log_in, refusal, with_key
from tests.venue import OPERATOR, Venue

OLD, NEW = "an old password", "a new password"


def alike(answers: list[httpx.Response]) -> None:
    """Assert that all answers are the first one."""
    assert {(answer.status_code, answer.content) for answer in answers} == {(answers[0].status_code, answers[0].content)}


async def kept(db: Database) -> str:
    """All that is kept of answered requests."""
    return str([tuple(row) for row in await db.pool.fetch("SELECT * FROM idempotent_answers")])


async def lose_the_answer(*args: Any, **kwargs: Any) -> None:
    """Crash after the commit, before there is an answer."""
    run = run_prepared_once if args[2] is users.change_own_password else run_once
    await run(*args, **kwargs)
    raise RuntimeError("the process was killed")


@pytest.mark.parametrize("route", ["/api/devices", "/api/devices/rotate"])
async def test_a_devices_secret_is_told_again_to_who_asked_for_it_and_kept_for_nobody_else(
    rest: Rest, venue: Venue, route: str
) -> None:
    body, key = {"path": "bar/taps/left"}, with_key()
    if route.endswith("rotate"):
        done(await rest.engineer.post("/api/devices", json=body), 201)

    answers = [await rest.engineer.post(route, json=body, headers=key) for _ in range(3)]

    alike(answers)
    secret = answers[0].json()["secret"]
    assert secret not in await kept(venue.db)
    refusal(await rest.engineer.post(route, json={"path": "bar/taps/right"}, headers=key), 422, "idempotency_key_reused")
    token = {"X-Internal-Token": secret}
    assert done(await rest.nobody.post("/api/sync/pours", json={"pours": []}, headers=token)) == {"results": []}


async def test_a_secret_is_not_told_again_in_another_session(rest: Rest, venue: Venue) -> None:
    body, key = {"path": "bar/taps/left"}, with_key()
    done(await rest.engineer.post("/api/devices", json=body, headers=key), 201)
    later = key | {"Authorization": f"Bearer {await log_in(venue.db, Role.ENGINEER)}"}

    problem = refusal(await rest.nobody.post("/api/devices", json=body, headers=later), 409, "secret_shown_once")

    assert "rotate" in problem["detail"]
    refusal(await rest.nobody.post("/api/devices", json={"path": "x"}, headers=later), 422, "idempotency_key_reused")


async def test_a_secret_lost_between_commit_and_sending_is_told_by_the_repeat(
    rest: Rest, venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, key = {"path": "bar/taps/left"}, with_key()
    with monkeypatch.context() as crash:
        crash.setattr("tapwire_admin.requests.idempotency.run_once", lose_the_answer)
        assert (await rest.engineer.post("/api/devices", json=body, headers=key)).status_code == 500
    assert "secret" not in await kept(venue.db)

    secret = done(await rest.engineer.post("/api/devices", json=body, headers=key), 201)["secret"]

    done(await rest.nobody.post("/api/sync/pours", json={"pours": []}, headers={"X-Internal-Token": secret}))


async def test_a_repeated_revocation_is_answered_alike_and_done_once(rest: Rest, venue: Venue) -> None:
    body, key = {"path": "bar/taps/left"}, with_key()
    done(await rest.engineer.post("/api/devices", json=body), 201)

    first = await rest.engineer.post("/api/devices/revoke", json=body, headers=key)
    done(await rest.engineer.post("/api/devices", json=body), 201)
    again = await rest.engineer.post("/api/devices/revoke", json=body, headers=key)

    alike([first, again])
    assert first.status_code == 204
    assert await venue.audited("device_revoked") == 1


async def test_a_user_is_added_once_and_the_password_is_not_kept_where_it_could_be_guessed(rest: Rest, db: Database) -> None:
    body, key = {"username": "anna", "role": "operator", "password": NEW}, with_key()

    alike([await rest.engineer.post("/api/users", json=body, headers=key) for _ in range(2)])

    refusal(await rest.engineer.post("/api/users", json={**body, "role": "engineer"}, headers=key), 422, "idempotency_key_reused")
    refusal(await rest.engineer.post("/api/users", json=body), 409, "user_exists")
    assert NEW not in await kept(db)


async def test_a_password_is_changed_once_and_its_repeat_is_answered_alike(rest: Rest, db: Database) -> None:
    await users.change_user(db, OPERATOR, "operator", password=OLD)
    token, key = await log_in(db, Role.OPERATOR), with_key()
    headers, body = key | {"Authorization": f"Bearer {token}"}, {"old_password": OLD, "new_password": NEW}

    answers = [await rest.nobody.post("/api/me/password", json=body, headers=headers) for _ in range(2)]

    alike(answers)
    assert answers[0].status_code == 204
    assert is_password(await db.pool.fetchval("SELECT password_hash FROM users WHERE username = 'operator'"), NEW)
    refusal(
        await rest.nobody.post("/api/me/password", json={**body, "new_password": OLD}, headers=headers),
        422,
        "idempotency_key_reused",
    )


async def test_a_changed_password_whose_answer_was_lost_is_no_wrong_password_when_it_is_repeated(
    rest: Rest, venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await users.change_user(venue.db, OPERATOR, "operator", password=OLD)
    headers = with_key() | {"Authorization": f"Bearer {await log_in(venue.db, Role.OPERATOR)}"}
    body = {"old_password": OLD, "new_password": NEW}
    with monkeypatch.context() as crash:
        crash.setattr("tapwire_admin.requests.idempotency.run_prepared_once", lose_the_answer)
        assert (await rest.nobody.post("/api/me/password", json=body, headers=headers)).status_code == 500

    assert (await rest.nobody.post("/api/me/password", json=body, headers=headers)).status_code == 204

    assert await venue.audited("login_failed") == 0


async def test_a_shifts_reports_are_repeated_as_they_were_first_made(rest: Rest, venue: Venue) -> None:
    ann, x_key, z_key = await venue.guest(balance_minor=1_00), with_key(), with_key()
    shift = done(await rest.operator.get("/api/shifts/current"))
    x, z = (f"/api/shifts/{shift['shift_id']}/reports/{kind}" for kind in ("x", "z"))

    first = await rest.shift_lead.post(x, headers=x_key)
    top_up = {"amount_minor": 2_00, "method": "cash"}
    done(await rest.operator.post(f"/api/guests/{ann.guest_id}/top-ups", json=top_up, headers=with_key()), 201)
    alike([first, await rest.shift_lead.post(x, headers=x_key)])
    refusal(await rest.shift_lead.post(x, json={"note": 1}, headers=x_key), 422, "idempotency_key_reused")
    refusal(await rest.shift_lead.post(z, headers=z_key), 409, "shift_open")
    await close_visit(venue.db, OPERATOR, ann.visit_id)
    done(await rest.shift_lead.post("/api/shifts/close", json={}))
    answers = [await rest.shift_lead.post(z, headers=z_key) for _ in range(2)]

    assert done(first, 201)["till"]["top_ups_minor"] == 1_00
    alike(answers)
    assert done(answers[0], 201)["till"]["top_ups_minor"] == 3_00
    refusal(await rest.shift_lead.post(z), 409, "z_report_made")


async def test_every_post_of_an_operator_says_that_it_takes_a_key(rest: Rest) -> None:
    document = done(await rest.nobody.get("/schema/openapi.json"))

    without = {
        path
        for path, item in document["paths"].items()
        if "post" in item and "Idempotency-Key" not in {given["name"] for given in item["post"].get("parameters", [])}
    }

    of_devices = {"/api/visits/authorize-pour", "/api/sync/pours", "/api/devices/pairings", "/api/devices/pairings/claim"}
    bears_its_code = {"/api/public/calibrations"}
    names_its_event = {"/api/public/payments/{provider}/notifications"}
    assert without == {"/api/session"} | of_devices | bears_its_code | names_its_event


async def test_the_key_of_a_booking_is_kept_for_good(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest()
    path, key = f"/api/guests/{ann.guest_id}/top-ups", with_key()
    first = done(await rest.operator.post(path, json={"amount_minor": 500, "method": "cash"}, headers=key), 201)
    done(await rest.operator.post("/api/guests", json={"first_name": "Bob"}, headers=key), 201)
    await venue.db.pool.execute("UPDATE idempotent_answers SET created_at = now() - interval '400 days'")

    again = done(await rest.operator.post(path, json={"amount_minor": 500, "method": "cash"}, headers=key), 201)
    done(await rest.operator.post("/api/guests", json={"first_name": "Bob"}, headers=key), 201)

    assert again == first
    assert await venue.db.pool.fetchval("SELECT count(*) FROM money_movements WHERE debit_account = 'cash'") == 1
    assert await venue.db.pool.fetchval("SELECT count(*) FROM guests WHERE first_name = 'Bob'") == 2


async def test_a_repeat_is_answered_anew_and_the_kept_result_holds_no_name(rest: Rest, db: Database) -> None:
    body, key = {"first_name": "Zoe", "last_name": "Zimmer", "phone": "+34 611 22 33 44"}, with_key()
    first = done(await rest.shift_lead.post("/api/guests", json=body, headers=key), 201)
    done(await rest.shift_lead.patch(f"/api/guests/{first['guest_id']}", json={"first_name": "Zora"}))

    again = done(await rest.shift_lead.post("/api/guests", json=body, headers=key), 201)

    assert (again["guest_id"], again["first_name"]) == (first["guest_id"], "Zora")
    assert [word for word in ("Zoe", "Zimmer", "611") if word in await kept(db)] == []


async def test_an_answer_that_an_earlier_version_kept_whole_is_sent_again(rest: Rest, db: Database) -> None:
    body, key = {"first_name": "Zoe"}, with_key()
    done(await rest.operator.post("/api/guests", json=body, headers=key), 201)
    await db.pool.execute("UPDATE idempotent_answers SET done = true, status_code = 201, answer = '{\"first_name\":null}'")

    again = await rest.operator.post("/api/guests", json=body, headers=key)

    assert done(again, 201) == {"first_name": None}
    assert await db.pool.fetchval("SELECT count(*) FROM guests") == 1
