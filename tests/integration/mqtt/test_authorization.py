"""A card asks to pour: every rule of SYSTEM.md, "Authorisation", on a real database."""

import asyncio
from uuid import uuid4

import pytest

from tapwire_contracts.denials import INSUFFICIENT_FUNDS_MESSAGE
from tapwire_contracts.messages import PourAuthorized, PourDenied
from tapwire_contracts.reasons import DenyReason
from tapwire_contracts.topics import DevicePath
from tapwire_core.db.engine import Database
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.authorization import Question
from tapwire_core.domain.closed_sets import PaymentMethod, TapStatus
from tapwire_core.services import beverages, cards, guests, shifts, taps, venues, visits
from tapwire_core.services.kegs import correct_stock
from tapwire_core.services.money import InsufficientFunds, refund, top_up
from tapwire_core.services.pours import EventIdReused, authorize_pour
from tests.venue import OPERATOR, Guest, SimulatedTap, Venue


async def test_a_grant_holds_what_the_whole_of_it_would_cost(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=300_00)

    grant = await venue.grant(ann)

    assert grant.max_volume_ml == 600
    assert grant.display.guest_first_name == "Ann"
    assert await venue.balance(ann) == (300_00, 300_00)
    pour = await venue.pour(grant.pour_id)
    assert (pour["sync_status"], pour["volume_ml"], pour["amount_minor"]) == ("pending_sync", 0, 0)
    assert await venue.audited("pour_authorized") == 1


async def test_a_guest_without_money_is_denied_and_nothing_is_locked(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=0)

    answer = await venue.ask(venue.tap.question(ann.card_uid))

    assert isinstance(answer, PourDenied)
    assert (answer.reason, answer.message) == (DenyReason.INSUFFICIENT_FUNDS, INSUFFICIENT_FUNDS_MESSAGE)
    assert await venue.db.pool.fetchval("SELECT count(*) FROM pours") == 0
    assert await venue.db.pool.fetchval("SELECT count(*) FROM visits WHERE active_tap_id IS NOT NULL") == 0
    assert await venue.audited("insufficient_funds_denied") == 1


@pytest.mark.parametrize(
    ("price_minor", "balance_minor", "may"), [(500_00, 50, True), (500_00, 49, False), (333_33, 34, True), (333_33, 33, False)]
)
async def test_exactly_one_millilitres_price_is_enough(db: Database, price_minor: int, balance_minor: int, may: bool) -> None:
    venue = await Venue.open(db, price_minor=price_minor)
    ann = await venue.guest(balance_minor=balance_minor)

    answer = await venue.ask(venue.tap.question(ann.card_uid))

    assert isinstance(answer, PourAuthorized if may else PourDenied)
    if isinstance(answer, PourAuthorized):
        assert answer.max_volume_ml == 1


async def _stop_venue(venue: Venue, guest: Guest) -> None:
    await venues.stop_venue(venue.db, OPERATOR, venue.venue_id, "fire alarm")


async def _lock_tap(venue: Venue, guest: Guest) -> None:
    await taps.change_tap(venue.db, OPERATOR, venue.tap.path, status=TapStatus.LOCKED, reason="leaks")


async def _clean_tap(venue: Venue, guest: Guest) -> None:
    await taps.change_tap(venue.db, OPERATOR, venue.tap.path, status=TapStatus.CLEANING, reason="monday")


async def _take_keg_off(venue: Venue, guest: Guest) -> None:
    await taps.take_keg_off(venue.db, OPERATOR, venue.tap.path)


async def _empty_keg(venue: Venue, guest: Guest) -> None:
    await correct_stock(venue.db, OPERATOR, venue.keg_id, await venue.keg_ml(), "it is empty")


async def _close_shift(venue: Venue, guest: Guest) -> None:
    # an operator can't close a shift under an open visit; an older version, or a hand in the database, can
    await venue.db.pool.execute("UPDATE shifts SET status = 'closed', closed_at = now()")


async def _lose_card(venue: Venue, guest: Guest) -> None:
    await cards.report_card_lost(venue.db, OPERATOR, guest.card_uid, "gone")


async def _close_visit(venue: Venue, guest: Guest) -> None:
    await visits.close_visit(venue.db, OPERATOR, guest.visit_id)


async def _block_guest(venue: Venue, guest: Guest) -> None:
    await guests.change_guest(venue.db, OPERATOR, guest.guest_id, blocked=True)


async def _pour_elsewhere(venue: Venue, guest: Guest) -> None:
    await venue.grant(guest, await venue.another_tap("right"))


async def _lease_tap(venue: Venue, guest: Guest) -> None:
    other_journal = SimulatedTap(venue.tap.path)
    await venue.grant(await venue.guest(balance_minor=100_00), other_journal)


async def _spend_all(venue: Venue, guest: Guest) -> None:
    await venue.db.pool.execute("UPDATE beverages SET sell_price_per_liter_minor = 100000000")


OBSTACLES = {
    DenyReason.EMERGENCY_STOP: _stop_venue,
    DenyReason.TAP_LOCKED: _lock_tap,
    DenyReason.TAP_CLEANING: _clean_tap,
    DenyReason.TAP_NOT_CONFIGURED: _take_keg_off,
    DenyReason.KEG_EMPTY: _empty_keg,
    DenyReason.SHIFT_CLOSED: _close_shift,
    DenyReason.LOST_CARD: _lose_card,
    DenyReason.NO_ACTIVE_VISIT: _close_visit,
    DenyReason.GUEST_BLOCKED: _block_guest,
    DenyReason.CARD_IN_USE_ON_OTHER_TAP: _pour_elsewhere,
    DenyReason.PROCESSING_SYNC: _lease_tap,
    DenyReason.INSUFFICIENT_FUNDS: _spend_all,
}


@pytest.mark.parametrize("reason", OBSTACLES, ids=str)
async def test_each_obstacle_denies_with_its_reason(venue: Venue, reason: DenyReason) -> None:
    ann = await venue.guest(balance_minor=100_00)
    await OBSTACLES[reason](venue, ann)

    assert await venue.denial(ann) is reason


async def test_an_unknown_card_is_denied(venue: Venue) -> None:
    answer = await venue.ask(venue.tap.question("deadbeef"))

    assert isinstance(answer, PourDenied)
    assert answer.reason == DenyReason.CARD_UNKNOWN
    assert answer.display.guest_first_name is None


async def test_an_unknown_tap_is_denied_and_the_answer_remembered(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    nowhere = SimulatedTap(DevicePath.parse("bar/taps/nowhere"))
    question = nowhere.question(ann.card_uid)

    first = await venue.ask_raw(question, nowhere)

    assert '"tap_unknown"' in first
    assert await venue.ask_raw(question, nowhere) == first
    assert await venue.audited("pour_denied") == 1


async def test_a_question_older_than_the_last_one_decided_is_stale(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    late = venue.tap.question(ann.card_uid)
    pour = await venue.grant(ann)

    answer = await venue.ask(late)

    assert isinstance(answer, PourDenied)
    assert answer.reason == DenyReason.STALE_REQUEST
    await venue.report(pour, 100)


async def test_six_copies_of_one_question_at_once_get_six_equal_answers_and_one_grant(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    question = venue.tap.question(ann.card_uid)

    answers = await asyncio.gather(*(venue.ask_raw(question) for _ in range(6)))

    assert len(set(answers)) == 1
    assert await venue.db.pool.fetchval("SELECT count(*) FROM pours") == 1
    assert await venue.audited("pour_authorized") == 1


async def test_six_copies_of_a_denied_question_at_once_get_six_equal_answers(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=0)
    question = venue.tap.question(ann.card_uid)

    answers = await asyncio.gather(*(venue.ask_raw(question) for _ in range(6)))

    assert len(set(answers)) == 1
    assert await venue.audited("insufficient_funds_denied") == 1


async def test_a_denied_question_stays_denied_after_a_top_up_and_a_new_one_is_granted(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=0)
    question = venue.tap.question(ann.card_uid)
    denied = await venue.ask_raw(question)

    await top_up(venue.db, OPERATOR, ann.guest_id, 100_00, PaymentMethod.CARD, venue.venue_id)

    assert await venue.ask_raw(question) == denied
    assert (await venue.grant(ann)).max_volume_ml == 200


async def test_a_grants_question_repeated_after_its_pour_ended_is_stale(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    question = venue.tap.question(ann.card_uid)
    grant = await venue.ask(question)
    assert isinstance(grant, PourAuthorized)
    await venue.report(grant, 100)

    answer = await venue.ask(question)

    assert isinstance(answer, PourDenied)
    assert answer.reason == DenyReason.STALE_REQUEST


async def test_a_new_question_voids_an_older_one_that_the_journal_never_started(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    never_started = await venue.grant(ann)

    again = await venue.grant(ann)

    assert again.pour_id != never_started.pour_id
    assert again.max_volume_ml == never_started.max_volume_ml
    assert (await venue.pour(never_started.pour_id))["sync_status"] == "voided"
    assert await venue.audited("pour_voided") == 1


async def test_a_new_question_voids_the_older_one_also_when_it_is_denied(venue: Venue) -> None:
    ann, bob = await venue.guest(balance_minor=100_00), await venue.guest(balance_minor=0)
    never_started = await venue.grant(ann)

    assert await venue.denial(bob) is DenyReason.INSUFFICIENT_FUNDS
    assert (await venue.pour(never_started.pour_id))["sync_status"] == "voided"
    assert await venue.balance(ann) == (100_00, 0)


async def test_a_pour_that_the_journal_lists_as_unsettled_blocks_its_tap(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    running = await venue.grant(ann)

    answer = await venue.ask(venue.tap.question(ann.card_uid, unsettled=(running.pour_id,)))

    assert isinstance(answer, PourDenied)
    assert answer.reason == DenyReason.PROCESSING_SYNC
    assert answer.display.balance_minor is None


async def test_another_journal_proves_nothing_about_a_pending_pour(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    running = await venue.grant(ann)
    reinstalled = SimulatedTap(venue.tap.path, seq=100)

    answer = await venue.ask(reinstalled.question(ann.card_uid))

    assert isinstance(answer, PourDenied)
    assert answer.reason == DenyReason.PROCESSING_SYNC
    assert (await venue.pour(running.pour_id))["sync_status"] == "pending_sync"


async def test_eight_questions_racing_for_one_balance_never_grant_more_than_there_is(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    at = [venue.tap, *[await venue.another_tap(f"tap{number}") for number in range(7)]]

    answers = await asyncio.gather(*(venue.ask(tap.question(ann.card_uid), tap) for tap in at))

    assert sum(isinstance(answer, PourAuthorized) for answer in answers) == 1
    assert await venue.balance(ann) == (100_00, 100_00)
    assert {answer.reason for answer in answers if isinstance(answer, PourDenied)} == {DenyReason.CARD_IN_USE_ON_OTHER_TAP}


async def test_one_card_on_two_taps_at_once_gets_one_grant_each_time(venue: Venue) -> None:
    ann, right = await venue.guest(balance_minor=5000_00), await venue.another_tap("right")

    for _ in range(40):
        answers = await asyncio.gather(venue.ask(venue.tap.question(ann.card_uid)), venue.ask(right.question(ann.card_uid), right))
        pairs = zip((venue.tap, right), answers, strict=True)
        ((tap, grant),) = [(tap, answer) for tap, answer in pairs if isinstance(answer, PourAuthorized)]
        await venue.report(grant, 10, tap)


async def test_two_guests_on_one_tap_at_once_leave_one_pour_and_one_hold(venue: Venue) -> None:
    ann, bob = await venue.guest(balance_minor=100_00), await venue.guest(balance_minor=100_00)

    for _ in range(20):
        questions = [venue.tap.question(guest.card_uid) for guest in (ann, bob)]
        await asyncio.gather(*(venue.ask(question) for question in questions))

        pending = await venue.db.pool.fetch("SELECT guest_id FROM pours WHERE sync_status = 'pending_sync'")
        # the later question proves that the earlier one's pour never started, or makes it stale
        assert [row["guest_id"] for row in pending] == [bob.guest_id]
        assert await venue.balance(ann) == (100_00, 0)


async def test_top_ups_and_refunds_that_race_a_hold_leave_exactly_what_is_owed(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    expected_minor = 100_00

    for _ in range(10):
        question = venue.tap.question(ann.card_uid)
        results = await asyncio.gather(
            venue.ask(question),
            *(refund(venue.db, OPERATOR, ann.guest_id, 40_00, PaymentMethod.CASH, "race", venue.venue_id) for _ in range(3)),
            top_up(venue.db, OPERATOR, ann.guest_id, 50_00, PaymentMethod.CARD, venue.venue_id),
            return_exceptions=True,
        )

        refused = [result for result in results if isinstance(result, BaseException)]
        assert all(isinstance(result, InsufficientFunds) for result in refused)
        expected_minor += 50_00 - 40_00 * (3 - len(refused))
        balance_minor, held_minor = await venue.balance(ann)
        assert balance_minor == expected_minor >= held_minor


async def test_the_other_content_of_a_used_event_id_gets_no_answer(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    question = venue.tap.question(ann.card_uid)
    await venue.ask(question)

    other = Question.of_node(str(venue.tap.path), question)
    assert await authorize_pour(venue.db, other, "00" * 32, Actor("test"), uuid4()) == EventIdReused()


async def test_a_price_change_touches_no_running_pour(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)
    await beverages.change_beverage(venue.db, OPERATOR, venue.beverage_id, sell_price_per_liter_minor=900_00)

    verdict = await venue.report(grant, 100)

    assert verdict.amount_minor == 50_00


async def test_a_shift_opened_again_lets_guests_pour(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    await _close_shift(venue, ann)
    await shifts.open_shift(venue.db, OPERATOR, venue.venue_id)

    assert (await venue.grant(ann)).max_volume_ml == 200
