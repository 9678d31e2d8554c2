"""Holes of the odometer: booked as nobody's, filled by a fact that comes later, or ended by a person's word; and paid for once."""

import json
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace

from tapwire_contracts.messages import PourCompleted, UnattributedFlow
from tapwire_contracts.reasons import Resolution
from tapwire_core.db.engine import Database
from tapwire_core.services.flows import record_flow, refuse_unreadable_flow
from tapwire_core.services.incidents import resolve_incident
from tapwire_core.services.recovery import force_unlock, reconcile_pour
from tests.venue import KEG_ML, OPERATOR, RAW, Venue

MAX_REPORT_ML = 100_000


async def _lost_report(venue: Venue, volume_ml: int, then_ml: int = 0) -> PourCompleted:
    """A report of a pour that the books don't know; they have found what flowed, and some more, as a hole."""
    await venue.idle()
    report = venue.tap.report(uuid4(), "04a1b2c3", volume_ml)
    venue.tap.odometer_ml += then_ml
    await venue.idle()
    return report


async def _write_off(venue: Venue, kind: str, amount_minor: int | None = None) -> None:
    """Write all unresolved incidents of a kind off."""
    for incident in await venue.incidents(kind):
        await resolve_incident(
            venue.db, OPERATOR, _id(incident), resolution=Resolution.WRITTEN_OFF, amount_minor=amount_minor, comment="ours"
        )


async def _sales_minor(venue: Venue) -> int:
    found = await venue.db.pool.fetchval(
        "SELECT coalesce(sum(amount_minor), 0) FROM money_movements WHERE credit_account = 'sales'"
    )
    return int(found)


async def _gaps(venue: Venue) -> list[tuple[int, int]]:
    """What the unresolved incidents of holes say is missing: millilitres, and their worth."""
    details = [json.loads(str(incident["details"])) for incident in await venue.incidents("volume_gap")]
    return sorted((gap["volume_ml"], gap["value_minor"]) for gap in details)


def _id(incident: dict[str, object]) -> UUID:
    incident_id = incident["incident_id"]
    assert isinstance(incident_id, UUID)
    return incident_id


# ── not believed ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("hole_first", [True, False])
async def test_an_unbelievable_report_of_an_unknown_pour_leaves_its_stretch_a_hole(venue: Venue, hole_first: bool) -> None:
    await venue.idle()
    report = venue.tap.report(uuid4(), "04a1b2c3", 1_500, duration_ms=0)
    if hole_first:
        await venue.idle()

    await venue.deliver(report)
    await venue.idle()

    assert await venue.keg_ml() == KEG_ML - 1_500
    assert await _gaps(venue) == [(1_500, 750_00)]


@pytest.mark.parametrize("hole_first", [True, False])
@pytest.mark.parametrize("readable", [True, False])
async def test_an_unbelievable_flow_leaves_its_stretch_a_hole(venue: Venue, hole_first: bool, readable: bool) -> None:
    await venue.idle()
    flow = replace(venue.tap.flow(1_500), duration_ms=0)
    if hole_first:
        await venue.idle()

    await _tell(venue, flow, readable=readable)
    await venue.idle()

    assert await venue.keg_ml() == KEG_ML - 1_500
    assert await _gaps(venue) == [(1_500, 750_00)]


async def _tell(venue: Venue, flow: UnattributedFlow, *, readable: bool) -> None:
    if readable:
        await record_flow(venue.db, venue.tap.path, flow, RAW)
    else:
        await refuse_unreadable_flow(venue.db, venue.tap.path, flow.event_id, "volume_ml", RAW)


@pytest.mark.parametrize(("by_hand", "left_ml"), [("reconcile", KEG_ML - 1_400), ("unlock", KEG_ML - 1_500)])
async def test_an_unbelievable_report_fills_its_hole_if_a_person_has_said_what_flowed(
    venue: Venue, by_hand: str, left_ml: int
) -> None:
    ann = await venue.guest(balance_minor=1000_00)
    await venue.idle()
    grant = await venue.grant(ann)
    report = venue.tap.report(grant.pour_id, ann.card_uid, 1_500, duration_ms=0)
    if by_hand == "reconcile":
        await reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=1_400, reason="seen in the glasses")
    else:
        await force_unlock(venue.db, OPERATOR, ann.visit_id, reason="the node is dead")
    await venue.idle()

    await venue.deliver(report)
    await venue.idle()

    assert await venue.keg_ml() == left_ml


# ── kegs ────────────────────────────────────────────────────────────────────


async def test_holes_that_overdraw_a_keg_together_tell_a_person(db: Database) -> None:
    venue = await Venue.open(db, keg_ml=500)
    await venue.idle()
    venue.tap.odometer_ml += 200
    await record_flow(db, venue.tap.path, venue.tap.flow(120), RAW)
    venue.tap.odometer_ml += 250

    await venue.idle()

    assert await venue.keg_ml() == -70
    assert len(await venue.incidents("keg_overdrawn")) == 1


async def test_a_fact_that_fills_a_hole_overdraws_no_keg(db: Database) -> None:
    venue = await Venue.open(db, keg_ml=500)
    fact = await _lost_report(venue, 300)

    await venue.deliver(fact)

    assert await venue.keg_ml() == 200
    assert await venue.incidents("keg_overdrawn") == []
