"""Operators' logins on the console's pages."""

import httpx

from tapwire_admin.cookies import CSRF_HEADER, SESSION_COOKIE, make_csrf_token
from tapwire_core.db.engine import Database
from tapwire_core.domain.words import Role
from tests.rest import Rest, done, log_in

BLANKS = "  blanks at both ends "


def in_browser(token: str) -> dict[str, str]:
    """What a page of the console sends with a form."""
    return {"Cookie": f"{SESSION_COOKIE}={token}", CSRF_HEADER: make_csrf_token(token), "HX-Request": "true"}


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
    await send(engineer, "/users/bob", role="operator", password=f" {BLANKS}")
    await begin(f" {BLANKS}")

    assert (await rest.nobody.post("/login", data={"username": "bob", "password": f" {BLANKS}"})).status_code == 303
