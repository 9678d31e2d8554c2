"""Decisions that arrive together are made in one transaction, and each is what it would have been alone."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from random import Random
from typing import Final

import asyncpg
import msgspec
import pytest

from tapwire_contracts.messages import PourAuthorized, PourDenied, PourSettled
from tapwire_contracts.reasons import DenyReason
from tapwire_core.services.nodes import ask_for_reports
from tapwire_core.services.pour_batches import Batches
from tapwire_core.services.pours import Answer, Answered, AuthorizationRequest, DecisionRequest
from tests.besides import besides
from tests.venue import Guest, SimulatedTap, Venue

TAPS: Final = 6
ROUNDS: Final = 12
SOON_S: Final = 10.0
WITHIN_S: Final = 5.0
"""A node gives up a question after this time."""
APART_S: Final = 0.05
ASK_AGAIN_MS: Final = 10_000
ELSEWHERE: Final = "04b20001"

Said = PourAuthorized | PourDenied | PourSettled


@pytest.fixture
async def batches(venue: Venue) -> AsyncIterator[Batches]:
    """Batches that are made."""
    made = Batches(venue.db)
    async with besides(made.run()):
        yield made


@pytest.fixture
async def taps(venue: Venue) -> list[SimulatedTap]:
    """Taps with a keg each."""
    return [venue.tap, *[await venue.another_tap(f"tap{number}") for number in range(1, TAPS)]]


async def decided(batches: Batches, decisions: Sequence[DecisionRequest]) -> list[Said]:
    """The answers to decisions that arrive at once."""
    async with asyncio.timeout(SOON_S):
        answers = await asyncio.gather(*(batches.submit(decision) for decision in decisions))
    return [said(answer) for answer in answers]


def said(answer: Answer) -> Said:
    assert isinstance(answer, Answered), answer
    decoded: Said = msgspec.json.decode(answer.payload, type=Said)
    return decoded


async def test_questions_that_come_together_are_answered_in_one_transaction(
    venue: Venue, batches: Batches, taps: list[SimulatedTap]
) -> None:
    guests = [await venue.guest(balance_minor=100_00) for _ in taps]

    answers = await decided(
        batches, [venue.asks(tap.question(guest.card_uid), tap) for tap, guest in zip(taps, guests, strict=True)]
    )

    assert [answer.card_uid for answer in answers if isinstance(answer, PourAuthorized)] == [guest.card_uid for guest in guests]
    assert await venue.db.pool.fetchval("SELECT count(DISTINCT xmin::text) FROM pours") == 1


async def test_one_guest_at_two_taps_at_once_gets_one_grant(
    venue: Venue, batches: Batches, taps: list[SimulatedTap], caplog: pytest.LogCaptureFixture
) -> None:
    ann = await venue.guest(balance_minor=100_00)

    answers = await decided(batches, [venue.asks(tap.question(ann.card_uid), tap) for tap in taps])

    grants = [answer for answer in answers if isinstance(answer, PourAuthorized)]
    reasons = {answer.reason for answer in answers if isinstance(answer, PourDenied)}
    assert (len(grants), reasons) == (1, {DenyReason.CARD_IN_USE_ON_OTHER_TAP})
    assert caplog.records == [], "decisions on one guest wait for one another, rather than fail together"


async def test_a_message_that_the_database_refuses_fails_alone(venue: Venue, batches: Batches, taps: list[SimulatedTap]) -> None:
    ann, bob = [await venue.guest(balance_minor=100_00) for _ in range(2)]
    grant = await venue.grant(ann, taps[0])
    refused = replace(venue.reports(taps[0].report(grant.pour_id, ann.card_uid, 50), taps[0]), content={"text": "\0"})

    failing = asyncio.create_task(batches.submit(refused))
    (answer,) = await decided(batches, [venue.asks(taps[1].question(bob.card_uid), taps[1])])

    assert isinstance(answer, PourAuthorized)
    with pytest.raises(asyncpg.UntranslatableCharacterError):
        await failing


async def test_a_row_that_somebody_holds_stops_only_the_decision_that_needs_it(
    venue: Venue, batches: Batches, taps: list[SimulatedTap]
) -> None:
    ann, bob = [await venue.guest(balance_minor=100_00) for _ in range(2)]
    asks = venue.asks(taps[0].question(ann.card_uid), taps[0])
    async with venue.db.transaction() as held:
        await held.connection.execute("SELECT 1 FROM guests WHERE guest_id = $1 FOR UPDATE", ann.guest_id)
        waiting = asyncio.create_task(batches.submit(asks))

        (answer,) = await decided(batches, [venue.asks(taps[1].question(bob.card_uid), taps[1])])

        assert isinstance(answer, PourAuthorized)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await waiting
    (again,) = await decided(batches, [asks])
    assert isinstance(again, PourAuthorized), "it was not decided, and is when its node says it again"


async def test_a_row_that_is_held_when_a_decision_writes_keeps_nobody_else_waiting(
    venue: Venue, batches: Batches, taps: list[SimulatedTap]
) -> None:
    ann, bob = await venue.guest(balance_minor=100_00), await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)
    await venue.db.pool.execute("UPDATE pours SET authorized_at = now() - interval '1 hour'")
    await ask_for_reports(venue.db, ASK_AGAIN_MS)
    report = venue.reports(venue.tap.report(grant.pour_id, ann.card_uid, 100))
    async with venue.db.transaction() as held:
        await held.connection.execute("SELECT FROM incidents FOR UPDATE")
        overdue = asyncio.create_task(batches.submit(report))

        async with asyncio.timeout(WITHIN_S):
            (answer,) = await decided(batches, [venue.asks(taps[1].question(bob.card_uid), taps[1])])
            failed = await asyncio.gather(overdue, return_exceptions=True)

        assert isinstance(answer, PourAuthorized)
        assert [type(one) for one in failed] == [asyncpg.LockNotAvailableError]


async def test_a_venue_whose_rows_are_all_held_keeps_no_other_venue_waiting(
    venue: Venue, batches: Batches, taps: list[SimulatedTap]
) -> None:
    guests = [await venue.guest(balance_minor=100_00) for _ in taps]
    cafe = await Venue.open(venue.db, venue_id="cafe")
    bob = await cafe.guest(balance_minor=100_00, card_uid=ELSEWHERE)
    held_for_long = []
    async with venue.db.transaction() as held:
        await held.connection.execute("SELECT 1 FROM taps WHERE venue_id = $1 FOR UPDATE", venue.venue_id)
        for tap, guest in zip(taps, guests, strict=True):
            held_for_long += [asyncio.create_task(batches.submit(venue.asks(tap.question(guest.card_uid), tap))) for _ in range(2)]
            await asyncio.sleep(APART_S)

        async with asyncio.timeout(WITHIN_S):
            (answer,) = await decided(batches, [cafe.asks(cafe.tap.question(bob.card_uid), cafe.tap)])

        assert isinstance(answer, PourAuthorized)
        failed = await asyncio.gather(*held_for_long, return_exceptions=True)
    assert {type(one) for one in failed} == {asyncpg.LockNotAvailableError}


async def test_what_is_said_twice_at_once_is_answered_twice_alike(venue: Venue, batches: Batches, taps: list[SimulatedTap]) -> None:
    ann = await venue.guest(balance_minor=100_00)
    asks = venue.asks(taps[0].question(ann.card_uid), taps[0])

    first, *others = await decided(batches, [asks] * TAPS)

    assert isinstance(first, PourAuthorized)
    assert others == [first] * (TAPS - 1)


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_comes_together_the_books_balance(
    venue: Venue, batches: Batches, taps: list[SimulatedTap], seed: int
) -> None:
    random, flowed_ml = Random(seed), 0
    guests = [await venue.guest(balance_minor=random.choice((0, 40, 3_000_00))) for _ in range(TAPS)]
    for _ in range(ROUNDS):
        asked = _questions(venue, random, taps, guests)
        grants = [grant for grant in await decided(batches, asked) if isinstance(grant, PourAuthorized)]
        pours = {asks.question.event_id: asks.question.tap_path for asks in asked}
        reports = []
        for grant in {grant.pour_id: grant for grant in grants}.values():
            (tap,) = [tap for tap in taps if str(tap.path) == pours[grant.request_id]]
            volume_ml = random.randint(0, min(grant.max_volume_ml, 120))
            reports += [venue.reports(tap.report(grant.pour_id, grant.card_uid, volume_ml), tap)] * random.randint(1, 2)
            flowed_ml += volume_ml
        random.shuffle(reports)
        verdicts = await decided(batches, [*reports, *_questions(venue, random, taps, guests)])
        assert len(verdicts) == len(reports) + TAPS

    await venue.books_balance()
    settled_ml = await venue.db.pool.fetchval("SELECT sum(volume_ml) FROM pours")
    assert settled_ml == flowed_ml


def _questions(venue: Venue, random: Random, taps: Sequence[SimulatedTap], guests: Sequence[Guest]) -> list[AuthorizationRequest]:
    """Each tap asks for some guest; at times for one who stands at another tap too."""
    return [venue.asks(tap.question(random.choice(guests).card_uid), tap) for tap in random.sample(taps, len(taps))]
