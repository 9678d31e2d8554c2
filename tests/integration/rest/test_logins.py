"""The brake on guessing passwords, and what a flood of logins may not hold up."""

import asyncio
import unicodedata

import httpx
import pytest
from argon2 import PasswordHasher

from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import Role
from tapwire_core.domain.retention import RetentionPeriods
from tapwire_core.services import sessions, users
from tapwire_core.services.retention import delete_expired
from tapwire_core.services.sessions import FREE_TRIES, LONGEST_WAIT_MS
from tests.rest import Rest, done, log_in, refusal, with_key
from tests.venue import OPERATOR, Venue

PASSWORD = "correct horse"
NEW = "battery staple"


@pytest.fixture(autouse=True)
def no_wait_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait begins before the password is looked at, and must outlast that on a slow machine."""
    monkeypatch.setattr(sessions, "FIRST_WAIT_MS", LONGEST_WAIT_MS)


@pytest.fixture
async def anna(db: Database) -> str:
    """An operator with a password."""
    await users.create_user(db, OPERATOR, "anna", Role.OPERATOR, PASSWORD)
    return "anna"


async def try_login(rest: Rest, username: str, password: str) -> httpx.Response:
    return await rest.nobody.post("/api/session", json={"username": username, "password": password})


async def tries_of(db: Database, username: str) -> int:
    return int(await db.pool.fetchval("SELECT coalesce(max(tries), 0) FROM login_tries WHERE username = $1", username))


async def counted(db: Database, username: str, tries: int) -> None:
    """Wait until so many tries are counted."""
    async with asyncio.timeout(20):
        while await tries_of(db, username) < tries:
            await asyncio.sleep(0)


async def hash_of(db: Database, username: str) -> str:
    return str(await db.pool.fetchval("SELECT password_hash FROM users WHERE username = $1", username))


async def bearer(db: Database, role: Role) -> dict[str, str]:
    """The header of one more session of a role's user."""
    return {"Authorization": f"Bearer {await log_in(db, role)}"}


async def test_tries_at_once_are_no_more_than_the_free_ones_and_the_right_password_is_not_told_apart(
    rest: Rest, db: Database, anna: str
) -> None:
    wrong = [asyncio.create_task(try_login(rest, anna, f"guess {number}")) for number in range(40)]
    await counted(db, anna, FREE_TRIES)
    right, one_more = await asyncio.gather(try_login(rest, anna, PASSWORD), try_login(rest, anna, "guess"))

    answers = await asyncio.gather(*wrong)

    codes = [answer.json()["code"] for answer in answers]
    assert codes.count("login_refused") == FREE_TRIES
    assert set(codes) <= {"login_refused", "login_locked", "passwords_busy"}
    assert right.json()["detail"] == one_more.json()["detail"]
    refusal(right, 401, "login_locked")
    assert await tries_of(db, anna) == FREE_TRIES


async def test_a_name_that_nobody_has_is_answered_like_one_that_somebody_has(rest: Rest, anna: str) -> None:
    async def answers(username: str) -> list[tuple[int, str, str]]:
        given = [await try_login(rest, username, "guess") for _ in range(FREE_TRIES + 2)]
        return [(answer.status_code, answer.json()["code"], answer.json()["detail"]) for answer in given]

    known, unknown = await answers(anna), await answers("nobody")

    assert known == unknown
    assert [code for _, code, _ in known] == ["login_refused"] * FREE_TRIES + ["login_locked"] * 2


async def test_a_wrong_old_password_is_a_try_like_any_other(rest: Rest, venue: Venue) -> None:
    await users.change_user(venue.db, OPERATOR, "operator", password=PASSWORD)
    session = await bearer(venue.db, Role.OPERATOR)

    async def change(old: str) -> httpx.Response:
        return await rest.nobody.post("/api/me/password", json={"old_password": old, "new_password": NEW}, headers=session)

    for _ in range(FREE_TRIES):
        refusal(await change("guess"), 401, "login_refused")
    locked = refusal(await change(PASSWORD), 401, "login_locked")

    assert locked["retry_after_ms"] > 0
    assert await venue.audited("login_failed") == FREE_TRIES
    refusal(await try_login(rest, "operator", PASSWORD), 401, "login_locked")


async def test_right_logins_at_once_all_work_and_leave_no_count(rest: Rest, db: Database, anna: str) -> None:
    for _ in range(2):
        refusal(await try_login(rest, anna, "guess"), 401, "login_refused")

    both = await asyncio.gather(try_login(rest, anna, PASSWORD), try_login(rest, anna, PASSWORD))

    assert [answer.status_code for answer in both] == [201, 201]
    assert await tries_of(db, anna) == 0


async def test_a_try_that_breaks_off_stays_counted_and_holds_nobody_up(rest: Rest, db: Database, anna: str) -> None:
    broken = asyncio.create_task(try_login(rest, anna, PASSWORD))
    await counted(db, anna, 1)
    broken.cancel()
    await asyncio.wait([broken])

    assert await tries_of(db, anna) == 1
    done(await try_login(rest, anna, PASSWORD), 201)


async def test_a_password_that_is_changed_while_it_is_checked_opens_nothing(rest: Rest, db: Database, anna: str) -> None:
    login = asyncio.create_task(try_login(rest, anna, PASSWORD))
    await counted(db, anna, 1)
    await db.pool.execute("UPDATE users SET password_hash = 'another' WHERE username = $1", anna)

    refusal(await login, 401, "login_refused")


async def test_an_own_password_that_is_changed_meanwhile_is_not_changed_again(rest: Rest, db: Database) -> None:
    await users.change_user(db, OPERATOR, "operator", password=PASSWORD)
    body, session = {"old_password": PASSWORD, "new_password": NEW}, await bearer(db, Role.OPERATOR)
    change = asyncio.create_task(rest.nobody.post("/api/me/password", json=body, headers=session))
    await counted(db, "operator", 1)
    await db.pool.execute("UPDATE users SET password_hash = 'another' WHERE username = 'operator'")

    refusal(await change, 401, "login_refused")
    assert await hash_of(db, "operator") == "another"


async def test_counted_tries_are_forgotten_after_a_day(rest: Rest, db: Database) -> None:
    refusal(await try_login(rest, "nobody", "guess"), 401, "login_refused")

    assert (await delete_expired(db, RetentionPeriods()))["login_tries"] == 0
    await db.pool.execute("UPDATE login_tries SET tried_at = tried_at - interval '25 hours'")
    assert (await delete_expired(db, RetentionPeriods()))["login_tries"] == 1


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


async def test_a_new_password_of_an_engineer_ends_a_lock_out(rest: Rest, db: Database, anna: str) -> None:
    for _ in range(FREE_TRIES):
        await try_login(rest, anna, "guess")
    locked = done(await rest.engineer.get("/api/users"))["items"]
    assert [user["username"] for user in locked if user["locked_ms"]] == [anna]

    done(await rest.engineer.patch(f"/api/users/{anna}", json={"password": NEW}))

    done(await try_login(rest, anna, NEW), 201)


async def test_login_names_are_compared_without_case(rest: Rest, db: Database, anna: str) -> None:
    for name in ("Anna", "ANNA"):
        body = {"username": name, "role": "operator", "password": NEW}
        refusal(await rest.engineer.post("/api/users", json=body), 409, "user_exists")
        assert done(await try_login(rest, name, PASSWORD), 201)["username"] == anna
    done(await rest.engineer.patch("/api/users/ANNA", json={"role": "shift_lead"}))
    for name in ("anna", "ANNA", "Anna", "aNNA", "annA"):
        refusal(await try_login(rest, name, "wrong"), 401, "login_refused")

    refusal(await try_login(rest, "AnnA", PASSWORD), 401, "login_locked")
    assert await db.pool.fetchval("SELECT role FROM users WHERE username = 'anna'") == "shift_lead"
    refusal(await rest.engineer.post("/api/users", json={"username": "CORE", "role": "operator", "password": NEW}), 400, "invalid")


async def test_a_password_is_taken_however_its_letters_are_composed(rest: Rest, db: Database, anna: str) -> None:
    forms = [unicodedata.normalize(form, "Zoë Müller été") for form in ("NFC", "NFD")]
    for stored in forms:
        await users.change_user(db, OPERATOR, anna, password=stored)
        for typed in forms:
            done(await try_login(rest, anna, typed), 201)
    await db.pool.execute("UPDATE users SET password_hash = $1 WHERE username = 'anna'", PasswordHasher().hash(forms[1]))

    done(await try_login(rest, anna, forms[0]), 201)


async def test_a_password_of_blanks_is_refused(rest: Rest, anna: str) -> None:
    for blank in (" " * 8, "\u00a0" * 9, "\u200b" * 8, " \t" * 5):
        refusal(await rest.engineer.patch(f"/api/users/{anna}", json={"password": blank}), 400, "invalid")


async def test_a_lock_ends_by_its_own_maximum_when_the_clock_was_set_back(rest: Rest, db: Database, anna: str) -> None:
    for _ in range(FREE_TRIES):
        await try_login(rest, anna, "wrong")
    await db.pool.execute("UPDATE login_tries SET locked_until = now() + interval '24 hours'")

    problem = refusal(await try_login(rest, anna, PASSWORD), 401, "login_locked")
    left = await db.pool.fetchval("SELECT extract(epoch FROM locked_until - now()) * 1000 FROM login_tries")

    assert problem["retry_after_ms"] <= LONGEST_WAIT_MS
    assert left <= LONGEST_WAIT_MS
