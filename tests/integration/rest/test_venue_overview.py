"""The console's page of all venues: each venue's sales of today, running pours, open incidents and offline devices."""

import re
from uuid import uuid4

import msgspec

from tapwire_contracts.reasons import Presence
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Incident
from tapwire_core.db.views.venue_overviews import list_overviews, sum_overviews
from tapwire_core.domain.closed_sets import Role
from tapwire_core.services import devices, shifts, visits
from tapwire_core.services.nodes import note_state
from tests.integration.rest.test_venue_guard import open_client
from tests.rest import Rest
from tests.venue import OPERATOR, Venue


async def test_each_venue_shows_its_day_and_the_sums_are_of_all(venue: Venue, owner_db: Database) -> None:
    db, other = venue.db, await Venue.open(venue.db, "cellar")
    ann, zoe = await venue.guest(balance_minor=500_00), await other.guest(balance_minor=500_00, card_uid="04bb0002")
    await venue.report(await venue.grant(ann), volume_ml=300)
    await other.report(await other.grant(zoe), volume_ml=200)
    await owner_db.pool.execute("ALTER TABLE money_movements DISABLE TRIGGER USER")
    await owner_db.pool.execute("UPDATE money_movements SET created_at = now() - interval '25 hours' WHERE venue_id = 'cellar'")
    await other.report(await other.grant(zoe), volume_ml=100)
    await other.grant(zoe)
    await visits.close_visit(db, OPERATOR, ann.visit_id)
    await shifts.close_shift(db, OPERATOR, "bar")
    async with db.transaction() as store:
        for venue_id in ("cellar", None):
            place = {"cause": f"at {venue_id}", "venue_id": venue_id}
            await store.insert(Incident, incident_id=uuid4(), kind="volume_gap", details={}, **place)

    overviews = (await list_overviews(db)).items

    assert [(one.venue_id, one.shift_open, one.pouring, one.incidents, one.sold_minor) for one in overviews] == [
        ("bar", False, 0, 0, 150_00),
        ("cellar", True, 1, 1, 50_00),
    ]
    sums = await sum_overviews(db)
    assert (sums.venues, sums.pouring, sums.incidents, sums.unplaced, sums.sold_minor) == (2, 1, 1, 1, 200_00)


async def test_the_page_shows_taps_that_pour_and_offline_devices_of_the_operators_venues_alone(rest: Rest, venue: Venue) -> None:
    db, other = venue.db, await Venue.open(venue.db, "cellar")
    await Venue.open(db, "zanzibar")
    await devices.add_device(db, OPERATOR, str(other.tap.path))
    await note_state(db, other.tap.path, msgspec.structs.replace(other.tap.state(), status=Presence.OFFLINE))
    pour = await venue.grant(await venue.guest(balance_minor=50_00))

    async with await open_client(db, "eva", ["bar", "cellar"], Role.OPERATOR) as client:
        page = (await client.get("/all-venues")).text

    assert re.findall(r'id="venue-(\w+)"', page) == ["bar", "cellar"]
    assert re.findall(r'data-tap="([^"]+)" data-pour="([^"]+)"', page) == [("bar/taps/left", str(pour.pour_id))]
    assert "offline: left" in page


async def test_an_operator_of_one_venue_has_no_entry_of_all_venues(rest: Rest, venue: Venue) -> None:
    await Venue.open(venue.db, "cellar")
    async with await open_client(venue.db, "eva", ["bar"]) as one, await open_client(venue.db, "max", None) as every:
        assert 'href="/all-venues"' not in (await one.get("/visits")).text
        assert 'href="/all-venues"' in (await every.get("/visits")).text


async def test_a_venue_is_chosen_together_with_a_page_of_this_site_alone(rest: Rest, venue: Venue) -> None:
    async with await open_client(venue.db, "eva", None) as client:
        for to, opened in (("/attention", "/attention"), ("//elsewhere.example", "/"), ("", "/")):
            answer = await client.post("/venue", data={"venue_id": "bar", "to": to})
            assert (answer.status_code, answer.headers["location"]) == (303, opened)
