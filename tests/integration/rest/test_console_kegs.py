"""Kegs in the console: a delivery is one form, and a keg that comes off is asked for what became of it."""

import csv
import io
from zoneinfo import ZoneInfo

from tapwire_admin.console.formats import Formats
from tapwire_contracts.reasons import Locale
from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import KegFinish
from tapwire_core.services import kegs, taps
from tests.integration.database.test_keg_warnings import on_tap_for, pour
from tests.integration.rest.test_console_forms import engineer
from tests.rest import Rest
from tests.venue import KEG_ML, OPERATOR, Venue


async def test_a_delivery_of_ten_kegs_is_one_form(rest: Rest, db: Database, venue: Venue) -> None:
    tab = await engineer(rest, db)
    form = {
        "beverage_id": str(venue.beverage_id),
        "liters": "30",
        "count": "10",
        "supplier": "Brauhaus",
        "batch": "L 47",
        "cost_minor": "89.50",
    }

    answer = await tab.send("/stock/new-keg", await tab.see("/stock/new-keg"), **form)

    assert answer.status_code == 200
    rows = await db.pool.fetch("SELECT initial_volume_ml, supplier, batch, cost_minor FROM kegs WHERE supplier IS NOT NULL")
    assert [tuple(row) for row in rows] == [(30_000, "Brauhaus", "L 47", 8_950)] * 10


async def test_the_likely_finish_of_the_last_keg_stands_first(rest: Rest, db: Database, venue: Venue) -> None:
    await kegs.create_keg(db, OPERATOR, beverage_id=venue.beverage_id, initial_volume_ml=KEG_ML)
    tab, at = await engineer(rest, db), "/taps/bar/left/actions"
    full = (await rest.nobody.get(at, headers=tab.headers())).text
    await kegs.correct_stock(db, OPERATOR, venue.keg_id, KEG_ML * 9 // 10, "sold elsewhere")
    low = (await rest.nobody.get(at, headers=tab.headers())).text

    assert 'value="swapped" checked' in full
    assert full.index('value="swapped"') < full.index('value="kicked"')
    assert "takes a shift lead" in full
    assert 'value="kicked" checked' in low
    assert low.index('value="kicked"') < low.index('value="swapped"')
    assert "takes a shift lead" not in low


async def test_a_kicked_keg_shows_its_yield_when_the_next_one_is_on(rest: Rest, db: Database, venue: Venue) -> None:
    fresh = await kegs.create_keg(db, OPERATOR, beverage_id=venue.beverage_id, initial_volume_ml=1_000)
    await taps.put_keg(db, OPERATOR, venue.tap.path, fresh)
    ann = await venue.guest(balance_minor=10_000_000)
    await venue.report(await venue.grant(ann), 972)
    tab = await engineer(rest, db)
    shown = await tab.see("/taps/bar/left/actions")

    answer = await tab.send("/taps/bar/left/keg", shown, keg_id=str(venue.keg_id), finish="kicked")

    assert answer.status_code == 200
    assert "97.2" in answer.text + str(answer.headers)
    finish = await db.pool.fetchval("SELECT finish FROM kegs WHERE keg_id = $1", fresh)
    assert finish == "kicked"
    page = (await rest.nobody.get(f"/reports/kegs/{fresh}", headers=tab.headers())).text
    assert "97.2" in page


async def test_the_keg_report_and_a_kegs_volume_have_table_and_csv(rest: Rest, db: Database, venue: Venue) -> None:
    await kegs.correct_stock(db, OPERATOR, venue.keg_id, 500, "recounted")
    await taps.take_keg_off(db, OPERATOR, venue.tap.path, finish=KegFinish.RETURNED)
    tab, day = await engineer(rest, db), await venue.today()

    page = await rest.nobody.get("/reports/kegs", headers=tab.headers())
    one = await rest.nobody.get(f"/reports/kegs/{venue.keg_id}", headers=tab.headers())
    tables = {}
    for path in (
        f"/reports/kegs.csv?from={day}&to={day}",
        f"/reports/kegs.csv?from={day}&to={day}&by=beverage",
        f"/reports/kegs/{venue.keg_id}/volumes.csv",
    ):
        answer = await rest.nobody.get(path, headers=tab.headers())
        assert answer.status_code == 200
        tables[path] = list(csv.reader(io.StringIO(answer.text)))

    assert "Beverages side by side" in page.text
    assert "Returned" in page.text
    assert '<path d="M0 0' in one.text
    assert [len(lines) for lines in tables.values()] == [2, 2, 3]
    assert all(len(line) == len(lines[0]) for lines in tables.values() for line in lines)


async def test_a_taps_card_says_when_its_keg_is_empty_once_it_has_a_pace(rest: Rest, db: Database, venue: Venue) -> None:
    tab = await engineer(rest, db)
    await kegs.correct_stock(db, OPERATOR, venue.keg_id, KEG_ML - 1_000, "sold elsewhere")
    await on_tap_for(venue, 30)
    quiet = (await rest.nobody.get("/", headers=tab.headers())).text
    await pour(venue, 500, minutes_ago=5)

    before = await venue.db.pool.fetchval("SELECT empties_at FROM keg_outlook")
    card = (await rest.nobody.get("/parts/taps?tap=bar/taps/left", headers=tab.headers())).text
    after = await venue.db.pool.fetchval("SELECT empties_at FROM keg_outlook")

    formats = Formats(Locale.EN, "EUR", ZoneInfo("Europe/Berlin"))
    assert "Empty at about" not in quiet
    assert any(f"Empty at about {formats.about(at)} ·" in card for at in (before, after)), card
    assert "500\N{NO-BREAK SPACE}ml per hour" in card
