"""Sales reports: by the venue's clock, from the books, for programs and for spreadsheets."""

import csv
from datetime import datetime, timedelta

import pytest
from sqlalchemy import DateTime, Text, column, select, text

from tapwire_core.db.engine import Database
from tapwire_core.db.views.reports import first_midnight
from tapwire_core.services.beverages import change_beverage
from tests.rest import Rest, done, metrics_page, refusal
from tests.venue import OPERATOR, Venue


async def sell(venue: Venue) -> None:
    """Sell 100 ml and 200 ml on the left tap, 50 ml on the right one, of which 10 ml are the house's loss."""
    ann, poor = await venue.guest(balance_minor=500_00), await venue.guest(balance_minor=20_00)
    right = await venue.another_tap("right")
    await venue.report(await venue.grant(ann), 100)
    await venue.report(await venue.grant(ann), 200)
    await venue.report(await venue.grant(poor, right), 50, right)


async def sell_once(venue: Venue) -> None:
    """Sell 100 ml on the left tap."""
    await venue.report(await venue.grant(await venue.guest(balance_minor=500_00)), 100)


async def move_sales(owner_db: Database, moment: str, only_later_than: str = "2000-01-01T00:00:00Z") -> None:
    """Let what was sold later than a moment have been sold at another one, past the triggers that keep the books as they are."""
    async with owner_db.transaction() as store:
        await store.connection.execute("SET LOCAL session_replication_role = replica")
        for table, column in (("pours", "settled_at"), ("money_movements", "created_at"), ("stock_movements", "created_at")):
            moments = datetime.fromisoformat(moment), datetime.fromisoformat(only_later_than)
            await store.connection.execute(f"UPDATE {table} SET {column} = $1 WHERE {column} > $2", *moments)


async def test_sales_are_taken_apart_by_tap_and_beverage(rest: Rest, venue: Venue) -> None:
    before = await venue.today()
    await sell(venue)
    period = {"from": str(before), "to": str(await venue.today())}

    by_tap = done(await rest.operator.get("/api/reports/sales", params={**period, "by": "tap"}))
    by_beverage = done(await rest.operator.get("/api/reports/sales", params={**period, "by": "beverage", "venue_id": "bar"}))

    left = {"key": "bar/taps/left", "pours": 2, "volume_ml": 300, "sold_minor": 150_00, "written_off_minor": 0}
    right = {"key": "bar/taps/right", "pours": 1, "volume_ml": 50, "sold_minor": 20_00, "written_off_minor": 5_00}
    assert by_tap["items"] == [left, right]
    assert by_beverage["items"] == [
        {
            "key": "Pils",
            "pours": 3,
            "volume_ml": 350,
            "sold_minor": 170_00,
            "written_off_minor": 5_00,
            "beverage_id": str(venue.beverage_id),
        }
    ]


async def test_hours_and_days_are_the_venues_own(rest: Rest, venue: Venue, owner_db: Database) -> None:
    await sell(venue)
    # 23:30 in UTC is 01:30 of the next day in Berlin, in summer
    await move_sales(owner_db, "2026-06-30T23:30:00Z")

    async def keys(by: str, first: str, last: str) -> list[str]:
        report = done(await rest.operator.get("/api/reports/sales", params={"by": by, "from": first, "to": last}))
        return [row["key"] for row in report["items"]]

    assert await keys("day", "2026-06-01", "2026-07-31") == ["2026-07-01"]
    assert await keys("hour", "2026-07-01", "2026-07-01") == ["2026-07-01T01:00+02:00"]
    assert await keys("day", "2026-06-30", "2026-06-30") == []
    assert await keys("day", "2026-06-30T23:30:00Z", "2026-06-30T23:30:00.000001Z") == ["2026-07-01"]
    assert await keys("day", "2026-06-30T23:00:00Z", "2026-06-30T23:30:00Z") == []


async def test_an_hour_that_the_clock_repeats_is_two_hours_and_one_that_it_skips_is_none(
    rest: Rest, venue: Venue, owner_db: Database
) -> None:
    async def keys(by: str, day: str) -> list[str]:
        report = done(await rest.operator.get("/api/reports/sales", params={"by": by, "from": day, "to": day}))
        return [row["key"] for row in report["items"]]

    ann = await venue.guest(balance_minor=500_00)
    for moment in ("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"):  # 2:30 in Berlin, twice
        await venue.report(await venue.grant(ann), 100)
        await move_sales(owner_db, moment, only_later_than="2026-11-01T00:00:00Z")

    assert await keys("hour", "2026-10-25") == ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"]
    assert await keys("day", "2026-10-25") == ["2026-10-25"]
    await move_sales(owner_db, "2026-03-29T01:00:00Z")  # 2:00 becomes 3:00
    assert await keys("hour", "2026-03-29") == ["2026-03-29T03:00+02:00"]


async def test_hours_begin_on_the_quarter_of_a_zone_that_does_so(rest: Rest, venue: Venue, owner_db: Database) -> None:
    await venue.db.pool.execute("UPDATE venues SET time_zone = 'Asia/Kathmandu'")  # 5 h 45 min ahead
    for moment in ("2026-06-30T12:14:59.999Z", "2026-06-30T12:15:00Z"):
        now = str(await venue.db.pool.fetchval("SELECT now()"))
        await sell_once(venue)
        await move_sales(owner_db, moment, only_later_than=now)
    period = {"from": "2026-06-30", "to": "2026-06-30"}

    by_hour = done(await rest.operator.get("/api/reports/sales", params={**period, "by": "hour"}))["items"]

    assert [(row["key"], row["pours"]) for row in by_hour] == [("2026-06-30T17:00+05:45", 1), ("2026-06-30T18:00+05:45", 1)]


async def test_the_day_of_two_midnights_has_25_hours(rest: Rest, venue: Venue, owner_db: Database) -> None:
    await venue.db.pool.execute("UPDATE venues SET time_zone = 'America/Havana'")
    ann = await venue.guest(balance_minor=500_00)
    hours = [f"2026-11-01T{hour:02}:30:00Z" for hour in range(4, 24)] + [f"2026-11-02T{hour:02}:30:00Z" for hour in range(5)]
    for moment in hours:
        await venue.report(await venue.grant(ann), 10)
        await move_sales(owner_db, moment, only_later_than="2026-11-03T00:00:00Z")

    report = done(await rest.operator.get("/api/reports/sales", params={"by": "hour", "from": "2026-11-01", "to": "2026-11-01"}))

    keys = [row["key"] for row in report["items"]]
    assert (len(keys), keys[:2], keys[-1]) == (25, ["2026-11-01T00:00-04:00", "2026-11-01T00:00-05:00"], "2026-11-01T23:00-05:00")
    assert (report["since"], report["until"]) == ("2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z")


CHANGED_DAYS = """
    WITH zone AS (
        SELECT min(name) AS name FROM (
            SELECT name, array_agg(timezone(name, week) - timezone('UTC', week) ORDER BY week) AS offsets
            FROM pg_timezone_names, generate_series('2020-01-01Z', '2031-01-01Z', interval '14 days') AS week GROUP BY name
        ) AS same GROUP BY offsets
    ), change AS (
        SELECT name, week FROM zone, generate_series('2020-01-01Z', '2030-12-25Z', interval '7 days') AS week
        WHERE timezone(name, week) + interval '7 days' <> timezone(name, week + interval '7 days')
    ), day AS (
        SELECT name, noon::date::timestamp AS day
        FROM change, generate_series(week, week + interval '7 days', interval '1 day') AS noon
        WHERE timezone(name, noon - interval '2 days') + interval '4 days' <> timezone(name, noon + interval '2 days')
    )
    SELECT name, day, min(moment) AS begins
    FROM day, generate_series(timezone('UTC', day) - interval '15 hours', timezone('UTC', day) + interval '15 hours',
                              interval '15 minutes') AS moment
    WHERE timezone(name, moment)::date = day::date GROUP BY name, day
"""


async def test_each_day_begins_at_its_first_moment_in_every_zone(db: Database) -> None:
    columns = column("name", Text), column("day", DateTime), column("begins", DateTime(timezone=True))
    days = text(CHANGED_DAYS).columns(*columns).subquery()
    asked = select(days, first_midnight(days.c.name, days.c.day).label("found"))
    async with db.engine.connect() as connection:
        rows = (await connection.execute(asked)).all()

    assert len(rows) > 1000
    assert [row for row in rows if row.found != row.begins] == []


async def test_a_spreadsheet_gets_the_same_rows_and_no_formulas(rest: Rest, venue: Venue) -> None:
    await change_beverage(venue.db, OPERATOR, venue.beverage_id, name='=HYPERLINK("x")')
    await sell(venue)
    today = await venue.db.pool.fetchval("SELECT now()::date")
    period = {"from": str(today - timedelta(days=1)), "to": str(today + timedelta(days=1)), "by": "beverage"}

    answer = await rest.operator.get("/api/reports/sales", params=period, headers={"Accept": "text/csv"})

    assert answer.headers["content-type"].startswith("text/csv")
    assert list(csv.reader(answer.text.splitlines())) == [
        ["beverage", "pours", "volume_ml", "sold_minor", "written_off_minor", "currency", "beverage_id", "comps_minor"],
        ['\'=HYPERLINK("x")', "3", "350", "17000", "500", "EUR", str(venue.beverage_id), "0"],
    ]


async def test_a_period_without_sales_has_neither_a_chart_nor_its_script(rest: Rest, venue: Venue) -> None:
    nothing = (await rest.operator.get("/reports")).text
    await sell(venue)
    sales = (await rest.operator.get("/reports")).text

    assert [part in nothing for part in ('id="chart-data"', "chart.js")] == [False, False]
    assert [part in sales for part in ('id="chart-data"', "chart.js")] == [True, True]


async def test_the_consoles_export_is_in_the_operators_notation(rest: Rest, venue: Venue) -> None:
    await change_beverage(venue.db, OPERATOR, venue.beverage_id, name="Pils;=cmd|calc!A0")
    await sell(venue)
    period = {"from": str(await venue.today()), "to": str(await venue.today()), "by": "beverage"}

    async def export(language: str) -> list[str]:
        rest.operator.cookies.set("tapwire_language", language)
        answer = await rest.operator.get("/reports/sales.csv", params=period)
        assert answer.text.startswith("\ufeff")
        return answer.text.removeprefix("\ufeff").splitlines()

    assert await export("en") == [
        'Beverage,Pours,"Volume, ml",Sold (EUR),Written off (EUR)',
        "Pils;'=cmd|calc!A0,3,350,170.00,5.00",
    ]
    assert await export("ru") == [
        "Напиток;Наливы;Объём, мл;Продано (EUR);Записано в потери (EUR)",
        '"Pils;\'=cmd|calc!A0";3;350;170,00;5,00',
    ]


async def test_history_keeps_the_name_of_the_day(rest: Rest, venue: Venue) -> None:
    other = done(await rest.engineer.post("/api/beverages", json={"name": "Pils", "sell_price_per_liter_minor": 50000}), 201)
    stock = {"venue_id": "bar", "beverage_id": other["beverage_id"], "initial_volume_ml": 30_000}
    keg_id = done(await rest.engineer.post("/api/kegs", json=stock), 201)["keg_id"]
    ann = await venue.guest(balance_minor=500_00)
    await venue.report(await venue.grant(ann), 100)
    await change_beverage(venue.db, OPERATOR, venue.beverage_id, name="Lager")
    await venue.report(await venue.grant(ann), 40)
    done(await rest.operator.put("/api/taps/bar/left/keg", json={"keg_id": keg_id}))
    await venue.report(await venue.grant(ann), 7)

    period = {"from": str(await venue.today()), "to": str(await venue.today()), "by": "beverage"}
    sales = done(await rest.operator.get("/api/reports/sales", params=period))["items"]
    shift_id = done(await rest.operator.get("/api/shifts/current"))["shift_id"]
    shift = done(await rest.operator.get(f"/api/shifts/{shift_id}/reports/x"))
    pours = done(await rest.operator.get("/api/pours"))["items"]

    mine, others = str(venue.beverage_id), other["beverage_id"]
    sold = {(row["key"], row["beverage_id"]): row["volume_ml"] for row in sales}
    assert sold == {("Pils", mine): 100, ("Lager", mine): 40, ("Pils", others): 7}
    in_shift = {(key.split(" ")[0], shift["beverage_ids"][key]): sums["sold_ml"] for key, sums in shift["by_beverage"].items()}
    assert in_shift == sold
    assert [(pour["beverage_name"], pour["beverage_id"]) for pour in pours] == [("Pils", others), ("Lager", mine), ("Pils", mine)]


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2026-01-02", "2026-01-01"),
        ("2025-01-01", "2026-12-31"),
        ("yesterday", "2026-01-01"),
        ("2026-01-01T00:00:00", "2026-01-02"),
    ],
)
async def test_a_period_that_is_none_is_refused(rest: Rest, venue: Venue, first: str, last: str) -> None:
    refusal(await rest.operator.get("/api/reports/sales", params={"from": first, "to": last}), 400, "invalid")


async def test_requests_are_counted_by_route_and_answer(rest: Rest, venue: Venue) -> None:
    done(await rest.operator.get("/api/taps/bar/left"))
    refusal(await rest.operator.get("/api/nowhere"), 404, "not_found")

    metrics = metrics_page()

    assert 'tapwire_admin_request_seconds_count{method="GET",route="/api/taps/{venue}/{tap}",status="200"}' in metrics
    assert 'route="none",status="404"}' in metrics


async def test_a_shifts_report_is_a_table_too(rest: Rest, venue: Venue) -> None:
    await change_beverage(venue.db, OPERATOR, venue.beverage_id, name='Pils, "old"')
    await sell(venue)
    shift_id = done(await rest.operator.get("/api/shifts/current"))["shift_id"]
    path = f"/api/shifts/{shift_id}/reports/x"

    report = done(await rest.operator.get(path))
    answer = await rest.operator.get(path, headers={"Accept": "text/csv"})

    assert answer.headers["content-type"].startswith("text/csv")
    rows = {(row["part"], row["key"]): row for row in csv.DictReader(answer.text.splitlines())}
    for part, field in (("tap", "by_tap"), ("beverage", "by_beverage"), ("method", "by_method"), ("operator", "by_operator")):
        for key, sums in report[field].items():
            assert {name: int(rows[part, key if key != "-" else "'-"][name]) for name in sums} == sums
    assert rows["shift", "sold"]["sold_minor"] == str(report["totals"]["sold_minor"])
    assert rows["beverage", 'Pils, "old"']["flowed_ml"] == "350"
