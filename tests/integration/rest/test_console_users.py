"""Operators' logins on the console's pages."""

import re
from html import unescape

import httpx

from tapwire_admin.access.cookies import CSRF_HEADER, SESSION_COOKIE, make_csrf_token
from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import Role
from tapwire_core.services.venues import create_venue
from tests.rest import Rest, done, log_in, refusal
from tests.venue import OPERATOR, Venue

SHOWN = re.compile(r'name="shown" value="([^"]*)"')
NEW = "battery staple"
BLANKS = "  blanks at both ends "


def in_browser(token: str) -> dict[str, str]:
    """The fields that a console page sends with a form."""
    return {"Cookie": f"{SESSION_COOKIE}={token}", CSRF_HEADER: make_csrf_token(token), "HX-Request": "true"}


def shown_in(page: httpx.Response) -> str:
    """What a page shows, as its first form sends it."""
    found = SHOWN.search(page.text)
    assert found is not None, f"{page.request.url.path} has no form that says what it shows"
    return unescape(found[1])


async def test_a_change_that_is_refused_changes_nothing_by_either_door(rest: Rest, db: Database) -> None:
    before = await db.pool.fetch("SELECT * FROM users ORDER BY username")
    page, change = in_browser(await log_in(db, Role.ENGINEER)), {"role": "operator", "password": NEW}

    refusal(await rest.engineer.patch("/api/users/engineer", json=change), 409, "last_engineer")
    form = change | {"shown": shown_in(await rest.nobody.get("/users/engineer", headers=page))}
    assert "last engineer" in (await rest.nobody.post("/users/engineer", data=form, headers=page)).text

    assert await db.pool.fetch("SELECT * FROM users ORDER BY username") == before
    assert done(await rest.engineer.get("/api/me"))["role"] == "engineer"


async def test_role_and_password_are_changed_together(rest: Rest, venue: Venue) -> None:
    done(await rest.engineer.patch("/api/users/operator", json={"role": "shift_lead", "password": NEW}))

    refusal(await rest.operator.get("/api/me"), 401, "login_required")
    assert done(await rest.nobody.post("/api/session", json={"username": "operator", "password": NEW}), 201)["role"] == "shift_lead"
    details = await venue.db.pool.fetchval("SELECT details FROM audit WHERE action = 'user_changed'")
    assert NEW not in details
    assert await venue.audited("user_changed") == 1


async def test_every_form_takes_a_password_as_it_is_typed(rest: Rest, db: Database) -> None:
    async def begin(password: str) -> str:
        answer = await rest.nobody.post("/api/session", json={"username": "bob", "password": password})
        return str(done(answer, 201)["token"])

    async def send(token: str, path: str, **fields: str) -> httpx.Response:
        return await rest.nobody.post(path, data=fields, headers=in_browser(token))

    engineer = await log_in(db, Role.ENGINEER)
    await send(engineer, "/users/new", username=" bob ", role="operator", password=BLANKS)
    token = await begin(BLANKS)
    await send(token, "/me/password", old_password=BLANKS, new_password=f"{BLANKS} ")
    await begin(f"{BLANKS} ")
    shown = shown_in(await rest.nobody.get("/users/bob", headers=in_browser(engineer)))
    await send(engineer, "/users/bob", shown=shown, role="operator", password=f" {BLANKS}")
    await begin(f" {BLANKS}")

    assert (await rest.nobody.post("/login", data={"username": "bob", "password": f" {BLANKS}"})).status_code == 303


async def test_the_form_of_a_user_chooses_venues_and_one_without_the_choice_changes_none(rest: Rest, venue: Venue) -> None:
    await create_venue(venue.db, OPERATOR, venue_id="pub", name="The Pub", time_zone="Europe/Berlin")
    headers = in_browser(await log_in(venue.db, Role.ENGINEER))

    async def send(path: str = "/users/operator", **fields: str) -> list[str] | None:
        page = await rest.nobody.get(path, headers=headers)
        shown = {"shown": shown_in(page)} if "operator" in path else {}
        await rest.nobody.post(path, data=shown | {"role": "operator"} | fields, headers=headers)
        found: list[str] | None = await venue.db.pool.fetchval("SELECT venues FROM users WHERE username = 'operator'")
        return found

    assert await send(**{"reach": "some", "at pub": "true"}) == ["pub"]
    assert 'name="at pub" value="true" checked' in (await rest.nobody.get("/users/operator", headers=headers)).text
    assert await send() == ["pub"]
    assert await send(reach="some") == ["pub"], "some must be named"
    assert "The Pub" in (await rest.nobody.get("/users", headers=headers)).text.partition("<table>")[2]
    assert await send(reach="all") is None
    assert "The Pub" not in (await rest.nobody.get("/users", headers=headers)).text.partition("<table>")[2]
