"""Warnings about kegs on taps: each once for good, by whichever worker, and over when the keg comes off."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import pytest

from tapwire_contracts.reasons import Resolution
from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import KegFinish
from tapwire_core.services import kegs, taps, venues
from tapwire_core.services.incidents import NothingToBook, resolve_incident, resolve_incidents_of
from tapwire_core.services.keg_warnings import watch_kegs
from tests.rest import Rest, done
from tests.venue import OPERATOR, PRICE_MINOR, Venue

TAP = "/api/taps/bar/left"


async def leave(venue: Venue, left_ml: int) -> None:
    """Let so much be left in the keg."""
    await kegs.correct_stock(venue.db, OPERATOR, venue.keg_id, await venue.keg_ml() - left_ml, "test")


async def raised(db: Database, kind: str) -> int:
    """How often a kind was ever raised."""
    return int(await db.pool.fetchval("SELECT count(*) FROM incidents WHERE kind = $1", kind))


async def pour(venue: Venue, volume_ml: int, minutes_ago: int) -> UUID:
    """A pour of so long ago."""
    grant = await venue.grant(guest := await venue.guest(balance_minor=volume_ml * PRICE_MINOR // 1000))
    await venue.report(grant, volume_ml)
    statement = "UPDATE pours SET authorized_at = now() - $2 * interval '1 minute' WHERE pour_id = $1"
    await venue.db.pool.execute(statement, grant.pour_id, minutes_ago)
    return guest.visit_id


async def on_tap_for(venue: Venue, minutes: int) -> None:
    """Let the keg be on its tap for so long."""
    statement = "UPDATE kegs SET on_tap_since = now() - $2 * interval '1 minute' WHERE keg_id = $1"
    await venue.db.pool.execute(statement, venue.keg_id, minutes)


async def outlook(venue: Venue) -> Mapping[str, object]:
    """The keg's forecast, with minutes until it is empty."""
    return dict(
        await venue.db.pool.fetchrow("SELECT *, extract(epoch FROM empties_at - now()) / 60 AS minutes FROM keg_outlook LIMIT 1")
    )


async def test_a_keg_at_its_percentage_is_one_incident_for_several_workers(venue: Venue) -> None:
    await leave(venue, 7_501)
    await watch_kegs(venue.db)
    assert await raised(venue.db, "keg_low") == 0

    await leave(venue, 7_500)
    await asyncio.gather(*(watch_kegs(venue.db) for _ in range(8)))

    (incident,) = await venue.incidents("keg_low")
    assert (incident["tap_path"], incident["venue_id"], incident["occurrences"]) == ("bar/taps/left", "bar", 1)
    assert await venue.audited("incident_raised") == 1


async def test_a_low_keg_is_told_once_for_good(venue: Venue) -> None:
    await leave(venue, 100)
    await watch_kegs(venue.db)
    (incident,) = await venue.incidents("keg_low")

    incident_id = UUID(str(incident["incident_id"]))
    await resolve_incident(venue.db, OPERATOR, incident_id, resolution=Resolution.NO_ACTION, comment="seen")
    await watch_kegs(venue.db)
    await taps.take_keg_off(venue.db, OPERATOR, venue.tap.path, finish=KegFinish.SWAPPED)
    await taps.put_keg(venue.db, OPERATOR, venue.tap.path, venue.keg_id)
    await watch_kegs(venue.db)
    await leave(venue, 50_000)
    await watch_kegs(venue.db)
    await leave(venue, 10)
    await watch_kegs(venue.db)

    assert await raised(venue.db, "keg_low") == 1


async def test_the_end_of_a_keg_on_its_tap_ends_its_warnings(venue: Venue) -> None:
    day = await venue.today()
    await kegs.change_keg(venue.db, OPERATOR, venue.keg_id, best_before=day - timedelta(days=1))
    await leave(venue, 100)
    await watch_kegs(venue.db)
    assert len(await venue.incidents("keg_low") + await venue.incidents("keg_expired")) == 2

    await taps.take_keg_off(venue.db, OPERATOR, venue.tap.path)

    assert await venue.incidents("keg_low") + await venue.incidents("keg_expired") == []
    comments = {row["comment"] for row in await venue.db.pool.fetch("SELECT comment FROM incidents")}
    assert (comments, await venue.audited("incident_resolved")) == ({"the keg came off its tap"}, 2)


async def test_pace_is_the_pours_of_an_hour_once_the_keg_is_ten_minutes_on_the_tap(venue: Venue) -> None:
    await pour(venue, 900, minutes_ago=61)
    await pour(venue, 600, minutes_ago=59)
    await pour(venue, 300, minutes_ago=1)
    await on_tap_for(venue, 9)
    assert (await outlook(venue))["ml_per_hour"] is None

    await on_tap_for(venue, 10)

    found = await outlook(venue)
    assert (found["ml_per_hour"], found["is_low"]) == (900, False)
    assert round(float(str(found["minutes"]))) == (50_000 - 1_800) * 60 // 900


@pytest.mark.parametrize(("minutes", "is_low"), [(59, True), (61, False)])
async def test_a_keg_is_low_when_its_pace_empties_it_soon(venue: Venue, minutes: int, *, is_low: bool) -> None:
    await on_tap_for(venue, 30)
    await pour(venue, 1_000, minutes_ago=5)
    await venues.change_venue(venue.db, OPERATOR, "bar", keg_low_percent=0)
    await leave(venue, 1_000 * minutes // 60)

    await watch_kegs(venue.db)

    assert len(await venue.incidents("keg_low")) == is_low


async def test_the_day_after_its_best_before_date_is_the_venues_own(venue: Venue) -> None:
    await kegs.change_keg(venue.db, OPERATOR, venue.keg_id, best_before=await venue.today())
    await watch_kegs(venue.db)
    assert await raised(venue.db, "keg_expired") == 0

    # no clock on earth is as far ahead as this zone's, so it is tomorrow there or the same day
    await venue.db.pool.execute("UPDATE kegs SET best_before = (now() AT TIME ZONE 'Pacific/Kiritimati')::date - 1")
    await venues.change_venue(venue.db, OPERATOR, "bar", time_zone="Pacific/Kiritimati")
    await watch_kegs(venue.db)
    await watch_kegs(venue.db)

    assert await raised(venue.db, "keg_expired") == 1
    guest = await venue.guest(balance_minor=PRICE_MINOR)
    assert (await venue.grant(guest)).max_volume_ml > 0, "an expired keg denies nothing"


async def test_another_date_ends_the_warning_and_is_told_when_it_passes(venue: Venue) -> None:
    day = await venue.today()
    for before, unresolved in ((2, 1), (-3, 0), (1, 1)):
        await kegs.change_keg(venue.db, OPERATOR, venue.keg_id, best_before=day - timedelta(days=before))
        await watch_kegs(venue.db)
        assert len(await venue.incidents("keg_expired")) == unresolved


async def test_there_is_nothing_to_book_for_a_low_keg(venue: Venue) -> None:
    await leave(venue, 100)
    await watch_kegs(venue.db)
    (incident,) = await venue.incidents("keg_low")
    incident_id = UUID(str(incident["incident_id"]))

    for resolution in (Resolution.CHARGED, Resolution.WRITTEN_OFF, Resolution.CORRECTED):
        with pytest.raises(NothingToBook):
            await resolve_incident(venue.db, OPERATOR, incident_id, resolution=resolution, comment="?", amount_minor=1)
    with pytest.raises(NothingToBook):
        await resolve_incidents_of(
            venue.db,
            OPERATOR,
            kind=incident["kind"],  # type: ignore[arg-type]
            tap_path="bar/taps/left",
            resolution=Resolution.WRITTEN_OFF,
            comment="?",
        )
    await resolve_incident(venue.db, OPERATOR, incident_id, resolution=Resolution.NO_ACTION, comment="the next one is cold")

    assert await venue.incidents("keg_low") == []
    await venue.books_balance()


async def test_the_api_states_dates_and_thresholds_and_shows_the_forecast(venue: Venue, rest: Rest) -> None:
    engineer = rest.engineer
    await on_tap_for(venue, 30)
    await pour(venue, 500, minutes_ago=5)

    tap = done(await engineer.get(TAP))
    bar = done(await engineer.patch("/api/venues/bar", json={"keg_low_minutes": 0}))
    body = {"beverage_id": str(venue.beverage_id), "venue_id": "bar", "initial_volume_ml": 30_000, "best_before": "2027-03-01"}
    keg = done(await engineer.post("/api/kegs", json=body), 201)
    path = f"/api/kegs/{keg['keg_id']}"
    changed = done(await engineer.patch(path, json={"best_before": None, "status": "retired"}))

    assert (tap["pace_ml_per_hour"], tap["empties_at"] is not None) == (500, True)
    assert (bar["keg_low_percent"], bar["keg_low_minutes"]) == (15, 0)
    assert (keg["best_before"], changed["best_before"], changed["status"]) == ("2027-03-01", None, "retired")
    for refused in ({}, {"status": None}, {"best_before": "1027-03-01"}):
        assert (await engineer.patch(path, json=refused)).status_code == 400
