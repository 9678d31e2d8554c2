"""Kegs in the console: a delivery is one form, and a keg that comes off is asked for what became of it."""

import csv
import html
import io
import re
from zoneinfo import ZoneInfo

from tapwire_admin.console.formats import Formats
from tapwire_contracts.reasons import Locale
from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import KegFinish
from tapwire_core.services import kegs, taps
from tests.integration.database.test_keg_warnings import on_tap_for, pour
from tests.integration.rest.test_console_forms import engineer
from tests.rest import Rest, done, refusal
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


async def test_the_papers_of_a_keg_are_changed_in_one_form_and_audited(rest: Rest, db: Database, venue: Venue) -> None:
    tab = await engineer(rest, db)
    at = f"/stock/kegs/{venue.keg_id}"

    async def papers() -> str:
        dialog = (await rest.nobody.get(at, headers=tab.headers())).text
        form = dialog.split(f'hx-post="{at}/delivery"')[1].split("</form>")[0]
        return html.unescape(re.findall(r'name="shown" value="([^"]*)"', form)[0])

    stated = {"supplier": "Brauhaus", "batch": "L 48", "best_before": "2027-03-01", "cost_minor": "0", "keg_deposit_minor": "30,00"}
    first = await papers()
    await tab.send(f"{at}/delivery", first, **stated)
    keg = done(await rest.operator.get(f"/api/kegs/{venue.keg_id}"))
    stale = await tab.send(f"{at}/delivery", first, **{**stated, "batch": "L 49"})
    emptied = await tab.send(f"{at}/delivery", await papers(), supplier="Brauhaus")
    bare = done(await rest.operator.get(f"/api/kegs/{venue.keg_id}"))

    known = {"supplier": "Brauhaus", "batch": "L 48", "best_before": "2027-03-01", "cost_minor": 0, "keg_deposit_minor": 30_00}
    assert {name: keg[name] for name in known} == known
    assert 'data-refused="changed_meanwhile"' in stale.text
    assert emptied.status_code == 200
    assert {name: bare[name] for name in known} == {**dict.fromkeys(known), "supplier": "Brauhaus"}
    audited = [entry["details"] for entry in done(await rest.operator.get("/api/audit?action=keg_changed"))["items"]]
    assert known in audited
    assert dict.fromkeys(["batch", "best_before", "cost_minor", "keg_deposit_minor"]) in audited


async def test_a_venue_says_in_the_console_when_a_keg_is_low(rest: Rest, db: Database, venue: Venue) -> None:
    tab = await engineer(rest, db)
    before = done(await rest.operator.get("/api/venues"))["items"][0]
    form = {name: str(before[name]) for name in ("name", "time_zone", "legal_age")}

    for percent, minutes in (("101", "60"), ("25", "90")):
        shown = await tab.see("/venues/bar/change")
        typed = {**form, "operator_refund_limit_minor": "0", "card_deposit_minor": "0"}
        answer = await tab.send("/venues/bar/change", shown, **typed, keg_low_percent=percent, keg_low_minutes=minutes)
        assert ("data-refused" in answer.text) is (percent == "101")

    bar = done(await rest.operator.get("/api/venues"))["items"][0]
    assert (bar["keg_low_percent"], bar["keg_low_minutes"]) == (25, 90)
    changed = {name for name in before if before[name] != bar[name]}
    assert changed <= {"keg_low_percent", "keg_low_minutes"}


async def test_a_patch_states_and_removes_the_papers_and_names_what_it_does_not_know(rest: Rest, venue: Venue) -> None:
    path = f"/api/kegs/{venue.keg_id}"
    keg = done(await rest.operator.patch(path, json={"supplier": "Brauhaus", "batch": "L 48", "cost_minor": 89_50}))
    bare = done(await rest.operator.patch(path, json={"supplier": None, "cost_minor": None, "keg_deposit_minor": 0}))
    unknown = refusal(await rest.operator.patch(path, json={"suplier": "Brauhaus"}), 400, "invalid")

    assert (keg["supplier"], keg["batch"], keg["cost_minor"]) == ("Brauhaus", "L 48", 89_50)
    assert (bare["supplier"], bare["batch"], bare["cost_minor"], bare["keg_deposit_minor"]) == (None, "L 48", None, 0)
    assert "suplier" in str(unknown)
