"""The console's login: a cookie that no script reads, and a CSRF token beside it for all that changes something."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tapwire_admin.access.cookies import CSRF_FIELD, CSRF_HEADER, SESSION_COOKIE, make_csrf_token
from tapwire_admin.app import create_app
from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import Role
from tapwire_core.services import users
from tests.rest import asgi, done, refusal
from tests.venue import OPERATOR

PASSWORD = "correct horse"
GUEST = {"first_name": "Ann", "age_checked": True}


@asynccontextmanager
async def browser(
    db: Database, base_url: str = "http://tapwire", *, cookie_secure: bool = False
) -> AsyncIterator[httpx.AsyncClient]:
    """A client that keeps cookies, at an address of its own."""
    app = create_app(db, cookie_secure=cookie_secure)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=asgi(app)), base_url=base_url) as client:
        yield client


@pytest.fixture
async def page(db: Database) -> AsyncIterator[httpx.AsyncClient]:
    """A browser at the console; `anna` is an operator."""
    await users.create_user(db, OPERATOR, "anna", Role.OPERATOR, PASSWORD)
    async with browser(db) as client:
        yield client


async def log_in(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/api/session", json={"username": "anna", "password": PASSWORD, "cookie": True})


async def test_a_login_by_cookie_tells_scripts_no_token_and_lasts_until_logging_out(page: httpx.AsyncClient) -> None:
    response = await log_in(page)

    begun, cookie = done(response, 201), response.headers["set-cookie"]
    assert begun["token"] is None
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= {part.strip() for part in cookie.split(";")}
    assert "Secure" not in cookie
    me = await page.get("/api/me")
    assert done(me) == {"username": "anna", "role": "operator", "venues": None}
    assert me.headers["Cache-Control"] == "no-store"

    token = page.cookies[SESSION_COOKIE]
    done(await page.delete("/api/session", headers={CSRF_HEADER: begun["csrf_token"]}), 204)
    assert SESSION_COOKIE not in page.cookies
    refusal(await page.get("/api/me", headers={"Cookie": f"{SESSION_COOKIE}={token}"}), 401, "login_required")


async def test_what_a_cookie_allows_changes_nothing_without_the_sessions_csrf_token(page: httpx.AsyncClient) -> None:
    token = done(await log_in(page), 201)["csrf_token"]

    refusal(await page.post("/api/guests", json=GUEST), 403, "csrf_token_required")
    refusal(
        await page.post("/api/guests", json=GUEST, headers={CSRF_HEADER: make_csrf_token("another")}), 403, "csrf_token_required"
    )
    refusal(
        await page.post("/api/guests", json=GUEST, headers={CSRF_HEADER: page.cookies[SESSION_COOKIE]}), 403, "csrf_token_required"
    )
    assert done(await page.get("/api/guests"))["items"] == []

    done(await page.post("/api/guests", json=GUEST, headers={CSRF_HEADER: token}), 201)


async def test_a_form_shows_its_csrf_token_in_a_field(page: httpx.AsyncClient) -> None:
    token = done(await log_in(page), 201)["csrf_token"]

    done(await page.request("DELETE", "/api/session", data={CSRF_FIELD: token}), 204)


async def test_a_bearer_token_needs_no_csrf_token_whatever_cookie_comes_along(page: httpx.AsyncClient) -> None:
    done(await log_in(page), 201)
    bearer = done(await page.post("/api/session", json={"username": "anna", "password": PASSWORD}), 201)["token"]

    done(await page.post("/api/guests", json=GUEST, headers={"Authorization": f"Bearer {bearer}"}), 201)


async def test_another_site_can_not_log_its_visitors_in(page: httpx.AsyncClient) -> None:
    body = {"username": "anna", "password": PASSWORD, "cookie": True}

    refusal(await page.post("/api/session", json=body, headers={"Sec-Fetch-Site": "cross-site"}), 403, "csrf_token_required")
    assert SESSION_COOKIE not in page.cookies


@pytest.mark.parametrize(("base_url", "cookie_secure"), [("https://tapwire", False), ("http://tapwire", True)])
async def test_behind_tls_the_cookie_goes_over_tls_alone(
    page: httpx.AsyncClient, db: Database, base_url: str, cookie_secure: bool
) -> None:
    async with browser(db, base_url, cookie_secure=cookie_secure) as client:
        response = await log_in(client)

    assert "Secure" in response.headers["set-cookie"]


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
async def test_a_form_that_is_none_changes_nothing(page: httpx.AsyncClient, kind: str) -> None:
    done(await log_in(page), 201)
    forged = b'--x\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\nforged'

    for content in (b"", b"\xff\x00=&;%zz", b"--x\r\n\r\n", forged):
        answer = await page.request("DELETE", "/api/session", content=content, headers={"Content-Type": kind})
        assert answer.status_code in (400, 403), answer.text
        assert answer.json()["code"] in ("invalid", "csrf_token_required")

    done(await page.get("/api/me"))
