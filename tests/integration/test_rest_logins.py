"""Logging in: what a flood of logins may not hold up."""

import asyncio

import httpx

from tapwire_core.db.engine import Database
from tapwire_core.domain.words import Role
from tapwire_core.services import users
from tests.rest import Rest, done, log_in, refusal, with_key
from tests.venue import OPERATOR

PASSWORD = "correct horse"
NEW = "battery staple"


async def try_login(rest: Rest, username: str, password: str) -> httpx.Response:
    return await rest.nobody.post("/api/session", json={"username": username, "password": password})


async def bearer(db: Database, role: Role) -> dict[str, str]:
    """The header of one more session of a role's user."""
    return {"Authorization": f"Bearer {await log_in(db, role)}"}


async def test_a_flood_of_logins_is_refused_at_once_and_holds_up_nobody_who_is_logged_in(rest: Rest, db: Database) -> None:
    await users.change_user(db, OPERATOR, "operator", password=PASSWORD)
    session = await bearer(db, Role.OPERATOR)
    flood = [asyncio.create_task(try_login(rest, f"nobody{number}", "guess")) for number in range(60)]
    await asyncio.sleep(0)

    user = {"username": "bob", "role": "operator", "password": PASSWORD}
    done(await rest.engineer.post("/api/users", json=user, headers=with_key()), 201)
    own = {"old_password": PASSWORD, "new_password": NEW}
    done(await rest.nobody.post("/api/me/password", json=own, headers=session), 204)

    assert not all(login.done() for login in flood)
    answers = await asyncio.gather(*flood)
    busy = [answer for answer in answers if answer.status_code == 503]
    assert busy
    assert refusal(busy[0], 503, "passwords_busy")["retry_after_ms"] == 1_000
    assert busy[0].headers["Retry-After"] == "1"
    assert {answer.json()["code"] for answer in answers} == {"login_refused", "passwords_busy"}


async def test_no_connection_waits_for_a_hash(rest: Rest, db: Database) -> None:
    added = [
        asyncio.create_task(
            rest.engineer.post("/api/users", json={"username": f"bob{number}", "role": "operator", "password": PASSWORD})
        )
        for number in range(15)
    ]
    await asyncio.sleep(0.05)

    done(await rest.operator.post("/api/guests", json={"first_name": "Ann", "age_checked": True}), 201)

    assert sum(user.done() for user in added) < 5
    assert {user.status_code for user in await asyncio.gather(*added)} == {201}
