"""An incident is claimed by a person and ended by a resolution that books what it says."""

import asyncio
from uuid import UUID, uuid4

import pytest

from tapwire_contracts.reasons import Resolution
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.errors import NotFound
from tapwire_core.services.flows import record_flow
from tapwire_core.services.incidents import (
    AlreadyClaimed,
    AlreadyResolved,
    AmountRequired,
    GuestRequired,
    claim_incident,
    resolve_incident,
)
from tapwire_core.services.money import top_up
from tapwire_core.services.nodes import ask_for_reports
from tapwire_core.services.pour_recovery import force_unlock, reconcile_pour
from tapwire_core.services.visits import PourPending
from tests.venue import OPERATOR, RAW, Guest, Venue


async def _late_mismatch(venue: Venue, balance_minor: int) -> tuple[Guest, UUID]:
    """A guest, unlocked by force, whose tap then reports 300 ml, worth 150.00."""
    ann = await venue.guest(balance_minor=balance_minor)
    grant = await venue.grant(ann)
    await force_unlock(venue.db, OPERATOR, ann.visit_id, reason="the node is dead")
    await venue.report(grant, 300)
    (incident,) = await venue.incidents("late_mismatch")
    return ann, incident["incident_id"]  # type: ignore[return-value]


async def _booked_minor(venue: Venue, debit: str, credit: str) -> int:
    found = await venue.db.pool.fetchval(
        """SELECT coalesce(sum(amount_minor), 0) FROM money_movements
           WHERE debit_account = $1 AND credit_account = $2 AND incident_id IS NOT NULL""",
        debit,
        credit,
    )
    return int(found)


async def test_a_late_report_can_be_charged_to_the_guest_who_poured(venue: Venue) -> None:
    ann, incident_id = await _late_mismatch(venue, 300_00)

    await resolve_incident(venue.db, OPERATOR, incident_id, resolution=Resolution.CHARGED, comment="she agreed")

    assert await venue.balance(ann) == (150_00, 0)
    assert await venue.incidents("late_mismatch") == []


async def test_charging_takes_at_most_what_is_available_and_the_rest_is_loss(venue: Venue) -> None:
    ann, incident_id = await _late_mismatch(venue, 100_00)

    await resolve_incident(venue.db, OPERATOR, incident_id, resolution=Resolution.CHARGED, comment="she agreed")

    assert await venue.balance(ann) == (0, 0)
    assert await _booked_minor(venue, "overpour_loss", "sales") == 50_00


async def test_writing_off_books_the_loss_and_charges_nobody(venue: Venue) -> None:
    ann, incident_id = await _late_mismatch(venue, 300_00)

    await resolve_incident(venue.db, OPERATOR, incident_id, resolution=Resolution.WRITTEN_OFF, comment="our fault")

    assert await venue.balance(ann) == (300_00, 0)
    assert await _booked_minor(venue, "overpour_loss", "sales") == 150_00


async def test_a_correction_gives_money_back_as_an_adjustment(venue: Venue) -> None:
    ann, incident_id = await _late_mismatch(venue, 300_00)

    await resolve_incident(
        venue.db, OPERATOR, incident_id, resolution=Resolution.CORRECTED, amount_minor=5_00, comment="for the trouble"
    )

    assert await venue.balance(ann) == (305_00, 0)
    assert await _booked_minor(venue, "adjustment", "guest") == 5_00


async def test_flow_that_belongs_to_nobody_can_be_charged_to_a_visit_and_to_nobody_without_one(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=300_00)
    await venue.deliver(venue.tap.report(uuid4(), ann.card_uid, 100))
    (incident,) = await venue.incidents("missing_pending")
    incident_id = incident["incident_id"]
    assert isinstance(incident_id, UUID)
    with pytest.raises(GuestRequired):
        await resolve_incident(venue.db, OPERATOR, incident_id, resolution=Resolution.CHARGED, comment="hers")

    await resolve_incident(venue.db, OPERATOR, incident_id, resolution=Resolution.CHARGED, visit_id=ann.visit_id, comment="hers")

    assert await venue.balance(ann) == (250_00, 0)


async def test_an_amount_must_be_said_where_the_incident_knows_none(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=300_00)
    grant = await venue.grant(ann)
    await venue.report(grant, 3_000, duration_ms=1)
    await force_unlock(venue.db, OPERATOR, ann.visit_id, reason="the meter is broken")
    (incident,) = await venue.incidents("invalid_report")
    incident_id = incident["incident_id"]
    assert isinstance(incident_id, UUID)

    with pytest.raises(AmountRequired):
        await resolve_incident(venue.db, OPERATOR, incident_id, resolution=Resolution.WRITTEN_OFF, comment="no idea")


async def test_resolving_twice_at_once_books_once(venue: Venue) -> None:
    ann, incident_id = await _late_mismatch(venue, 300_00)
    await claim_incident(venue.db, OPERATOR, incident_id)

    results = await asyncio.gather(
        *(resolve_incident(venue.db, OPERATOR, incident_id, resolution=Resolution.CHARGED, comment="click") for _ in range(4)),
        return_exceptions=True,
    )

    assert sum(isinstance(result, AlreadyResolved) for result in results) == 3
    assert await venue.balance(ann) == (150_00, 0)


async def test_what_one_incident_of_a_pour_has_booked_another_does_not_book_again(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=500_00)
    grant = await venue.grant(ann)
    await force_unlock(venue.db, OPERATOR, ann.visit_id, reason="the node is dead")
    await venue.report(grant, 400)
    await venue.report(grant, 410)

    for incident_id in [incident["incident_id"] for incident in await venue.incidents("late_mismatch")]:
        assert isinstance(incident_id, UUID)
        await resolve_incident(venue.db, OPERATOR, incident_id, resolution=Resolution.CHARGED, comment="hers")

    assert await venue.balance(ann) == (295_00, 0)


@pytest.mark.parametrize("resolution", [Resolution.CHARGED, Resolution.WRITTEN_OFF])
async def test_what_the_house_bore_for_a_pour_is_not_booked_again_when_more_is_reported(
    venue: Venue, resolution: Resolution
) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)
    await reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=400, reason="the node is dead")
    await venue.report(grant, 500)
    (incident,) = await venue.incidents("late_mismatch")
    incident_id = incident["incident_id"]
    assert isinstance(incident_id, UUID)
    await top_up(venue.db, OPERATOR, ann.guest_id, 500_00, PaymentMethod.CASH, None)

    await resolve_incident(venue.db, OPERATOR, incident_id, resolution=resolution, comment="500 ml at 500.00 a litre are 250.00")

    assert await venue.sales_minor() == 250_00
    assert await venue.balance(ann) == (450_00 if resolution is Resolution.CHARGED else 500_00, 0)


async def test_what_a_leak_reported_in_parts_is_worth_is_the_sum_of_them(venue: Venue) -> None:
    for volume_ml in (600, 10):
        await record_flow(venue.db, venue.tap.path, venue.tap.flow(volume_ml), RAW)
    (incident,) = await venue.incidents("unattributed_flow")
    incident_id = incident["incident_id"]
    assert isinstance(incident_id, UUID)

    await resolve_incident(venue.db, OPERATOR, incident_id, resolution=Resolution.WRITTEN_OFF, comment="a gasket")

    assert await venue.sales_minor() == 305_00


async def test_a_pour_that_has_not_ended_is_settled_and_not_charged_by_its_incident(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=1_000_00)
    grant = await venue.grant(ann)
    await venue.db.pool.execute("UPDATE pours SET authorized_at = now() - interval '1 hour'")
    await ask_for_reports(venue.db, 10_000)
    (incident,) = await venue.incidents("sync_timeout")
    incident_id = incident["incident_id"]
    assert isinstance(incident_id, UUID)

    for resolution in (Resolution.CHARGED, Resolution.WRITTEN_OFF):
        with pytest.raises(PourPending) as refused:
            await resolve_incident(venue.db, OPERATOR, incident_id, resolution=resolution, amount_minor=150_00, comment="300 ml")
        assert refused.value.facts["pour_ids"] == [grant.pour_id]
    await venue.report(grant, 300)

    assert await venue.balance(ann) == (850_00, 0)


async def test_two_incidents_of_a_pour_that_are_resolved_at_once_book_its_volume_once(venue: Venue) -> None:
    ann, bob = await venue.guest(balance_minor=500_00), await venue.guest(balance_minor=500_00)
    grant = await venue.grant(ann)
    await force_unlock(venue.db, OPERATOR, ann.visit_id, reason="the node is dead")
    await venue.report(grant, 400)
    await venue.report(grant, 410)

    await asyncio.gather(
        *(
            resolve_incident(
                venue.db,
                OPERATOR,
                incident["incident_id"],  # type: ignore[arg-type]
                resolution=Resolution.CHARGED,
                visit_id=visit_id,
                comment="either of them",
            )
            for incident, visit_id in zip(await venue.incidents("late_mismatch"), (ann.visit_id, bob.visit_id), strict=True)
        )
    )

    assert await venue.sales_minor() == 205_00


async def test_a_tap_that_names_another_taps_pour_makes_nobody_pay_for_it(venue: Venue) -> None:
    ann, right = await venue.guest(balance_minor=500_00), await venue.another_tap("right")
    grant = await venue.grant(ann)
    await venue.report(grant, 200, right)
    (incident,) = await venue.incidents("missing_pending")
    incident_id = incident["incident_id"]
    assert isinstance(incident_id, UUID)

    with pytest.raises(GuestRequired):
        await resolve_incident(venue.db, OPERATOR, incident_id, resolution=Resolution.CHARGED, comment="whose?")
    with pytest.raises(NotFound):
        await resolve_incident(venue.db, OPERATOR, incident_id, resolution=Resolution.CHARGED, visit_id=uuid4(), comment="whose?")


async def test_an_incident_that_somebody_owns_is_not_taken_over(venue: Venue) -> None:
    _, incident_id = await _late_mismatch(venue, 300_00)
    await claim_incident(venue.db, OPERATOR, incident_id)
    await claim_incident(venue.db, OPERATOR, incident_id)

    with pytest.raises(AlreadyClaimed):
        await claim_incident(venue.db, Actor("somebody-else"), incident_id)

    assert await venue.audited("incident_claimed") == 1
    assert await venue.audited("incident_raised") == 1
