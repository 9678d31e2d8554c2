"""Holes of the odometer: booked as nobody's, filled by a fact that comes later, or ended by a person's word; and paid for once."""

import asyncio
import json
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace

from tapwire_contracts.messages import PourCompleted, UnattributedFlow
from tapwire_contracts.reasons import Resolution
from tapwire_core.db.engine import Database
from tapwire_core.services.flows import record_flow, refuse_unreadable_flow
from tapwire_core.services.incidents import AlreadyResolved, resolve_incident
from tapwire_core.services.pour_recovery import force_unlock, reconcile_pour
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


async def _gaps(venue: Venue) -> list[tuple[int, int]]:
    """Missing volume and worth of the unresolved incidents of holes."""
    details = [json.loads(str(incident["details"])) for incident in await venue.incidents("volume_gap")]
    return sorted((gap["volume_ml"], gap["value_minor"]) for gap in details)


def _id(incident: dict[str, object]) -> UUID:
    incident_id = incident["incident_id"]
    assert isinstance(incident_id, UUID)
    return incident_id


# ── filled ──────────────────────────────────────────────────────────────────


async def test_a_hole_that_is_filled_is_paid_for_by_its_fact_alone(venue: Venue) -> None:
    fact = await _lost_report(venue, 300)

    await venue.deliver(fact)

    assert await _gaps(venue) == []
    assert await venue.audited("incident_resolved") == 1
    await _write_off(venue, "missing_pending")
    assert await venue.sales_minor() == 150_00
    assert await venue.keg_ml() == KEG_ML - 300


async def test_of_a_hole_that_is_filled_in_part_the_rest_is_missing(venue: Venue) -> None:
    fact = await _lost_report(venue, 100, then_ml=200)

    await venue.deliver(fact)

    assert await _gaps(venue) == [(200, 100_00)]
    await _write_off(venue, "volume_gap")
    await _write_off(venue, "missing_pending")
    assert await venue.sales_minor() == 150_00


async def test_a_hole_that_is_filled_piece_by_piece_is_missing_no_more(venue: Venue) -> None:
    await venue.idle()
    flows = [venue.tap.flow(volume_ml) for volume_ml in (70, 7, 23)]
    await venue.idle()

    for flow, left in zip((flows[1], flows[0], flows[2]), ([(93, 46_50)], [(23, 11_50)], []), strict=True):
        await record_flow(venue.db, venue.tap.path, flow, RAW)
        assert await _gaps(venue) == left


@pytest.mark.parametrize("paid_minor", [150_00, 60_00])
async def test_what_was_paid_for_a_hole_is_not_paid_again_for_the_fact_that_fills_it(venue: Venue, paid_minor: int) -> None:
    fact = await _lost_report(venue, 300)
    await _write_off(venue, "volume_gap", paid_minor)

    await venue.deliver(fact)
    await _write_off(venue, "missing_pending")

    assert await _gaps(venue) == []
    assert await venue.sales_minor() == 150_00


async def test_what_was_paid_for_a_hole_is_shared_by_the_facts_that_fill_it(venue: Venue) -> None:
    await venue.idle()
    facts = [venue.tap.report(uuid4(), "04a1b2c3", volume_ml) for volume_ml in (100, 200)]
    await venue.idle()
    await _write_off(venue, "volume_gap", 75_00)

    for fact in facts:
        await venue.deliver(fact)
        await _write_off(venue, "missing_pending")

    assert await venue.sales_minor() == 150_00


async def test_an_incident_that_gathers_leaks_gathers_what_was_paid_for_their_hole(venue: Venue) -> None:
    await venue.idle()
    leaks = [venue.tap.flow(volume_ml) for volume_ml in (100, 50)]
    await venue.idle()
    await _write_off(venue, "volume_gap")
    elsewhere = venue.tap.flow(30)

    for leak in (*leaks, elsewhere):
        await record_flow(venue.db, venue.tap.path, leak, RAW)
    await _write_off(venue, "unattributed_flow")

    assert await venue.sales_minor() == 90_00


async def test_of_a_hole_that_was_paid_and_is_filled_by_what_is_paid_already_a_person_is_told(venue: Venue) -> None:
    ann, bob = await venue.guest(balance_minor=500_00), await venue.guest(balance_minor=500_00)
    await venue.idle()
    grant = await venue.grant(ann)
    report = venue.tap.report(grant.pour_id, ann.card_uid, 300)
    await reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=300, reason="the node is dead")
    await venue.idle()
    (gap,) = await venue.incidents("volume_gap")
    await resolve_incident(
        venue.db, OPERATOR, _id(gap), resolution=Resolution.CHARGED, visit_id=bob.visit_id, comment="he stood there"
    )

    assert (await venue.deliver(report)).outcome == "audit_late_matched"

    (twice,) = await venue.incidents("volume_gap")
    told: dict[str, Any] = json.loads(str(twice["details"]))
    assert (told["paid_minor"], told["paid_by"]) == (150_00, [str(gap["incident_id"])])
    await resolve_incident(
        venue.db,
        OPERATOR,
        _id(twice),
        resolution=Resolution.CORRECTED,
        amount_minor=told["paid_minor"],
        visit_id=bob.visit_id,
        comment="it was hers",
    )
    assert await venue.balance(bob) == (500_00, 0)


@pytest.mark.parametrize("attempt", range(4))
async def test_a_hole_that_is_paid_while_its_fact_comes_is_paid_for_once(venue: Venue, attempt: int) -> None:
    fact = await _lost_report(venue, 300)

    async def pay() -> None:
        with suppress(AlreadyResolved):
            await _write_off(venue, "volume_gap")

    await asyncio.gather(pay(), venue.deliver(fact))
    await _write_off(venue, "missing_pending")

    assert await venue.sales_minor() == 150_00


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


# ── too large ───────────────────────────────────────────────────────────────


async def test_a_hole_that_is_too_large_ends_by_a_persons_word_and_the_next_is_found(venue: Venue) -> None:
    await venue.idle()
    venue.tap.odometer_ml += MAX_REPORT_ML + 1
    await venue.idle()
    (incident,) = await venue.incidents("volume_gap")

    await resolve_incident(venue.db, OPERATOR, _id(incident), resolution=Resolution.NO_ACTION, comment="the meter was swapped")
    await venue.idle()
    assert await venue.incidents("volume_gap") == []
    assert await venue.keg_ml() == KEG_ML

    venue.tap.odometer_ml += 300
    await venue.idle()
    assert await venue.keg_ml() == KEG_ML - 300
    assert await _gaps(venue) == [(300, 150_00)]


async def test_beside_a_hole_that_is_too_large_others_are_booked(venue: Venue) -> None:
    await venue.idle()
    venue.tap.odometer_ml += 40
    await record_flow(venue.db, venue.tap.path, venue.tap.flow(10), RAW)
    venue.tap.odometer_ml += MAX_REPORT_ML + 1
    await record_flow(venue.db, venue.tap.path, venue.tap.flow(10), RAW)
    venue.tap.odometer_ml += 60

    for _ in range(2):
        await venue.idle()

    assert await venue.keg_ml() == KEG_ML - 120
    assert len(await venue.incidents("volume_gap")) == 3


async def test_a_fact_in_a_hole_that_was_ended_by_word_is_booked(venue: Venue) -> None:
    await venue.idle()
    fact = venue.tap.flow(200)
    venue.tap.odometer_ml += MAX_REPORT_ML
    await venue.idle()
    await _write_off(venue, "volume_gap", 1_00)

    await record_flow(venue.db, venue.tap.path, fact, RAW)
    await venue.idle()

    assert await venue.keg_ml() == KEG_ML - 200
    assert await _gaps(venue) == []


async def test_a_meter_that_was_misread_for_a_moment_is_still_watched_after_a_persons_word(venue: Venue) -> None:
    await venue.misread_meter(then_ml=80)

    for incident in await venue.incidents("volume_gap"):
        await resolve_incident(venue.db, OPERATOR, _id(incident), resolution=Resolution.NO_ACTION, comment="a loose wire")
    venue.tap.odometer_ml = 300
    await venue.idle()

    assert await venue.keg_ml() == KEG_ML - 300


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
