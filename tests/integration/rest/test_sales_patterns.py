"""Sales by weekday and hour, and beside the same weekday of the week before: on the venue's clock, from the books."""

import csv
from datetime import timedelta

from tapwire_core.db.engine import Database
from tests.integration.rest.test_reports import move_sales
from tests.rest import Rest, done, refusal
from tests.venue import Venue

HEAT_MAP = "/api/reports/sales/heat-map"
COMPARISON = "/api/reports/sales/comparison"
CSV = {"Accept": "text/csv"}


async def sell_at(venue: Venue, owner_db: Database, volume_ml: int, moment: str) -> None:
    """Sell so much at a moment of the past."""
    now = str(await venue.db.pool.fetchval("SELECT now()"))
    guest = await venue.guest(balance_minor=1_000_00)
    await venue.report(await venue.grant(guest), volume_ml)
    await move_sales(owner_db, moment, only_later_than=now)


async def test_a_heat_map_sums_the_hours_of_the_venues_weekdays(rest: Rest, venue: Venue, owner_db: Database) -> None:
    # in Berlin: Friday 20:15, Friday of the next week 20:59, and Saturday 01:30
    for volume_ml, moment in ((100, "2026-06-05T18:15:00Z"), (200, "2026-06-12T18:59:00Z"), (50, "2026-06-05T23:30:00Z")):
        await sell_at(venue, owner_db, volume_ml, moment)

    period = {"from": "2026-06-01", "to": "2026-06-30"}
    found = done(await rest.operator.get(HEAT_MAP, params=period))
    table = await rest.operator.get(HEAT_MAP, params={**period, "venue_id": "bar"}, headers=CSV)

    assert found["items"] == [
        {"weekday": 5, "hour": 20, "pours": 2, "volume_ml": 300, "sold_minor": 150_00},
        {"weekday": 6, "hour": 1, "pours": 1, "volume_ml": 50, "sold_minor": 25_00},
    ]
    assert list(csv.reader(table.text.splitlines()))[1] == ["5", "20", "2", "300", "15000", "EUR"]


async def test_days_stand_beside_the_same_weekday_of_the_week_before(rest: Rest, venue: Venue, owner_db: Database) -> None:
    for volume_ml, moment in ((100, "2026-06-05T18:15:00Z"), (200, "2026-06-12T18:59:00Z"), (50, "2026-06-12T22:30:00Z")):
        await sell_at(venue, owner_db, volume_ml, moment)

    found = done(await rest.operator.get(COMPARISON, params={"from": "2026-06-12", "to": "2026-06-13"}))
    table = await rest.operator.get(COMPARISON, params={"from": "2026-06-12", "to": "2026-06-12"}, headers=CSV)

    friday, saturday = found["items"]
    assert (friday["day"], friday["volume_ml"], friday["sold_minor"]) == ("2026-06-12", 200, 100_00)
    assert (friday["day_before"], friday["volume_before_ml"], friday["sold_before_minor"]) == ("2026-06-05", 100, 50_00)
    assert (saturday["pours"], saturday["pours_before"]) == (1, 0)
    assert list(csv.reader(table.text.splitlines()))[1][:4] == ["2026-06-12", "1", "200", "10000"]


async def test_a_day_that_is_not_over_is_compared_up_to_the_same_time(rest: Rest, venue: Venue, owner_db: Database) -> None:
    now = await venue.db.pool.fetchval("SELECT now()")
    for volume_ml, minutes in ((100, -1), (200, 1)):
        await sell_at(venue, owner_db, volume_ml, (now - timedelta(days=7) + timedelta(minutes=minutes)).isoformat())
    today = now.date()

    period = {"from": str(today - timedelta(days=1)), "to": str(today + timedelta(days=3))}
    found = done(await rest.operator.get(COMPARISON, params=period))

    assert sum(day["volume_before_ml"] for day in found["items"]) == 100
    assert found["items"][-1]["day"] == str(await venue.today()), "no day that has not begun"


async def test_a_comparison_is_of_whole_days_in_order(rest: Rest, venue: Venue) -> None:
    for first, last in (("2026-06-02", "2026-06-01"), ("2025-01-01", "2026-06-01"), ("2026-06-01T00:00:00Z", "2026-06-02")):
        refusal(await rest.operator.get(COMPARISON, params={"from": first, "to": last}), 400, "invalid")
    assert done(await rest.operator.get(COMPARISON, params={"from": "2099-06-01", "to": "2099-06-02"}))["items"] == []
