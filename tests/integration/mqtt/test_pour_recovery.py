"""Pours without a report: every way out of SYSTEM.md, and none leaves a guest, a tap or an operator stuck."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from msgspec.structs import replace

from tapwire_contracts.messages import PourUnknown
from tapwire_contracts.reasons import Phase, Presence
from tapwire_core.db.engine import Database
from tapwire_core.domain.policy import Policy
from tapwire_core.services import cards, shifts, visits
from tapwire_core.services.books import check_books
from tapwire_core.services.nodes import ask_for_reports, note_pour_unknown, note_state
from tapwire_core.services.pour_recovery import AlreadyReconciled, NotLocked, PourNotPending, force_unlock, reconcile_pour
from tapwire_core.services.restore import begin_after_restore
from tests.venue import KEG_ML, OPERATOR, SimulatedTap, Venue


@pytest.fixture
async def impatient(database_url: str) -> AsyncIterator[Venue]:
    """A venue whose core asks for reports, and calls them overdue, at once."""
    policy = Policy(start_window_ms=1, max_duration_ms=1, sync_timeout_ms=30_001)
    async with Database.open(database_url, policy) as opened:
        yield await Venue.open(opened)
        assert await check_books(opened) == []


async def test_a_pour_without_a_report_is_asked_for_and_not_again_at_once(impatient: Venue) -> None:
    grant = await impatient.grant(await impatient.guest(balance_minor=100_00))
    await asyncio.sleep(0.01)

    asked, again = await ask_for_reports(impatient.db, 60_000), await ask_for_reports(impatient.db, 60_000)

    assert [(pour.pour_id, pour.journal_id) for pour in asked] == [(grant.pour_id, impatient.tap.journal_id)]
    assert again == []
    await impatient.report(grant, 100)
    assert await ask_for_reports(impatient.db, 0) == []


async def test_an_overdue_pour_is_an_incident_that_closes_itself(impatient: Venue) -> None:
    grant = await impatient.grant(await impatient.guest(balance_minor=100_00))
    await impatient.db.pool.execute("UPDATE pours SET authorized_at = now() - interval '1 minute'")

    await ask_for_reports(impatient.db, 0)
    await ask_for_reports(impatient.db, 0)

    (incident,) = await impatient.incidents("sync_timeout")
    assert incident["pour_id"] == grant.pour_id
    await impatient.report(grant, 100)
    assert await impatient.incidents("sync_timeout") == []


async def test_a_tap_that_lost_its_journal_is_an_incident_for_a_person(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)
    unknown = PourUnknown(pour_id=grant.pour_id, journal_id=uuid4())

    await note_pour_unknown(venue.db, venue.tap.path, unknown)
    await note_pour_unknown(venue.db, venue.tap.path, unknown)

    assert len(await venue.incidents("journal_lost")) == 1
    await reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=50, reason="the journal is gone")
    assert await venue.balance(ann) == (75_00, 0)


async def test_a_pour_that_ends_while_its_tap_says_that_it_is_lost_leaves_no_incident(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)
    unknown = PourUnknown(pour_id=grant.pour_id, journal_id=uuid4())

    await asyncio.gather(
        *(note_pour_unknown(venue.db, venue.tap.path, unknown) for _ in range(4)),
        reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=100, reason="the journal is lost"),
        *(note_pour_unknown(venue.db, venue.tap.path, unknown) for _ in range(4)),
    )

    assert await venue.incidents("journal_lost") == []


async def test_a_pour_that_was_asked_for_before_the_clock_was_set_back_is_asked_for(impatient: Venue) -> None:
    await impatient.grant(await impatient.guest(balance_minor=100_00))
    await impatient.db.pool.execute("UPDATE pours SET asked_at = now() + interval '1 day'")
    await asyncio.sleep(impatient.db.policy.start_window_ms / 1_000)

    assert len(await ask_for_reports(impatient.db, 60_000)) == 1


async def test_reconciling_charges_by_the_frozen_price_and_stops_the_node(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)

    await reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=150, reason="no report", pour_id=grant.pour_id)

    pour = await venue.pour(grant.pour_id)
    assert (pour["sync_status"], pour["volume_ml"], pour["amount_minor"]) == ("reconciled", 150, 75_00)
    assert await venue.balance(ann) == (25_00, 0)
    assert await venue.audited("reconcile_done") == 1
    assert await _stops_sent(venue) == 1


async def test_what_was_typed_counts_until_the_first_report_also_after_a_restore(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=1_000_00)
    grant = await venue.grant(ann)
    await begin_after_restore(venue.db, OPERATOR, datetime.now(UTC))

    await reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=500, reason="the tap is away")
    await venue.report(grant, 300)

    assert await venue.keg_ml() == KEG_ML - 300


async def test_reconciling_more_than_the_guest_can_pay_books_the_rest_as_loss(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)

    await reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=400, reason="no report")

    pour = await venue.pour(grant.pour_id)
    assert (pour["amount_minor"], pour["loss_minor"]) == (100_00, 100_00)
    assert await venue.balance(ann) == (0, 0)


async def test_the_same_reconcile_again_changes_nothing_and_another_volume_is_refused(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)
    first = await reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=100, reason="no report")

    again = await reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=100, reason="no report")

    assert first == again == grant.pour_id
    assert await venue.balance(ann) == (50_00, 0)
    with pytest.raises(AlreadyReconciled):
        await reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=101, reason="no report")


async def test_a_pour_that_its_report_ended_meanwhile_is_not_reconciled(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)
    await venue.report(grant, 100)

    with pytest.raises(PourNotPending) as refused:
        await reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=100, reason="no report", pour_id=grant.pour_id)

    assert refused.value.facts["sync_status"] == "synced"


async def test_reconcile_unlock_and_report_at_once_end_the_pour_once(venue: Venue) -> None:
    for _ in range(10):
        ann = await venue.guest(balance_minor=100_00)
        grant = await venue.grant(ann)
        report = venue.tap.report(grant.pour_id, ann.card_uid, 100)

        await asyncio.gather(
            reconcile_pour(venue.db, OPERATOR, ann.visit_id, volume_ml=100, reason="race", pour_id=grant.pour_id),
            force_unlock(venue.db, OPERATOR, ann.visit_id, reason="race", pour_id=grant.pour_id),
            venue.deliver(report),
            return_exceptions=True,
        )

        balance_minor, held_minor = await venue.balance(ann)
        assert held_minor == 0
        assert balance_minor in (50_00, 100_00)
        assert (await venue.pour(grant.pour_id))["sync_status"] in ("synced", "reconciled", "voided")
        await venue.books_balance()


async def test_force_unlock_voids_the_pour_and_the_guest_can_pour_again(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)

    await force_unlock(venue.db, OPERATOR, ann.visit_id, reason="the node is gone")

    assert (await venue.pour(grant.pour_id))["sync_status"] == "voided"
    assert await venue.balance(ann) == (100_00, 0)
    assert await venue.audited("visit_force_unlock") == 1
    assert await _stops_sent(venue) == 1
    await venue.grant(ann, SimulatedTap(venue.tap.path))


async def test_force_unlock_clears_a_lock_that_no_pour_explains(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    await venue.db.pool.execute("UPDATE visits SET active_tap_id = 'left', lock_set_at = now()")

    await force_unlock(venue.db, OPERATOR, ann.visit_id, reason="left by an older version")

    await venue.books_balance()
    with pytest.raises(NotLocked):
        await force_unlock(venue.db, OPERATOR, ann.visit_id, reason="once more")


async def test_a_stuck_visit_of_raw_rows_whose_hold_nobody_counted_can_be_ended(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=10_00)
    await venue.db.pool.execute(
        """INSERT INTO pours (pour_id, visit_id, guest_id, card_uid, venue_id, tap_path, keg_id, beverage_id, request_id,
               sell_price_per_liter_minor, max_volume_ml, hold_minor)
           SELECT gen_random_uuid(), $1, $2, $3, 'bar', 'bar/taps/left', $4, $5, gen_random_uuid(), 50000, 500, 25000""",
        ann.visit_id,
        ann.guest_id,
        ann.card_uid,
        venue.keg_id,
        venue.beverage_id,
    )

    await force_unlock(venue.db, OPERATOR, ann.visit_id, reason="left by an older version")

    assert await venue.balance(ann) == (10_00, 0)
    await visits.close_visit(venue.db, OPERATOR, ann.visit_id)
    await shifts.close_shift(venue.db, OPERATOR, venue.venue_id)
    # that row never had an answer, which the check names; take it away so that the rest is checked
    await venue.db.pool.execute("DELETE FROM pours")


async def test_a_node_that_still_names_a_pour_that_was_unlocked_is_told_to_stop_again(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)
    await force_unlock(venue.db, OPERATOR, ann.visit_id, reason="the node is gone")

    for connection in (1, 2, 3):
        await note_state(venue.db, venue.tap.path, venue.tap.state(facts_open=1, pour_id=grant.pour_id, connection=connection))

    assert await _stops_sent(venue) == 4


async def test_a_node_that_pours_what_a_newer_question_voided_is_told_to_stop_at_once_and_again(venue: Venue) -> None:
    """A cloned card: the second node asks with a higher `seq`, the first one still pours."""
    ann, ben = await venue.guest(balance_minor=100_00), await venue.guest(balance_minor=100_00)
    voided = await venue.grant(ann)
    await venue.grant(ben)
    assert await _stops_sent(venue) == 1

    pouring = replace(venue.tap.state(facts_open=1, pour_id=voided.pour_id), phase=Phase.POURING)
    for of_clone in (replace(pouring, boot_id=uuid4()), pouring, replace(pouring, uptime_ms=1)):
        await note_state(venue.db, venue.tap.path, of_clone)

    assert await _stops_sent(venue) == 4
    assert (await venue.pour(voided.pour_id))["stop_reason"] is None


async def test_a_node_that_pours_what_was_settled_already_is_told_to_stop(venue: Venue) -> None:
    grant = await venue.grant(await venue.guest(balance_minor=100_00))
    state = replace(venue.tap.state(facts_open=1, pour_id=grant.pour_id), phase=Phase.POURING)
    await note_state(venue.db, venue.tap.path, state)
    assert await _stops_sent(venue) == 0

    await venue.report(grant, 100)
    await note_state(venue.db, venue.tap.path, state)

    assert await _stops_sent(venue) == 1


async def test_a_will_of_an_older_connection_is_ignored(venue: Venue) -> None:
    online = venue.tap.state(connection=5)
    await note_state(venue.db, venue.tap.path, online)

    await note_state(venue.db, venue.tap.path, replace(online, status=Presence.OFFLINE, connection=4))
    await note_state(venue.db, venue.tap.path, replace(online, status=Presence.OFFLINE, boot_id=uuid4(), connection=9))

    assert await venue.db.pool.fetchval("SELECT status FROM node_status") == "online"
    await note_state(venue.db, venue.tap.path, replace(online, status=Presence.OFFLINE, connection=5))
    assert await venue.db.pool.fetchval("SELECT status FROM node_status") == "offline"


async def test_an_older_state_changes_no_column_in_whatever_order_the_states_are_noted(venue: Venue) -> None:
    """Two boots, each with a connection that breaks and one that ends gently: the last state of all is what stays."""
    history = [
        replace(venue.tap.state(connection=connection), boot_id=boot_id, status=status, uptime_ms=uptime_ms)
        for boot_id in (uuid4(), uuid4())
        for connection, status, uptime_ms in (
            (1, Presence.ONLINE, 1_000),
            (1, Presence.ONLINE, 2_000),
            (1, Presence.OFFLINE, 1_000),
            (2, Presence.ONLINE, 3_000),
            (2, Presence.ONLINE, 4_000),
            (2, Presence.OFFLINE, 5_000),
        )
    ]
    first_boot, second_boot = history[:6], history[6:]
    for seed in range(12):
        shuffled = random.Random(seed)
        await venue.db.pool.execute("DELETE FROM node_status")
        states = shuffled.sample(first_boot, 6)
        states += [second_boot[0], *shuffled.sample(second_boot[1:], 5)]
        for state in [*states, *shuffled.sample(first_boot, 6)]:
            await note_state(venue.db, venue.tap.path, state)
        row = await venue.db.pool.fetchrow("SELECT status, boot_id, connection, state->>'uptime_ms' FROM node_status")
        assert tuple(row) == ("offline", second_boot[-1].boot_id, 2, "5000"), f"seed {seed}"


async def test_a_state_that_is_noted_late_does_not_take_the_place_of_a_newer_one(venue: Venue) -> None:
    early, late = venue.tap.state(), replace(venue.tap.state(), phase=Phase.POURING, uptime_ms=2_000)

    for state in (late, early):
        await note_state(venue.db, venue.tap.path, state)

    assert await venue.db.pool.fetchval("SELECT state->>'phase' FROM node_status") == "POURING"


async def test_a_late_report_after_the_card_was_reissued_charges_nobody_else(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=300_00)
    grant = await venue.grant(ann)
    await visits.void_and_close_visit(venue.db, OPERATOR, ann.visit_id, None, "guest left")
    await cards.unbind_card(venue.db, OPERATOR, ann.guest_id, ann.card_uid)
    bob = await venue.guest(balance_minor=300_00, card_uid=ann.card_uid)

    verdict = await venue.report(grant, 400)

    assert verdict.outcome == "audit_late_recorded"
    assert await venue.balance(ann) == (300_00, 0)
    assert await venue.balance(bob) == (300_00, 0)


async def _stops_sent(venue: Venue) -> int:
    found = await venue.db.pool.fetchval("""SELECT count(*) FROM command_outbox WHERE payload LIKE '{"type":"stop_pour"%'""")
    return int(found)
