"""HTTP on every route: HEAD, OPTIONS, schemes of any case, one content type; and error pages for browsers."""

import asyncio

import httpx
import pytest
from litestar.routes import HTTPRoute

from tapwire_core.db.engine import Database
from tapwire_core.monitoring.http_timeouts import TimedHTTPProtocol
from tests.integration.rest.test_event_stream import next_events, serving, stream
from tests.rest import Rest, application, refusal
from tests.venue import Venue

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
CORS = "access-control-"


@pytest.mark.parametrize("path", ["/api/guests", "/api/session", "/api/events", "/guests", "/live", "/health/live"])
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
        for path in ("/health/live", "/health/ready", "/login", "/api/guests", f"/api/guests/{ann.guest_id}", "/stock"):
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


async def test_the_public_port_has_no_metrics(rest: Rest) -> None:
    refusal(await rest.nobody.get("/metrics"), 404, "not_found")


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


@pytest.mark.parametrize("path", ["/nothing", "/g/x%00", "/guests/x", "/visits", "/payments?page=x", "/login", "/schema"])
async def test_each_page_has_the_headers_that_protect_it_whatever_it_says(rest: Rest, path: str) -> None:
    answer = await rest.operator.get(path, headers=BROWSER)

    assert answer.headers["content-type"].startswith("text/html")
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == ("no-referrer" if path.startswith("/g/") else "same-origin")
    assert answer.headers["cache-control"] == "no-store"


async def test_before_there_is_a_venue_each_page_is_there_or_says_so(rest: Rest) -> None:
    found = [route.path for route in application().routes if isinstance(route, HTTPRoute) and "{" not in route.path]
    pages = [path for path in found if not path.startswith(("/api", "/static", "/schema")) and path not in ("/live", "/logout")]

    answers = {path: await rest.engineer.get(path, headers=BROWSER) for path in pages}

    assert [path for path, answer in answers.items() if answer.status_code >= 500] == []
    assert len([path for path, answer in answers.items() if "There is no venue yet" in answer.text]) > 5


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /health/live HTTP/1.1\r\nHost: x\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nGET",
        b"POST /api/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
    ],
    ids=["nothing", "half a head", "half a second head", "half a body"],
)
async def test_a_request_that_never_ends_loses_its_connection_however_it_drips(
    db: Database, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    for limit in ("HEAD_TIMEOUT_S", "BODY_TIMEOUT_S"):
        monkeypatch.setattr(f"tapwire_core.monitoring.http_timeouts.{limit}", 0.3)
    async with serving(db, http=TimedHTTPProtocol, timeout_keep_alive=1) as url, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(sent)
        dripping = asyncio.create_task(_drip(writer) if sent.endswith(b"x\r\n") else asyncio.sleep(0))
        try:
            answered = await reader.read()
        except ConnectionResetError:
            answered = b""  # it was closed while the client was sending
        finally:
            dripping.cancel()
            writer.close()

    assert answered.count(b"HTTP/1.1 200") == sent.count(b"\r\n\r\nGET")


async def test_a_slow_answer_is_no_slow_request(db: Database, rest: Rest, venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("HEAD_TIMEOUT_S", "BODY_TIMEOUT_S"):
        monkeypatch.setattr(f"tapwire_core.monitoring.http_timeouts.{limit}", 0.1)
    async with serving(db, http=TimedHTTPProtocol) as url, stream(url, rest) as events:
        await asyncio.sleep(0.3)
        await venue.guest()
        assert (await next_events(events, 1))[0].kind == "audit"


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"a: b\r\n")
        await asyncio.sleep(0.05)
