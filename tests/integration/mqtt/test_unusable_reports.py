"""Reports that can't be believed or read: a verdict all the same, and the pour waits for a person."""

import pytest

from tapwire_contracts.reasons import DenyReason
from tapwire_core.services.flows import refuse_unreadable_report
from tapwire_core.services.pour_recovery import reconcile_pour
from tests.venue import KEG_ML, OPERATOR, RAW, Venue


@pytest.mark.parametrize(("volume_ml", "duration_ms"), [(100_001, 10_000_000), (3_000, 1_000)])
async def test_a_report_that_cannot_be_believed_leaves_the_pour_to_a_person(venue: Venue, volume_ml: int, duration_ms: int) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)

    verdict = await venue.report(grant, volume_ml, duration_ms=duration_ms)

    assert (verdict.status, verdict.outcome, verdict.reason) == ("rejected", "rejected_invalid_report", "invalid_report")
    assert (await venue.pour(grant.pour_id))["sync_status"] == "pending_sync"
    assert await venue.keg_ml() == KEG_ML
    assert await venue.db.pool.fetchval("SELECT count(*) FROM dead_letters") == 1
    assert len(await venue.incidents("invalid_report")) == 1
    # nothing is concluded from the next question: a report has come
    assert await venue.denial(ann) is DenyReason.PROCESSING_SYNC


async def test_a_report_of_which_only_the_ids_can_be_read_gets_a_verdict_and_waits_for_a_person(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)
    content = {"card_uid": ann.card_uid, "volume_ml": -5}

    verdict = await refuse_unreadable_report(venue.db, venue.tap.path, grant.pour_id, content, "volume_ml < 0", RAW)

    assert '"rejected_invalid_report"' in str(verdict)
    assert await venue.denial(ann) is DenyReason.PROCESSING_SYNC
    await reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=40, reason="seen in the glass")
    assert await venue.balance(ann) == (80_00, 0)


@pytest.mark.parametrize("card_uid", ["04A10001", None, -1, "zzz", {}])
async def test_a_report_whose_card_cannot_be_read_still_proves_that_its_pour_started(venue: Venue, card_uid: object) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)
    content = {"card_uid": card_uid, "odometer_from_ml": 0, "odometer_to_ml": 150, "journal_id": str(venue.tap.journal_id)}

    await refuse_unreadable_report(venue.db, venue.tap.path, grant.pour_id, content, "card_uid", RAW)

    assert await venue.denial(ann) is DenyReason.PROCESSING_SYNC
    await reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=150, reason="seen on the meter")
    venue.tap.odometer_ml = 150
    await venue.idle()
    assert await venue.keg_ml() == KEG_ML - 150


async def test_a_report_with_the_wrong_card_still_proves_that_its_pour_started(venue: Venue) -> None:
    ann, bob = await venue.guest(balance_minor=100_00), await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)

    await venue.deliver(venue.tap.report(grant.pour_id, bob.card_uid, 150))

    assert await venue.denial(bob) is DenyReason.PROCESSING_SYNC
    assert (await venue.pour(grant.pour_id))["sync_status"] == "pending_sync"


async def test_an_unreadable_report_that_is_repeated_fills_no_log(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)

    for _ in range(3):
        await refuse_unreadable_report(venue.db, venue.tap.path, grant.pour_id, {}, "volume_ml", RAW)

    assert await venue.audited("sync_rejected_invalid_report") == 1
    assert len(await venue.incidents("invalid_report")) == 1
