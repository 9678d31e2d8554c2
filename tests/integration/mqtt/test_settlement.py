"""A report gets its verdict, exactly once: every row of SYSTEM.md, "Settlement", on a real database."""

import asyncio
import random
from uuid import UUID, uuid4

from msgspec.structs import replace

from tapwire_contracts.reasons import DenyReason, EndReason, Resolution
from tapwire_core.services import cards, incidents, kegs, taps
from tapwire_core.services.pour_recovery import force_unlock, reconcile_pour
from tests.venue import KEG_ML, OPERATOR, SimulatedTap, Venue


async def test_a_report_within_the_grant_is_charged_and_frees_the_rest_of_the_hold(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=300_00)
    grant = await venue.grant(ann)

    verdict = await venue.report(grant, 250)

    assert (verdict.status, verdict.outcome, verdict.reason) == ("accepted", "pending_updated_to_synced", None)
    assert (verdict.volume_ml, verdict.amount_minor, verdict.balance_minor) == (250, 125_00, 175_00)
    assert await venue.balance(ann) == (175_00, 0)
    assert await venue.keg_ml() == KEG_ML - 250
    pour = await venue.pour(grant.pour_id)
    assert (pour["sync_status"], pour["volume_ml"], pour["amount_minor"]) == ("synced", 250, 125_00)


async def test_a_repeated_report_gets_the_first_verdict_to_the_letter(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=300_00)
    report = venue.tap.report((await venue.grant(ann)).pour_id, ann.card_uid, 250)
    first = await venue.deliver_raw(report)

    later = [await venue.deliver_raw(replace(report, age_ms=60_000 * again)) for again in range(3)]

    assert later == [first] * 3
    assert await venue.balance(ann) == (175_00, 0)
    assert await venue.audited("pour_synced") == 1


async def test_ten_copies_of_a_report_at_once_are_charged_once(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=300_00)
    report = venue.tap.report((await venue.grant(ann)).pour_id, ann.card_uid, 250)

    verdicts = await asyncio.gather(*(venue.deliver_raw(report) for _ in range(10)))

    assert len(set(verdicts)) == 1
    assert await venue.balance(ann) == (175_00, 0)
    assert await venue.keg_ml() == KEG_ML - 250


async def test_a_report_without_authorization_is_only_audited_and_its_volume_moves_stock(venue: Venue) -> None:
    verdict = await venue.deliver(venue.tap.report(uuid4(), "04a1b2c3", 300))

    assert (verdict.status, verdict.outcome, verdict.reason) == (
        "audit_only",
        "audit_missing_pending",
        "missing_pending_authorize",
    )
    assert await venue.db.pool.fetchval("SELECT count(*) FROM pours") == 0
    assert await venue.audited("sync_missing_pending") == 1
    assert await venue.keg_ml() == KEG_ML - 300
    assert len(await venue.incidents("missing_pending")) == 1


async def test_a_report_without_authorization_and_without_volume_raises_no_incident(venue: Venue) -> None:
    await venue.deliver(venue.tap.report(uuid4(), "04a1b2c3", 0))

    assert await venue.audited("sync_missing_pending") == 1
    assert await venue.incidents("missing_pending") == []


async def test_a_report_with_another_guests_card_leaves_the_lease_alone(venue: Venue) -> None:
    ann, bob = await venue.guest(balance_minor=300_00), await venue.guest(balance_minor=300_00)
    grant = await venue.grant(ann)

    verdict = await venue.deliver(venue.tap.report(grant.pour_id, bob.card_uid, 100))

    assert verdict.outcome == "audit_missing_pending"
    assert verdict.balance_minor is None
    assert (await venue.pour(grant.pour_id))["sync_status"] == "pending_sync"
    assert await venue.balance(bob) == (300_00, 0)


async def test_a_report_from_another_tap_leaves_the_lease_alone(venue: Venue) -> None:
    ann, right = await venue.guest(balance_minor=300_00), await venue.another_tap("right")
    grant = await venue.grant(ann)

    verdict = await venue.report(grant, 100, right)

    assert verdict.outcome == "audit_missing_pending"
    assert (await venue.pour(grant.pour_id))["sync_status"] == "pending_sync"


async def test_a_report_of_nothing_voids_the_pour_and_frees_everything(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=300_00)
    grant = await venue.grant(ann)

    verdict = await venue.report(grant, 0)

    assert (verdict.status, verdict.outcome) == ("accepted", "accepted_zero_volume")
    assert (await venue.pour(grant.pour_id))["sync_status"] == "voided"
    assert await venue.balance(ann) == (300_00, 0)
    await venue.grant(ann)


async def test_a_pour_that_never_started_is_voided_whatever_card_its_node_remembers(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=300_00)
    grant = await venue.grant(ann)
    report = venue.tap.report(grant.pour_id, "00000000", 0)

    verdict = await venue.deliver(replace(report, end_reason=EndReason.NEVER_STARTED))

    assert verdict.outcome == "accepted_zero_volume"
    assert (await venue.pour(grant.pour_id))["sync_status"] == "voided"


async def test_an_overpour_that_the_balance_covers_is_charged(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=2000_00)
    grant = await venue.grant(ann)
    assert grant.max_volume_ml == 1000

    verdict = await venue.report(grant, 1030)

    assert verdict.amount_minor == 515_00
    assert await venue.audited("overpour_charged") == 1
    assert await venue.incidents("overpour") == []


async def test_far_over_the_grant_the_grant_is_charged_and_a_person_decides_about_the_rest(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=2000_00)
    grant = await venue.grant(ann)

    verdict = await venue.report(grant, 1200)

    assert (verdict.outcome, verdict.volume_ml, verdict.amount_minor) == ("pending_updated_to_synced", 1200, 500_00)
    assert await venue.balance(ann) == (1500_00, 0)
    assert await venue.keg_ml() == KEG_ML - 1200
    assert await venue.denial(ann) is DenyReason.TAP_LOCKED
    (incident,) = await venue.incidents("overpour")
    await incidents.resolve_incident(
        venue.db, OPERATOR, UUID(str(incident["incident_id"])), resolution=Resolution.CHARGED, comment="drunk"
    )
    assert await venue.balance(ann) == (1400_00, 0)


async def test_a_report_of_more_than_can_have_flowed_since_its_grant_is_refused(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=20_000_00)
    grant = await venue.grant(ann)
    report = replace(venue.tap.report(grant.pour_id, ann.card_uid, 9_000), duration_ms=500_000)

    verdict = await venue.deliver(report)

    assert verdict.outcome == "rejected_invalid_report"
    assert (await venue.balance(ann))[0] == 20_000_00
    assert (await venue.pour(grant.pour_id))["sync_status"] == "pending_sync"


async def test_a_report_that_waited_for_the_network_may_be_as_long_as_it_says(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=20_000_00)
    grant = await venue.grant(ann)
    await venue.db.pool.execute("UPDATE pours SET authorized_at = authorized_at - interval '1 day'")
    report = replace(venue.tap.report(grant.pour_id, ann.card_uid, 5_000), duration_ms=60_000)

    verdict = await venue.deliver(report)

    assert verdict.outcome == "pending_updated_to_synced"


async def test_a_small_overpour_that_is_not_covered_is_written_off(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)
    assert grant.max_volume_ml == 200

    verdict = await venue.report(grant, 230)

    assert (verdict.status, verdict.outcome) == ("accepted", "pending_updated_to_synced")
    assert (verdict.amount_minor, verdict.balance_minor) == (100_00, 0)
    assert await venue.audited("overpour_written_off") == 1
    loss = await venue.db.pool.fetchval("SELECT sum(amount_minor) FROM money_movements WHERE debit_account = 'overpour_loss'")
    assert loss == 15_00
    kinds = await venue.db.pool.fetch("SELECT kind, volume_ml FROM stock_movements ORDER BY kind")
    assert [tuple(row) for row in kinds] == [("overpour", 30), ("sale", 200)]


async def test_a_large_overpour_that_is_not_covered_is_rejected_and_charges_nothing(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)

    verdict = await venue.report(grant, 300)

    assert (verdict.status, verdict.outcome, verdict.reason) == (
        "rejected",
        "rejected_insufficient_funds",
        "insufficient_funds",
    )
    assert await venue.balance(ann) == (100_00, 0)
    pour = await venue.pour(grant.pour_id)
    assert (pour["sync_status"], pour["volume_ml"], pour["amount_minor"]) == ("rejected", 300, 0)
    assert await venue.audited("sync_rejected_insufficient_funds") == 1
    assert await venue.keg_ml() == KEG_ML - 300
    assert await venue.denial(ann) is DenyReason.TAP_LOCKED


async def test_a_late_report_that_matches_the_reconciled_volume_is_closed_silently(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=300_00)
    grant = await venue.grant(ann)
    await reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=200, reason="node is dead")

    verdict = await venue.report(grant, 204)

    assert (verdict.status, verdict.outcome, verdict.reason) == ("audit_only", "audit_late_matched", "late_sync_matched")
    assert await venue.balance(ann) == (200_00, 0)
    assert await venue.keg_ml() == KEG_ML - 204
    assert await venue.incidents("late_mismatch") == []


async def test_a_late_report_that_differs_from_the_reconciled_volume_charges_nothing_and_tells_a_person(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=300_00)
    grant = await venue.grant(ann)
    await reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=200, reason="node is dead")

    verdict = await venue.report(grant, 300)

    assert (verdict.outcome, verdict.reason) == ("audit_late_mismatch", "late_sync_mismatch")
    assert await venue.balance(ann) == (200_00, 0)
    assert await venue.keg_ml() == KEG_ML - 300
    assert len(await venue.incidents("late_mismatch")) == 1


async def test_a_late_report_of_a_voided_pour_is_recorded_and_moves_stock(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=300_00)
    grant = await venue.grant(ann)
    await force_unlock(venue.db, OPERATOR, ann.visit_id, reason="guest wants to go home")

    verdict = await venue.report(grant, 300)

    assert (verdict.outcome, verdict.reason) == ("audit_late_recorded", "late_sync_mismatch")
    assert await venue.balance(ann) == (300_00, 0)
    assert await venue.keg_ml() == KEG_ML - 300
    assert await venue.audited("late_sync_mismatch") == 1


async def test_another_report_of_a_settled_pour_charges_nothing_and_stock_follows_the_largest(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=300_00)
    grant = await venue.grant(ann)
    await venue.report(grant, 200)

    verdict = await venue.report(grant, 260)

    assert verdict.outcome == "audit_late_recorded"
    assert await venue.balance(ann) == (200_00, 0)
    assert await venue.keg_ml() == KEG_ML - 260
    smaller = await venue.report(grant, 100)
    assert smaller.outcome == "audit_late_recorded"
    assert await venue.keg_ml() == KEG_ML - 260


async def test_a_keg_below_zero_is_an_incident_and_never_a_failing_report(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=2000_00)
    await kegs.correct_stock(venue.db, OPERATOR, venue.keg_id, KEG_ML - 100, "nearly empty")
    grant = await venue.grant(ann)
    assert grant.max_volume_ml == 100

    verdict = await venue.report(grant, 120)

    assert verdict.outcome == "pending_updated_to_synced"
    assert await venue.keg_ml() == -20
    assert len(await venue.incidents("keg_overdrawn")) == 1
    assert await venue.denial(ann) is DenyReason.KEG_EMPTY


async def test_the_keg_of_the_grant_moves_when_the_keg_was_swapped_mid_pour(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=300_00)
    grant = await venue.grant(ann)
    fresh = await kegs.create_keg(
        venue.db, OPERATOR, venue_id=venue.venue_id, beverage_id=venue.beverage_id, initial_volume_ml=30_000
    )
    await taps.take_keg_off(venue.db, OPERATOR, venue.tap.path)
    await taps.put_keg(venue.db, OPERATOR, venue.tap.path, fresh)

    await venue.report(grant, 100)

    assert await venue.keg_ml() == KEG_ML - 100
    assert await venue.db.pool.fetchval("SELECT book_volume_ml FROM kegs WHERE keg_id = $1", fresh) == 30_000


async def test_a_card_lost_mid_pour_stops_the_pour_and_charges_the_guest_who_was_granted(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=300_00)
    grant = await venue.grant(ann)
    await cards.report_card_lost(venue.db, OPERATOR, ann.card_uid, "stolen")

    commands = await venue.db.pool.fetch("SELECT payload FROM command_outbox WHERE payload IS NOT NULL")
    assert any('"stop_pour"' in row["payload"] and str(grant.pour_id) in row["payload"] for row in commands)
    verdict = await venue.report(grant, 100)

    assert verdict.outcome == "pending_updated_to_synced"
    assert await venue.balance(ann) == (250_00, 0)


async def test_two_hundred_settlements_of_one_keg_at_once_add_up(venue: Venue) -> None:
    guests = [await venue.guest(balance_minor=100_00) for _ in range(20)]
    at = [SimulatedTap(venue.tap.path) for _ in guests]
    # nobody was authorised, so all of it comes out of the keg that is on the one tap
    reports = [
        (tap.report(uuid4(), guest.card_uid, 10 + number), tap)
        for number, (guest, tap) in enumerate(zip(guests, at, strict=True))
        for _ in range(10)
    ]
    random.Random(7).shuffle(reports)

    await asyncio.gather(*(venue.deliver(report, tap) for report, tap in reports))

    assert await venue.keg_ml() == KEG_ML - sum(report.volume_ml for report, _ in reports)
