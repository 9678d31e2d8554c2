"""Access: no login 401, not the role 403, and nothing open by accident."""

from uuid import uuid4

import httpx
import pytest
from litestar import Litestar, get
from litestar.routes import HTTPRoute

from tapwire_admin.access.auth import enforce_access
from tapwire_admin.app import create_app
from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import Role
from tapwire_core.services import users
from tests.rest import Rest, asgi, done, refusal
from tests.venue import OPERATOR, Venue

SAMPLE = {"uuid": "00000000-0000-4000-8000-000000000000", "str": "none", "int": "1"}
PASSWORD = "correct horse"


def routes(db: Database) -> list[tuple[str, str, object]]:
    """Each route's method, a path of it, and its declared access."""
    found: list[tuple[str, str, object]] = []
    for route in create_app(db).routes:
        assert isinstance(route, HTTPRoute)
        if route.path.startswith("/static"):  # files for everybody
            continue
        path = "/".join(_sample(part) for part in route.path.split("/"))
        found += [(method, path, h.opt.get("access")) for method, (h, _) in route.route_handler_map.items() if method != "OPTIONS"]
    return found


def _sample(part: str) -> str:
    return SAMPLE[part.strip("{}").split(":")[1]] if part.startswith("{") else part


async def test_a_part_of_a_page_whose_session_has_ended_leads_back_to_that_page_after_the_login(rest: Rest) -> None:
    on_page = {"HX-Request": "true", "HX-Current-URL": "http://console/guests/1?search=ann"}

    answer = await rest.nobody.post(f"/visits/{uuid4()}/top-up", headers=on_page)

    assert answer.headers["HX-Redirect"] == "/login?next=/guests/1%3Fsearch%3Dann"


async def test_no_route_works_without_a_login_or_with_a_lesser_role(rest: Rest, db: Database) -> None:
    lesser = {Role.OPERATOR: [], Role.SHIFT_LEAD: [rest.operator], Role.ENGINEER: [rest.operator, rest.shift_lead]}

    for method, path, access in routes(db):
        if isinstance(access, Role) and not path.startswith("/api/"):
            asked_to_log_in = await rest.nobody.request(method, path)
            assert (asked_to_log_in.status_code, asked_to_log_in.headers["location"].split("?")[0]) == (303, "/login"), path
            for client in lesser[access]:
                assert (await client.request(method, path)).status_code == 403, path
        elif isinstance(access, Role) and method == "HEAD":  # its answers have no body
            assert (await rest.nobody.request(method, path)).status_code == 401, path
            for client in lesser[access]:
                assert (await client.request(method, path)).status_code == 403, path
        elif isinstance(access, Role):
            refusal(await rest.nobody.request(method, path), 401, "login_required")
            for client in lesser[access]:
                assert refusal(await client.request(method, path), 403, "role_required")["required_role"] == access


async def test_a_route_that_declares_nothing_is_refused_to_everybody() -> None:
    @get("/forgotten")
    async def forgotten() -> None: ...

    app = Litestar([forgotten], guards=[enforce_access])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=asgi(app)), base_url="http://tapwire") as client:
        assert (await client.get("/forgotten")).status_code == 403


async def test_an_operator_may_lock_a_tap_but_not_change_its_meter(rest: Rest, venue: Venue) -> None:
    path = f"/api/taps/{venue.venue_id}/left"

    assert done(await rest.operator.patch(path, json={"status": "locked"}))["status"] == "locked"
    refusal(await rest.operator.patch(path, json={"pulses_per_liter": 500, "reason": "a new meter"}), 403, "role_required")
    assert done(await rest.engineer.patch(path, json={"pulses_per_liter": 500, "reason": "a new meter"}))["pulses_per_liter"] == 500


async def test_giving_up_a_pending_pour_needs_a_shift_lead(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    await venue.grant(ann)
    close, body = f"/api/visits/{ann.visit_id}/close", {"void_pending": True, "reason": "she left"}

    refusal(await rest.operator.post(close, json=body), 403, "role_required")
    assert done(await rest.shift_lead.post(close, json=body))["status"] == "closed"


async def test_a_session_ends_with_logging_out_and_with_the_password(rest: Rest, db: Database) -> None:
    await users.create_user(db, OPERATOR, "anna", Role.OPERATOR, PASSWORD)

    async def log_in() -> dict[str, str]:
        answer = done(await rest.nobody.post("/api/session", json={"username": "anna", "password": PASSWORD}), 201)
        assert answer["role"] == "operator"
        return {"Authorization": f"Bearer {answer['token']}"}

    first, second, third = await log_in(), await log_in(), await log_in()
    done(await rest.nobody.delete("/api/session", headers=first), 204)
    refusal(await rest.nobody.get("/api/me", headers=first), 401, "login_required")

    change = {"old_password": PASSWORD, "new_password": "battery staple"}
    done(await rest.nobody.post("/api/me/password", json=change, headers=second), 204)
    assert done(await rest.nobody.get("/api/me", headers=second)) == {"username": "anna", "role": "operator", "venues": None}
    refusal(await rest.nobody.get("/api/me", headers=third), 401, "login_required")


async def test_wrong_passwords_lock_the_login_out_for_a_while(rest: Rest, db: Database) -> None:
    await users.create_user(db, OPERATOR, "anna", Role.OPERATOR, PASSWORD)

    async def try_login(username: str, password: str) -> httpx.Response:
        return await rest.nobody.post("/api/session", json={"username": username, "password": password})

    for _ in range(5):
        refusal(await try_login("anna", "guess"), 401, "login_refused")
    refusal(await try_login("nobody", "guess"), 401, "login_refused")
    await db.pool.execute("UPDATE login_tries SET locked_until = now() + interval '1 minute' WHERE username = 'anna'")
    locked = refusal(await try_login("anna", PASSWORD), 401, "login_locked")
    assert 0 < locked["retry_after_ms"] <= 60_000

    await db.pool.execute("UPDATE login_tries SET locked_until = now() WHERE username = 'anna'")
    done(await try_login("anna", PASSWORD), 201)


async def test_a_session_ends_by_itself(rest: Rest, db: Database) -> None:
    done(await rest.operator.get("/api/me"))
    await db.pool.execute("UPDATE sessions SET expires_at = now() WHERE username = 'operator'")

    refusal(await rest.operator.get("/api/me"), 401, "login_required")


async def test_a_disabled_user_is_out_at_once_and_the_last_engineer_stays(rest: Rest) -> None:
    assert done(await rest.engineer.patch("/api/users/operator", json={"disabled": True}))["disabled"]

    refusal(await rest.operator.get("/api/me"), 401, "login_required")
    refusal(await rest.engineer.patch("/api/users/engineer", json={"role": "operator"}), 409, "last_engineer")
    refusal(await rest.engineer.patch("/api/users/engineer", json={"disabled": True}), 409, "last_engineer")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/users", {"username": "bob", "role": "operator", "password": PASSWORD}),
        ("/api/devices", {"path": "bar/taps/left"}),
    ],
)
async def test_secrets_are_kept_as_hashes_and_never_with_an_answer(
    rest: Rest, db: Database, path: str, body: dict[str, str]
) -> None:
    answer = done(await rest.engineer.post(path, json=body, headers={"Idempotency-Key": "k"}), 201)

    for table in ("users", "devices", "audit", "idempotent_answers"):
        kept = str(await db.pool.fetch(f"SELECT * FROM {table}"))
        assert PASSWORD not in kept
        assert answer.get("secret", PASSWORD) not in kept
