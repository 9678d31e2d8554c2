"""The console's heat map and comparison with the week before: chart, table and CSV of the same numbers."""

import csv
import io
import re

from tapwire_core.db.engine import Database
from tests.integration.rest.test_console_forms import Tab, engineer
from tests.integration.rest.test_sales_patterns import sell_at
from tests.rest import Rest
from tests.venue import Venue

JUNE = "from=2026-06-01&to=2026-06-30"


async def read(rest: Rest, tab: Tab, path: str) -> str:
    """A page's text."""
    page = await rest.nobody.get(path, headers=tab.headers())
    assert page.status_code == 200, page.text
    return page.text


async def test_the_heat_map_shades_the_hours_and_has_their_csv(rest: Rest, db: Database, venue: Venue, owner_db: Database) -> None:
    # in Berlin: Friday 20:15, and Saturday 22:30
    for volume_ml, moment in ((400, "2026-06-05T18:15:00Z"), (100, "2026-06-06T20:30:00Z")):
        await sell_at(venue, owner_db, volume_ml, moment)
    tab = await engineer(rest, db)

    pages = {of: await read(rest, tab, f"/reports/heat-map?{JUNE}&of={of}") for of in ("sold_minor", "volume_ml", "pours")}
    table = await rest.nobody.get(f"/reports/heat-map.csv?{JUNE}", headers=tab.headers())

    chart = pages["sold_minor"].split('<table class="heat"')[1].split("</table>")[0]
    assert re.findall(r'scope="row">(\d\d:00)', chart) == ["20:00", "21:00", "22:00"], "from the first hour with sales to the last"
    assert re.findall(r'<td class="heat-([1-8])">([\d,]+)</td>', chart) == [("8", "200"), ("2", "50")]
    assert re.findall(r'<td class="heat-([1-8])">1</td>', pages["pours"]) == ["8", "8"]
    assert f"/reports/heat-map.csv?{JUNE.replace('&', '&amp;')}" in pages["volume_ml"]
    assert list(csv.reader(io.StringIO(table.text)))[1:] == [
        ["Fri", "20:00", "1", "400", "200.00"],
        ["Sat", "22:00", "1", "100", "50.00"],
    ]


async def test_the_comparison_draws_each_day_beside_the_week_before(
    rest: Rest, db: Database, venue: Venue, owner_db: Database
) -> None:
    for volume_ml, moment in ((100, "2026-06-05T18:15:00Z"), (150, "2026-06-12T18:59:00Z")):
        await sell_at(venue, owner_db, volume_ml, moment)
    tab = await engineer(rest, db)

    page = await read(rest, tab, "/reports/comparison?from=2026-06-12&to=2026-06-13")
    table = await rest.nobody.get("/reports/comparison.csv?from=2026-06-12&to=2026-06-13", headers=tab.headers())

    assert re.findall(r'class="column-(\w+)" x="0\.\d+" y="[\d.]+" width="0.38" height="([\d.]+)"', page) == [
        ("before", "66.67"),
        ("now", "100.0"),
    ]
    assert "+50.0\N{NO-BREAK SPACE}%" in page
    assert list(csv.reader(io.StringIO(table.text)))[1:] == [
        ["2026-06-12", "1", "150", "75.00", "2026-06-05", "1", "100", "50.00"],
        ["2026-06-13", "0", "0", "0.00", "2026-06-06", "0", "0", "0.00"],
    ]


async def test_patterns_without_sales_say_so_and_refuse_a_moment(rest: Rest, db: Database, venue: Venue) -> None:
    tab = await engineer(rest, db)

    for path in ("/reports/heat-map", "/reports/comparison"):
        assert "Nothing was sold in this period." in await read(rest, tab, path)
        assert path in await read(rest, tab, "/reports")
    at = "/reports/comparison?from=2026-06-01T00:00:00Z&to=2026-06-02"
    assert 'data-refused="invalid"' in await read(rest, tab, at)
