"""Round trips of a decision: begin, lock and read, write, commit; nothing else."""

from collections.abc import AsyncIterator

import pytest

from tapwire_contracts.messages import PourDenied
from tapwire_core.db.engine import Database
from tapwire_core.domain.policy import Policy
from tests.venue import Venue

BEGIN, COMMIT = "BEGIN;", "COMMIT;"
LOCK = "SELECT lock_together($1, $2)"
WRITE = "SELECT apply_together($1)"


class Wire:
    """The one connection of a pool, and what goes over it."""

    def __init__(self, venue: Venue, sent: list[str]) -> None:
        self.venue = venue
        self._sent = sent

    def taken(self) -> list[str]:
        """The statements since the last look."""
        taken = self._sent[:]
        self._sent.clear()
        return taken


@pytest.fixture
async def wire(database_url: str) -> AsyncIterator[Wire]:
    """A venue on a database with one connection, on which both decisions were made before: their statements are prepared."""
    async with Database.open(database_url, Policy(), pool_size=1) as db:
        venue, sent = await Venue.open(db), list[str]()
        ann = await venue.guest(balance_minor=10_00)
        await venue.report(await venue.grant(ann), 1)
        async with db.pool.acquire() as connection:
            connection.add_query_logger(lambda query: sent.append(query.query))
        sent.clear()
        yield Wire(venue, sent)


async def test_a_grant_takes_two_round_trips_and_a_commit(wire: Wire) -> None:
    ann = await wire.venue.guest(balance_minor=100_00)
    wire.taken()

    await wire.venue.grant(ann)

    assert wire.taken() == [BEGIN, LOCK, WRITE, COMMIT]


async def test_a_denial_takes_two_round_trips_and_a_commit(wire: Wire) -> None:
    ann = await wire.venue.guest(balance_minor=0)
    wire.taken()

    await wire.venue.denial(ann)

    assert wire.taken() == [BEGIN, LOCK, WRITE, COMMIT]


async def test_a_repeated_question_takes_one_round_trip_and_a_commit(wire: Wire) -> None:
    ann = await wire.venue.guest(balance_minor=0)
    question = wire.venue.tap.question(ann.card_uid)
    await wire.venue.ask(question)
    wire.taken()

    assert isinstance(await wire.venue.ask(question), PourDenied)

    assert wire.taken() == [BEGIN, LOCK, COMMIT]


async def test_a_question_that_voids_an_older_pour_takes_no_round_trip_more(wire: Wire) -> None:
    ann = await wire.venue.guest(balance_minor=100_00)
    await wire.venue.grant(ann)
    wire.taken()

    await wire.venue.grant(ann)

    assert wire.taken() == [BEGIN, LOCK, WRITE, COMMIT]


async def test_a_settlement_takes_two_round_trips_and_a_commit(wire: Wire) -> None:
    ann = await wire.venue.guest(balance_minor=100_00)
    grant = await wire.venue.grant(ann)
    wire.taken()

    await wire.venue.report(grant, 150)

    assert wire.taken() == [BEGIN, LOCK, WRITE, COMMIT]


async def test_a_rejection_that_locks_the_tap_takes_no_round_trip_more(wire: Wire) -> None:
    ann = await wire.venue.guest(balance_minor=100_00)
    grant = await wire.venue.grant(ann)
    wire.taken()

    assert (await wire.venue.report(grant, 900)).outcome == "rejected_insufficient_funds"

    assert wire.taken() == [BEGIN, LOCK, WRITE, COMMIT]


async def test_a_repeated_report_takes_one_round_trip_and_a_commit(wire: Wire) -> None:
    ann = await wire.venue.guest(balance_minor=100_00)
    report = wire.venue.tap.report((await wire.venue.grant(ann)).pour_id, ann.card_uid, 150)
    await wire.venue.deliver(report)
    wire.taken()

    await wire.venue.deliver(report)

    assert wire.taken() == [BEGIN, LOCK, COMMIT]
