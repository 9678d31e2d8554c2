"""Serving limits and ages on the console: settings, rings, and the two buttons of a visit."""

from datetime import timedelta
from decimal import Decimal

import pytest

from tapwire_core.db.engine import Database
from tapwire_core.domain.serving_limits import EthanolLimit, ServingLimit, VolumeLimit
from tapwire_core.services import beverages, guests, venues
from tests.integration.rest.test_console_forms import Tab, engineer
from tests.rest import Rest
from tests.venue import OPERATOR, Venue

SETTINGS = {"name": "The Bar", "time_zone": "Europe/Berlin", "legal_age": "18", "keg_low_percent": "15", "keg_low_minutes": "60"}


async def limit_of(db: Database) -> object:
    """The venue's limit as its row has it."""
    columns = "serving_limit_measure, serving_limit, serving_limit_window_minutes, minors_allowed"
    return tuple(await db.pool.fetchrow(f"SELECT {columns} FROM venues WHERE venue_id = 'bar'"))


async def test_an_engineer_sets_a_limit_changes_it_and_removes_it(rest: Rest, db: Database, venue: Venue) -> None:
    tab, path = await engineer(rest, db), "/venues/bar/change"

    by_volume = {"measure": "volume", "limit_ml": "946", "limit_g": "nonsense", "window_minutes": "240", "minors_allowed": "true"}
    assert (await tab.send(path, await tab.see(path), **SETTINGS, **by_volume)).status_code == 200
    assert await limit_of(db) == ("volume", 946, 240, True)
    by_ethanol = {"measure": "ethanol", "limit_g": "39,5"}
    assert (await tab.send(path, await tab.see(path), **SETTINGS, **by_ethanol)).status_code == 200
    assert await limit_of(db) == ("ethanol", 39_500, None, False)
    assert "39.5" in (await rest.nobody.get(path, headers=tab.headers())).text
    assert (await tab.send(path, await tab.see(path), **SETTINGS)).status_code == 200
    assert await limit_of(db) == (None, None, None, False)


@pytest.mark.parametrize(
    ("typed", "label"),
    [
        ({"measure": "volume"}, "For each patron, in ml"),
        ({"measure": "ethanol"}, "For each patron, in g"),
        ({"measure": "ethanol", "limit_g": "0"}, "For each patron, in g"),
        ({"measure": "volume", "limit_ml": "0"}, "For each patron, in ml"),
        ({"measure": "volume", "limit_ml": "5", "window_minutes": "0.5"}, "Minutes that a pour counts"),
    ],
)
async def test_a_limit_that_is_none_is_refused(rest: Rest, db: Database, venue: Venue, typed: dict[str, str], label: str) -> None:
    tab, path = await engineer(rest, db), "/venues/bar/change"

    answer = await tab.send(path, await tab.see(path), **SETTINGS, **typed)

    assert 'data-refused="invalid"' in answer.text
    assert label in answer.text
    assert await limit_of(db) == (None, None, None, False)


@pytest.mark.parametrize("limit", [VolumeLimit(limit_ml=500, window_minutes=60), EthanolLimit(limit_mg=20_000)])
async def test_every_page_shows_what_is_left_and_a_press_rearms(
    rest: Rest, db: Database, venue: Venue, limit: ServingLimit
) -> None:
    await beverages.change_beverage(db, OPERATOR, venue.beverage_id, abv=Decimal(5))
    await venues.change_venue(db, OPERATOR, "bar", serving_limit=limit)
    tab, ann = await engineer(rest, db), await venue.guest(balance_minor=1_000_00)
    await venue.report(await venue.grant(ann), 500)

    for path in ("/visits", f"/visits/{ann.visit_id}", f"/guests/{ann.guest_id}", f"/visits/{ann.visit_id}/rearm"):
        page = (await rest.nobody.get(path, headers=tab.headers())).text
        assert (("ring is-empty" in page or "ring is-low" in page) and "Re-arm" in page) or "re-arm" in page, path
    at = f"/visits/{ann.visit_id}/rearm"
    answer = await tab.send(at, await tab.see(at), reason="looked at the guest, all is well")

    assert answer.status_code == 200
    await venue.grant(ann)
    taps = (await rest.nobody.get("/", headers=tab.headers())).text
    assert "is-beside" in taps
    audit = (await rest.nobody.get("/audit", headers=tab.headers())).text
    assert "Visit re-armed" in audit
    assert "all is well · " in audit


async def test_a_tap_without_a_strength_says_so_where_alcohol_is_limited(rest: Rest, db: Database, venue: Venue) -> None:
    tab = await engineer(rest, db)
    assert "strength is missing" not in (await rest.nobody.get("/", headers=tab.headers())).text

    await venues.change_venue(db, OPERATOR, "bar", serving_limit=EthanolLimit(limit_mg=20_000))

    assert "strength is missing" in (await rest.nobody.get("/", headers=tab.headers())).text


async def test_alcohol_is_taken_from_a_visit_by_a_press(rest: Rest, db: Database, venue: Venue) -> None:
    tab, ann = await engineer(rest, db), await venue.guest()
    at = f"/visits/{ann.visit_id}/alcohol"

    first = await tab.see(at)
    assert (await tab.send(at, first, allowed="false", reason="the guest drives")).status_code == 200

    assert "none on this visit" in (await rest.nobody.get(f"/visits/{ann.visit_id}", headers=tab.headers())).text
    assert (await tab.send(at, first, allowed="false", reason="again")).status_code == 409


async def test_a_group_and_a_minor_are_checked_in(rest: Rest, db: Database, venue: Venue) -> None:
    await venues.change_venue(db, OPERATOR, "bar", serving_limit=VolumeLimit(limit_ml=500), minors_allowed=True)
    tab = await engineer(rest, db)
    tim = await guests.create_guest(db, OPERATOR, first_name="Tim", birth_date=await venue.today() - timedelta(days=5_000))
    page = (await rest.nobody.get(f"/check-in?guest_id={tim}", headers=tab.headers())).text
    assert "gets no alcohol" in page
    assert 'name="patrons"' in page

    group = {"guest_id": str(tim), "card_uid": "04a1b2c3", "patrons": "3"}
    answer = await tab.send("/check-in", await tab.see("/check-in"), **group)

    assert "This visit gets no alcohol." in answer.text
    assert tuple(await db.pool.fetchrow("SELECT patrons, alcohol_allowed FROM visits")) == (3, False)


async def test_a_venue_without_limits_asks_for_nothing_new(rest: Rest, db: Database, venue: Venue) -> None:
    tab, ann = await engineer(rest, db), await venue.guest()

    pages = [
        (await rest.nobody.get(path, headers=tab.headers())).text for path in ("/check-in", "/visits", f"/visits/{ann.visit_id}")
    ]

    assert not [page for page in pages if "patrons" in page or "e-arm" in page or 'class="ring' in page]


async def test_a_dialog_keeps_the_limit_that_a_colleague_set_meanwhile(rest: Rest, db: Database, venue: Venue) -> None:
    tab, path = Tab(rest, (await engineer(rest, db)).token), "/venues/bar/change"
    shown = await tab.see(path)
    await venues.change_venue(db, OPERATOR, "bar", serving_limit=VolumeLimit(limit_ml=700))

    renamed = await tab.send(path, shown, **SETTINGS | {"name": "Bar"})
    limited = await tab.send(path, shown, **SETTINGS, measure="volume", limit_ml="300")

    assert renamed.status_code == 200
    assert limited.status_code == 409
    assert await limit_of(db) == ("volume", 700, None, False)
