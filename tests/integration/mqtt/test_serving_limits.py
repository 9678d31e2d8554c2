"""Serving limits and ages on the database: what counts, from when on, and who may have a visit."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from tapwire_contracts.messages import PourAuthorized, PourDenied
from tapwire_contracts.reasons import DenyReason
from tapwire_core.db.views.visits import get_visit
from tapwire_core.domain.closed_sets import ServingMeasure
from tapwire_core.domain.serving_limits import Allowance, EthanolLimit, ServingLimit, VolumeLimit
from tapwire_core.errors import ReasonRequired
from tapwire_core.services import beverages, guests, pour_recovery, venues, visits
from tapwire_core.services.visits import GuestUnderage, NoServingLimit, Party, VisitAlreadyActive, VisitNotActive
from tests.venue import OPERATOR, Guest, Venue

LITER_MINOR = 500_00


async def limit(venue: Venue, limit: ServingLimit | None) -> None:
    """The venue's limit from now on."""
    await venues.change_venue(venue.db, OPERATOR, venue.venue_id, serving_limit=limit)


async def pour(venue: Venue, guest: Guest, volume_ml: int) -> PourAuthorized:
    """A guest pours so much."""
    grant = await venue.grant(guest)
    await venue.report(grant, volume_ml)
    return grant


async def reopen(venue: Venue, guest: Guest, party: Party) -> Guest:
    """Close the guest's visit and open another one with the same card."""
    await visits.close_visit(venue.db, OPERATOR, guest.visit_id)
    opened = await visits.open_and_assign_card(venue.db, OPERATOR, venue.venue_id, guest.guest_id, guest.card_uid, party)
    return Guest(guest.guest_id, opened.visit_id, guest.card_uid)


async def age(venue: Venue, pour_id: UUID, minutes: int) -> None:
    """A pour was authorised that long ago."""
    await venue.db.pool.execute(
        "UPDATE pours SET authorized_at = now() - $2::interval WHERE pour_id = $1", pour_id, timedelta(minutes=minutes)
    )


async def allowance(venue: Venue, guest: Guest) -> Allowance | None:
    """What the guest's visit shows."""
    shown = await get_visit(venue.db, guest.visit_id)
    assert shown
    return shown.allowance


async def test_a_guest_gets_the_limit_and_after_a_look_gets_it_again(venue: Venue) -> None:
    await limit(venue, VolumeLimit(limit_ml=700))
    ann = await venue.guest(balance_minor=2_000_00)
    await pour(venue, ann, 500)

    second = await venue.grant(ann)
    assert (second.max_volume_ml, second.display.allowance_left_ml) == (200, 200)
    await venue.report(second, 210)

    refused = await venue.ask(venue.tap.question(ann.card_uid))
    assert isinstance(refused, PourDenied)
    assert (refused.reason, refused.display.allowance_left_ml) == (DenyReason.SERVING_LIMIT_REACHED, 0)
    assert (refused.display.guest_first_name, refused.display.balance_minor) == ("Ann", None)
    assert await allowance(venue, ann) == Allowance(measure=ServingMeasure.VOLUME, limit=700, used=710, left=0)

    await visits.rearm(venue.db, OPERATOR, ann.visit_id, "she is fine")

    assert (await venue.grant(ann)).max_volume_ml == 700
    audited = await venue.db.pool.fetchval("SELECT details FROM audit WHERE action = 'serving_limit_rearmed'")
    assert '"used": 710' in audited
    await venue.books_balance()


async def test_without_a_limit_nothing_is_counted_and_nothing_can_be_rearmed(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=1_000_00)

    assert (await venue.grant(ann)).display.allowance_left_ml is None
    assert await allowance(venue, ann) is None
    with pytest.raises(NoServingLimit):
        await visits.rearm(venue.db, OPERATOR, ann.visit_id, "why not")


async def test_a_new_limit_counts_what_was_poured_before_it(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=1_000_00)
    await pour(venue, ann, 500)

    await limit(venue, VolumeLimit(limit_ml=500))

    assert await venue.denial(ann) is DenyReason.SERVING_LIMIT_REACHED


async def test_another_visit_does_not_set_the_count_back_and_another_venue_has_its_own(venue: Venue) -> None:
    await limit(venue, VolumeLimit(limit_ml=600))
    ann = await venue.guest(balance_minor=1_000_00)
    await pour(venue, ann, 500)
    await visits.rearm(venue.db, OPERATOR, ann.visit_id, "fine")
    await pour(venue, ann, 400)

    ann = await reopen(venue, ann, Party())

    assert (await venue.grant(ann)).max_volume_ml == 200
    await venue.idle()
    pub = await Venue.open(venue.db, "pub")
    await limit(pub, VolumeLimit(limit_ml=600))
    await pour_recovery.force_unlock(venue.db, OPERATOR, ann.visit_id, reason="the guest moved on")
    await visits.close_visit(venue.db, OPERATOR, ann.visit_id)
    opened = await visits.open_and_assign_card(venue.db, OPERATOR, pub.venue_id, ann.guest_id, ann.card_uid)
    there = await get_visit(venue.db, opened.visit_id)
    assert there
    assert there.allowance
    assert there.allowance.used == 0


async def test_the_window_forgets_what_is_older(venue: Venue) -> None:
    await limit(venue, VolumeLimit(limit_ml=1_000, window_minutes=60))
    ann = await venue.guest(balance_minor=2_000_00)
    old, recent = await pour(venue, ann, 400), await pour(venue, ann, 500)
    await age(venue, old.pour_id, 61)
    await age(venue, recent.pour_id, 59)

    assert (await venue.grant(ann)).max_volume_ml == 500
    shown = await allowance(venue, ann)
    assert shown
    resets_at = await venue.db.pool.fetchval(
        "SELECT authorized_at + interval '1 hour' FROM pours WHERE pour_id = $1", recent.pour_id
    )
    assert (shown.used, shown.resets_at) == (1_000, resets_at)


async def test_what_counts_is_what_the_keg_gave_whatever_became_of_the_pour(venue: Venue) -> None:
    await limit(venue, VolumeLimit(limit_ml=5_000))
    ann = await venue.guest(balance_minor=1_000_00)
    typed = await venue.grant(ann)
    await pour_recovery.reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=200, reason="no report")
    shown = await allowance(venue, ann)
    assert shown
    assert shown.used == 200

    await venue.report(typed, 350)
    voided = await venue.grant(ann)
    shown = await allowance(venue, ann)
    assert shown
    assert shown.used == 350 + voided.max_volume_ml
    await pour_recovery.force_unlock(venue.db, OPERATOR, ann.visit_id, reason="no report")
    shown = await allowance(venue, ann)
    assert shown
    assert shown.used == 350

    await venue.report(voided, 90)
    shown = await allowance(venue, ann)
    assert shown
    assert shown.used == 440


async def test_what_was_pending_at_the_rearm_counts_after_it_and_what_had_ended_does_not(venue: Venue) -> None:
    await limit(venue, VolumeLimit(limit_ml=1_000))
    ann = await venue.guest(balance_minor=1_000_00)
    ended = await pour(venue, ann, 300)
    running = await venue.grant(ann)

    await visits.rearm(venue.db, OPERATOR, ann.visit_id, "fine")
    await venue.report(running, 250)
    await venue.report(ended, 320)

    shown = await allowance(venue, ann)
    assert shown
    assert shown.used == 250


async def test_by_ethanol_the_strength_of_each_pour_counts(venue: Venue) -> None:
    await beverages.change_beverage(venue.db, OPERATOR, venue.beverage_id, abv=Decimal("5.0"))
    await limit(venue, EthanolLimit(limit_mg=30_000))
    ann = await venue.guest(balance_minor=2_000_00)
    await pour(venue, ann, 500)
    await beverages.change_beverage(venue.db, OPERATOR, venue.beverage_id, abv=Decimal("9.99"))

    grant = await venue.grant(ann)

    assert await allowance(venue, ann) is not None
    assert grant.max_volume_ml == 130  # 10,275 mg at 78.8211 mg a millilitre
    await venue.report(grant, 130)
    await beverages.change_beverage(venue.db, OPERATOR, venue.beverage_id, abv=Decimal(0))
    assert (await venue.grant(ann)).display.allowance_left_ml is None
    await venue.report((await venue.grant(ann)), 0)
    await beverages.change_beverage(venue.db, OPERATOR, venue.beverage_id, abv=None)
    assert await venue.denial(ann) is DenyReason.TAP_NOT_CONFIGURED


async def test_a_group_shares_a_larger_limit_and_growing_needs_a_reason(venue: Venue) -> None:
    await limit(venue, VolumeLimit(limit_ml=500))
    ann = await venue.guest(balance_minor=2_000_00)
    await pour(venue, ann, 500)
    with pytest.raises(ReasonRequired):
        await reopen(venue, ann, Party(patrons=3))

    opened = await visits.open_and_assign_card(
        venue.db, OPERATOR, venue.venue_id, ann.guest_id, ann.card_uid, Party(patrons=3, reason="two friends came")
    )

    assert (await venue.grant(ann)).max_volume_ml == 1_000
    shown = await get_visit(venue.db, opened.visit_id)
    assert shown
    assert (shown.patrons, shown.allowance and shown.allowance.limit) == (3, 1_500)
    audited = await venue.db.pool.fetchval("SELECT details::text FROM audit WHERE details->>'reason' = 'two friends came'")
    assert '"patrons": 3' in audited
    with pytest.raises(VisitAlreadyActive):
        await visits.open_and_assign_card(
            venue.db, OPERATOR, venue.venue_id, ann.guest_id, ann.card_uid, Party(patrons=2, reason="one left")
        )


async def test_a_closed_visit_is_not_rearmed(venue: Venue) -> None:
    await limit(venue, VolumeLimit(limit_ml=500))
    ann = await venue.guest()
    await visits.close_visit(venue.db, OPERATOR, ann.visit_id)

    with pytest.raises(VisitNotActive):
        await visits.rearm(venue.db, OPERATOR, ann.visit_id, "too late")


async def test_a_minor_gets_a_visit_without_alcohol_where_the_venue_allows_it(venue: Venue) -> None:
    today = await venue.today()
    young = await guests.create_guest(venue.db, OPERATOR, first_name="Tim", birth_date=today - timedelta(days=365 * 15))
    with pytest.raises(GuestUnderage):
        await visits.open_visit(venue.db, OPERATOR, venue.venue_id, young)
    await venues.change_venue(venue.db, OPERATOR, venue.venue_id, minors_allowed=True)
    with pytest.raises(GuestUnderage):
        await visits.open_visit(venue.db, OPERATOR, venue.venue_id, young, Party(alcohol_allowed=True))

    opened = await visits.open_and_assign_card(venue.db, OPERATOR, venue.venue_id, young, "04aabbcc", Party(alcohol_allowed=False))
    tim = Guest(young, opened.visit_id, "04aabbcc")

    refused = await venue.ask(venue.tap.question(tim.card_uid))
    assert isinstance(refused, PourDenied)
    assert (refused.reason, refused.display.guest_first_name) == (DenyReason.AGE_RESTRICTED, None)
    with pytest.raises(GuestUnderage):
        await visits.set_alcohol(venue.db, OPERATOR, tim.visit_id, allowed=True, reason="he says he is 18")
    await beverages.change_beverage(venue.db, OPERATOR, venue.beverage_id, abv=Decimal(0))
    assert await venue.denial(tim) is DenyReason.INSUFFICIENT_FUNDS


async def test_alcohol_is_taken_from_a_visit_and_given_back(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=1_000_00)
    await visits.set_alcohol(venue.db, OPERATOR, ann.visit_id, allowed=False, reason="she drives")
    assert await venue.denial(ann) is DenyReason.AGE_RESTRICTED

    await visits.set_alcohol(venue.db, OPERATOR, ann.visit_id, allowed=True, reason="she walks")

    assert (await venue.grant(ann)).max_volume_ml == 1_000
    assert await venue.audited("alcohol_changed") == 2
