"""HTTP on every route: HEAD, OPTIONS, schemes of any case, one content type; and error pages for browsers."""

import httpx
import pytest

from tapwire_core.db.engine import Database
from tests.integration.rest.test_event_stream import serving
from tests.rest import Rest, refusal
from tests.venue import Venue

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
CORS = "access-control-"


@pytest.mark.parametrize("path", ["/api/guests", "/api/session", "/api/events", "/guests", "/live", "/health/live", "/metrics"])
async def test_options_tells_everybody_which_methods_there_are_and_lets_no_other_site_in(rest: Rest, path: str) -> None:
    asked = await rest.nobody.options(path, headers={"Origin": "https://elsewhere", "Access-Control-Request-Method": "GET"})
    refused = await rest.nobody.request("TRACE", path)

    assert (asked.status_code, asked.content) == (204, b"")
    assert {method.strip() for method in asked.headers["allow"].split(",")} == {
        method.strip() for method in refused.headers["allow"].split(",")
    }
    assert not [name for name in asked.headers if name.startswith(CORS)]


async def test_head_answers_as_get_does_without_the_body(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest()
    async with (
        serving(venue.db) as url,
        httpx.AsyncClient(base_url=url, headers=rest.engineer.headers) as engineer,
        httpx.AsyncClient(base_url=url) as nobody,
    ):
        for path in ("/health/live", "/health/ready", "/metrics", "/login", "/api/guests", f"/api/guests/{ann.guest_id}", "/stock"):
            got, headed = await engineer.get(path), await engineer.head(path)
            assert (got.status_code, headed.status_code, headed.content) == (200, 200, b""), path
            assert headed.headers["content-type"] == got.headers["content-type"]
        assert (await nobody.head("/api/guests")).status_code == 401
        assert (await engineer.head("/api/guests/none")).status_code == 404
        for stream in ("/api/events", "/live", "/screen/bar/left/live"):
            refused = await engineer.head(stream)
            assert refused.status_code == 405
            assert "HEAD" not in refused.headers["allow"]


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer ", "bEARER"])
async def test_the_case_of_the_logins_scheme_counts_for_nothing(rest: Rest, scheme: str) -> None:
    token = rest.operator.headers["Authorization"].removeprefix("Bearer ")

    assert (await rest.nobody.get("/api/me", headers={"Authorization": f"{scheme} {token}"})).status_code == 200
    for none in (f"{scheme}{token}".replace(" ", ""), f"Basic {token}", token, scheme, ""):
        refusal(await rest.nobody.get("/api/me", headers={"Authorization": none}), 401, "login_required")


async def test_metrics_say_once_how_they_are_encoded(rest: Rest) -> None:
    answer = await rest.nobody.get("/metrics")

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_what_is_not_there_is_a_page_in_a_browser_and_a_problem_for_programs(rest: Rest, db: Database) -> None:
    page = await rest.nobody.get("/nope", headers=BROWSER)
    wrong_method = await rest.nobody.put("/guests", headers=BROWSER)

    assert (page.status_code, wrong_method.status_code) == (404, 405)
    assert page.headers["content-type"] == wrong_method.headers["content-type"] == "text/html; charset=utf-8"
    assert "Show the taps" in page.text
    assert wrong_method.headers["allow"]
    refusal(await rest.nobody.get("/nope"), 404, "not_found")
    refusal(await rest.nobody.get("/api/nope", headers=BROWSER), 404, "not_found")
    refusal(await rest.nobody.get("/api", headers=BROWSER), 404, "not_found")
