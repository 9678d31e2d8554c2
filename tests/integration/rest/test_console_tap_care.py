"""A tap's page: cleanings and calibrations are recorded in one form each, codes are shown once, and the log can be printed."""

import re

from tapwire_admin.console.formats import Formats
from tapwire_contracts.reasons import Locale
from tapwire_core.db.engine import Database
from tapwire_core.domain.calibrations import Measurement
from tapwire_core.services.calibrations import calibrate_by_code
from tapwire_core.services.cleanings import raise_due_cleanings
from tapwire_core.services.flows import record_flow
from tests.integration.rest.test_cleanings import cleaning_flow, let_interval_pass
from tests.integration.rest.test_console_forms import engineer
from tests.rest import Rest, done
from tests.venue import RAW, Venue

TAP = "/taps/bar/left"


async def test_a_cleaning_is_recorded_in_one_form_and_ends_what_was_overdue(rest: Rest, db: Database, venue: Venue) -> None:
    tab = await engineer(rest, db)
    interval = await tab.send(f"{TAP}/interval", await tab.see(f"{TAP}/interval"), cleaning_interval_days="7")
    assert interval.headers["HX-Redirect"] == TAP
    await let_interval_pass(venue, 7)
    await raise_due_cleanings(db)

    attention = (await rest.nobody.get("/attention", headers=tab.headers())).text
    overdue = (await rest.nobody.get(TAP, headers=tab.headers())).text
    cleaned = await tab.send(f"{TAP}/clean", await tab.see(f"{TAP}/clean"), kind="caustic", note="Tank 2")

    assert f'hx-get="{TAP}/clean"' in attention
    assert "overdue since" in overdue
    assert cleaned.headers["HX-Redirect"] == TAP
    page = (await rest.nobody.get(TAP, headers=tab.headers())).text
    assert "overdue since" not in page
    assert "Caustic cleaning" in page
    assert "Tank 2" in page
    (incident,) = done(await rest.operator.get("/api/incidents", params={"kind": "cleaning_due"}))["items"]
    assert incident["status"] == "resolved"
    await tab.send(f"{TAP}/interval", await tab.see(f"{TAP}/interval"))
    assert done(await rest.operator.get(f"/api{TAP}"))["cleaning_interval_days"] is None


async def test_an_overdue_cleaning_can_only_be_ended_without_a_booking(rest: Rest, db: Database, venue: Venue) -> None:
    tab = await engineer(rest, db)
    await tab.send(f"{TAP}/interval", await tab.see(f"{TAP}/interval"), cleaning_interval_days="7")
    await let_interval_pass(venue, 7)
    await raise_due_cleanings(db)
    incident_id = await db.pool.fetchval("SELECT incident_id FROM incidents")

    dialog = (await rest.nobody.get(f"/attention/{incident_id}/resolve", headers=tab.headers())).text

    assert re.findall('name="resolution" value="([a-z_]+)"', dialog) == ["no_action"]
    assert "amount_minor" not in dialog


async def test_a_code_is_shown_once_and_books_what_the_node_measured(rest: Rest, db: Database, venue: Venue) -> None:
    tab = await engineer(rest, db)

    dialog = await tab.send(f"{TAP}/calibration-code", await tab.see(f"{TAP}/calibrate"))
    (code,) = re.findall("<code[^>]* data-code>([A-Z0-9-]+)</code>", dialog.text)
    await calibrate_by_code(db, code, Measurement(1_000, 1_020, 450))

    page = (await rest.nobody.get(TAP, headers=tab.headers())).text
    assert 'data-factor="459"' in page
    assert "450 → 459" in page
    assert code not in page


async def test_a_calibration_of_the_form_and_a_typed_factor_are_rows_of_the_history(rest: Rest, db: Database, venue: Venue) -> None:
    tab = await engineer(rest, db)
    shown = await tab.see(f"{TAP}/calibrate")
    measured = {"reference_ml": "1000", "metered_ml": "1020", "pulses_per_liter": "450", "note": "a bucket"}

    assert (await tab.send(f"{TAP}/calibrate", shown, **measured)).headers["HX-Redirect"] == TAP
    outdated = await tab.send(f"{TAP}/calibrate", shown, **measured)
    typed = await tab.send(f"{TAP}/factor", await tab.see(f"{TAP}/calibrate"), pulses_per_liter="500", reason="a new meter")
    unexplained = await tab.send(f"{TAP}/factor", await tab.see(f"{TAP}/calibrate"), pulses_per_liter="510")

    assert 'data-refused="calibration_outdated"' in outdated.text
    assert typed.headers["HX-Redirect"] == TAP
    assert 'data-refused="reason_required"' in unexplained.text
    page = (await rest.nobody.get(TAP, headers=tab.headers())).text
    assert "459 → 500" in page
    assert "a new meter" in page
    audit = (await rest.nobody.get("/audit", headers=tab.headers())).text
    assert "450 → 459 · a bucket" in audit
    table = (await rest.nobody.get(f"{TAP}/calibrations.csv", headers=tab.headers())).text
    assert table.count("\r\n") == 3
    assert 'Number,Tap,"In the vessel, ml","Counted by the meter, ml",Pulses per litre before' in table


async def test_the_log_has_every_tap_with_its_cleanings_of_the_period(rest: Rest, db: Database, venue: Venue) -> None:
    tab = await engineer(rest, db)
    await venue.another_tap("right")
    await record_flow(db, venue.tap.path, cleaning_flow(venue, 2_000), RAW)

    log = (await rest.nobody.get("/cleaning-log", headers=tab.headers())).text
    earlier = (await rest.nobody.get("/cleaning-log?from=2024-01-01&to=2024-01-31", headers=tab.headers())).text
    wrong = await rest.nobody.get("/cleaning-log?from=2024-01-01&to=2026-01-31", headers=tab.headers())

    assert re.findall('data-log="([^"]+)"', log) == ["bar/taps/left", "bar/taps/right"]
    assert "Measured at the tap" in log
    assert Formats(Locale.EN, "EUR").volume(2_000) in log
    assert log.count("No cleaning in this period.") == 1
    assert earlier.count("No cleaning in this period.") == 2
    assert "No cleaning in this period." not in wrong.text
    assert 'data-refused="invalid"' in wrong.text
