"""The tap list, which everybody may read where the venue shows it: content, caching, and what it gives away."""

import asyncio
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import event

from tapwire_admin import tap_lists
from tapwire_core.db.engine import Database
from tapwire_core.domain.price_rules import PriceRule, PriceRulesNow, next_change
from tests.rest import Rest, application, done, refusal
from tests.venue import Venue

LIST = "/api/public/bar/tap-list"
HALF_OFF = {"name": "Happy hour", "weekdays": [1, 2, 3, 4, 5, 6, 7], "from": "00:00", "to": "00:00", "percent_off": 50}


@pytest.fixture
async def shown(rest: Rest, venue: Venue) -> Venue:
    """The venue, with its menu switched on."""
    done(await rest.engineer.patch("/api/venues/bar", json={"public_menu": True}))
    return venue


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request reads the list anew."""
    monkeypatch.setattr(tap_lists, "REREAD_S", 0.0)


async def items(rest: Rest) -> list[dict[str, Any]]:
    """The taps of the list."""
    listed: list[dict[str, Any]] = done(await rest.nobody.get(LIST))["items"]
    return listed


async def test_the_list_has_taps_in_service_with_their_prices_and_nothing_else(rest: Rest, shown: Venue, at_once: None) -> None:
    done(await rest.engineer.post("/api/price-rules", json={**HALF_OFF, "venue_id": "bar"}), 201)

    answer = await rest.nobody.get(LIST)

    (tap, *others) = done(answer)["items"]
    assert tap == {
        "tap_id": tap["tap_id"],
        "name": tap["name"],
        "beverage": tap["beverage"],
        "style": None,
        "abv": tap["abv"],
        "sell_price_per_liter_minor": tap["list_price_per_liter_minor"] // 2,
        "list_price_per_liter_minor": tap["list_price_per_liter_minor"],
        "glass_price_minor": tap["list_price_per_liter_minor"] // 4,
        "price_rule": {"name": "Happy hour", "until": None},
        "almost_gone": False,
    }
    for status in ("locked", "cleaning"):
        done(await rest.operator.patch(f"/api/taps/bar/{tap['tap_id']}", json={"status": status, "reason": "out of order"}))
        assert [one["tap_id"] for one in await items(rest)] == [other["tap_id"] for other in others]
    done(await rest.operator.patch(f"/api/taps/bar/{tap['tap_id']}", json={"status": "active"}))
    done(await rest.operator.post("/api/venues/bar/emergency-stop", json={"on": True, "reason": "drill"}))
    assert await items(rest) == []


async def test_a_keg_is_almost_gone_near_its_end_and_off_the_list_at_it(
    rest: Rest, shown: Venue, db: Database, at_once: None
) -> None:
    first, *_ = await items(rest)

    async def left(percent: int) -> None:
        async with db.transaction() as store:
            await store.connection.execute(
                "UPDATE kegs SET book_volume_ml = initial_volume_ml * $1 / 100"
                " WHERE keg_id = (SELECT keg_id FROM taps WHERE tap_path = $2)",
                percent,
                f"bar/taps/{first['tap_id']}",
            )

    for percent, expected in ((16, [False]), (15, [True]), (0, [])):
        await left(percent)
        found = [tap["almost_gone"] for tap in await items(rest) if tap["tap_id"] == first["tap_id"]]
        assert found == expected
    await left(100)


async def test_a_venue_that_shows_no_list_answers_like_one_that_does_not_exist(rest: Rest, venue: Venue, at_once: None) -> None:
    def told(answer: httpx.Response, venue_id: str) -> dict[str, Any]:
        problem = refusal(answer, 404, "not_found")
        assert answer.headers["cache-control"] == "no-store"
        return {name: str(value).replace(venue_id, "?") for name, value in problem.items() if name != "request_id"}

    hidden, unknown = await rest.nobody.get(LIST), await rest.nobody.get("/api/public/nowhere/tap-list")
    assert told(hidden, "bar") == told(unknown, "nowhere")
    done(await rest.engineer.patch("/api/venues/bar", json={"public_menu": True}))
    assert (await rest.nobody.get(LIST)).status_code == 200
    done(await rest.engineer.patch("/api/venues/bar", json={"public_menu": False}))
    assert (await rest.nobody.get(LIST)).status_code == 404


async def test_who_has_the_list_already_gets_304(rest: Rest, shown: Venue) -> None:
    answer = await rest.nobody.get(LIST)
    etag = answer.headers["etag"]
    assert answer.headers["cache-control"] == "public, max-age=30"
    assert "set-cookie" not in answer.headers

    for named in (etag, f"W/{etag}", f'"old", {etag}', "*"):
        again = await rest.nobody.get(LIST, headers={"If-None-Match": named})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert again.headers["cache-control"] == "public, max-age=30"
    for named in ('"old"', etag.strip('"'), '"*"', ",,,"):
        assert (await rest.nobody.get(LIST, headers={"If-None-Match": named})).status_code == 200
    head = await rest.nobody.head(LIST)
    assert (head.status_code, head.headers["etag"]) == (200, etag)


async def test_nothing_of_a_request_but_the_venue_changes_the_answer(rest: Rest, shown: Venue) -> None:
    plain = await rest.nobody.get(LIST)

    for query in ("?venue=pub", "?lang=ru", "?%00", "?" + "x" * 2_000):
        for headers in ({"X-Forwarded-Host": "evil.example"}, {"Host": "evil.example"}, {"Accept-Language": "ru"}):
            other = await rest.nobody.get(LIST + query, headers=headers)
            assert (other.content, other.headers["etag"]) == (plain.content, plain.headers["etag"])
    for path in ("/api/public/BAR/tap-list", "/api/public/..%2Fbar/tap-list", "/api/public/bar%00/tap-list"):
        assert (await rest.nobody.get(path)).status_code in (400, 404)
    assert (await rest.nobody.post(LIST)).status_code == 405


async def test_a_crowd_costs_one_query_a_second_and_unknown_names_none_of_their_own(rest: Rest, shown: Venue, db: Database) -> None:
    queries: list[str] = []
    event.listen(db.engine.sync_engine, "before_cursor_execute", lambda *given: queries.append(given[2]))
    names = [f"/api/public/nowhere-{number}/tap-list" for number in range(100)]

    answers = await asyncio.gather(*(rest.nobody.get(path) for path in [LIST] * 100 + names))

    assert [answer.status_code for answer in answers] == [200] * 100 + [404] * 100
    assert len(queries) == 2
    assert list(application().state.tap_lists._lists) == ["bar"]


async def test_nobody_keeps_an_answer_beyond_the_next_change_of_price(
    rest: Rest, shown: Venue, db: Database, at_once: None
) -> None:
    async with db.read() as connection:
        now: datetime = (await connection.exec_driver_sql("SELECT now() AT TIME ZONE 'Europe/Berlin'")).scalar_one()
    full_minute = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    begins = f"{full_minute:%H:%M}"
    hour_later = f"{full_minute + timedelta(hours=1):%H:%M}"
    rule = {**HALF_OFF, "venue_id": "bar", "from": begins, "to": hour_later}
    done(await rest.engineer.post("/api/price-rules", json=rule), 201)

    answer = await rest.nobody.get(LIST)

    most_s = (full_minute - now).total_seconds()
    age_s = int(answer.headers["cache-control"].removeprefix("public, max-age="))
    assert age_s <= min(30, most_s)


def test_the_next_change_is_the_first_full_minute_at_which_a_rule_begins_or_ends() -> None:
    rule = PriceRule(
        price_rule_id=uuid4(),
        name="Happy hour",
        beverage_ids=None,
        weekdays=(1, 2, 3, 4, 5, 6, 7),
        from_time=time(17),
        to_time=time(19),
        percent_off=20,
    )

    def change(hour: int, minute: int, second: int) -> datetime | None:
        moment = datetime(2026, 11, 29, hour, minute, second, 500_000, tzinfo=UTC)
        now = PriceRulesNow(wall_time=moment.replace(tzinfo=None), rules=(rule,))
        return next_change(now, moment, UTC, timedelta(seconds=30))

    assert change(16, 59, 40) == datetime(2026, 11, 29, 17, tzinfo=UTC)
    assert change(18, 59, 59) == datetime(2026, 11, 29, 19, tzinfo=UTC)
    assert change(16, 59, 29) is None
    assert change(17, 0, 0) is None
