"""Beer that no report of a pour accounts for: through a closed valve, or missing between two odometer values."""

import asyncio
import random
from uuid import uuid4

import pytest
from msgspec.structs import replace

from tapwire_contracts.messages import PourAuthorized, UnattributedFlow
from tapwire_core.services.flows import record_flow
from tests.venue import KEG_ML, RAW, Venue


async def test_a_volume_that_is_less_than_its_stretch_leaves_a_hole_that_is_found(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    await venue.idle()
    grant = await venue.grant(ann)
    report = venue.tap.report(grant.pour_id, ann.card_uid, 140)

    await venue.deliver(replace(report, volume_ml=100))
    await venue.idle()

    assert await venue.balance(ann) == (50_00, 0)
    assert await venue.keg_ml() == KEG_ML - 140
    assert len(await venue.incidents("odometer_mismatch")) == 1
    assert len(await venue.incidents("volume_gap")) == 1


async def test_flow_with_a_closed_valve_moves_stock_once_and_tells_a_person(venue: Venue) -> None:
    flow = venue.tap.flow(30)

    answers = [await record_flow(venue.db, venue.tap.path, flow, RAW) for _ in range(3)]

    assert answers == [f'{{"type":"flow_recorded","event_id":"{flow.event_id}"}}'] * 3
    assert await venue.keg_ml() == KEG_ML - 30
    (incident,) = await venue.incidents("unattributed_flow")
    assert '"volume_ml": 30' in str(incident["details"])


async def test_volume_that_no_fact_accounts_for_is_booked_and_an_incident(venue: Venue) -> None:
    await venue.idle()
    venue.tap.odometer_ml += 80

    await venue.idle()
    await venue.idle()

    assert await venue.keg_ml() == KEG_ML - 80
    (gap,) = await venue.incidents("volume_gap")
    assert '"value_minor": 4000' in str(gap["details"])


async def test_a_fact_that_comes_later_takes_the_booking_of_its_hole_back(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=300_00)
    await venue.idle()
    grant = await venue.grant(ann)
    await venue.report(grant, 0)
    late = venue.tap.report(grant.pour_id, ann.card_uid, 80)
    venue.tap.odometer_ml += 20
    await venue.idle()
    assert await venue.keg_ml() == KEG_ML - 100

    await venue.deliver(late)

    assert await venue.keg_ml() == KEG_ML - 100
    kinds = await venue.db.pool.fetch("SELECT kind, sum(volume_ml) AS ml FROM stock_movements GROUP BY kind ORDER BY kind")
    assert [tuple(row) for row in kinds] == [("correction", 80), ("unattributed", 20)]
    assert await venue.audited("volume_gap_taken_back") == 1


async def test_an_odometer_that_cannot_be_right_books_nothing(venue: Venue) -> None:
    await venue.misread_meter(then_ml=80)

    assert await venue.keg_ml() == KEG_ML - 80
    assert len(await venue.incidents("volume_gap")) == 2


async def test_a_flow_that_cannot_be_believed_is_left_to_a_person(venue: Venue) -> None:
    flow = replace(venue.tap.flow(90_000), duration_ms=10)

    await record_flow(venue.db, venue.tap.path, flow, RAW)

    assert await venue.keg_ml() == KEG_ML
    assert len(await venue.incidents("invalid_report")) == 1


async def test_nothing_is_missed_while_a_pour_is_pending_or_a_fact_open(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=300_00)
    await venue.idle()
    await venue.grant(ann)
    venue.tap.odometer_ml += 80

    await venue.idle()

    assert await venue.keg_ml() == KEG_ML


async def test_two_facts_over_the_same_stretch_are_an_incident(venue: Venue) -> None:
    venue.tap.odometer_ml = 100
    first = venue.tap.flow(50)
    venue.tap.odometer_ml = 120
    second = venue.tap.flow(50)

    await record_flow(venue.db, venue.tap.path, first, RAW)
    await record_flow(venue.db, venue.tap.path, second, RAW)

    assert len(await venue.incidents("odometer_rewound")) == 1


@pytest.mark.parametrize("seed", range(8))
async def test_any_order_repetition_and_concurrency_of_the_same_messages_ends_in_the_same_state(venue: Venue, seed: int) -> None:
    ann, bob = await venue.guest(balance_minor=300_00), await venue.guest(balance_minor=300_00)
    right = await venue.another_tap("right")
    await venue.idle()
    left_grant, right_grant = await venue.grant(ann), await venue.grant(bob, right)
    left_report = venue.tap.report(left_grant.pour_id, ann.card_uid, 120)
    flow = venue.tap.flow(40)
    stray = venue.tap.report(uuid4(), ann.card_uid, 25)
    right_report = right.report(right_grant.pour_id, bob.card_uid, 0)
    messages = [left_report, flow, stray, right_report] * 3
    random.Random(seed).shuffle(messages)

    async def deliver(message: object) -> None:
        if isinstance(message, UnattributedFlow):
            await record_flow(venue.db, venue.tap.path, message, RAW)
        else:
            await venue.deliver(message, right if message is right_report else venue.tap)  # type: ignore[arg-type]

    await asyncio.gather(*(deliver(message) for message in messages))
    await venue.idle()

    assert await venue.balance(ann) == (240_00, 0)
    assert await venue.balance(bob) == (300_00, 0)
    assert await venue.keg_ml() == KEG_ML - 185
    assert await venue.incidents("volume_gap") == []
    assert await venue.incidents("odometer_rewound") == []
    assert isinstance(await venue.ask(right.question(bob.card_uid), right), PourAuthorized)
