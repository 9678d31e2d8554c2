"""When facts are sent again."""

from itertools import pairwise
from random import Random

import pytest

from tapwire_contracts.messages import UnattributedFlow
from tapwire_contracts.reasons import FlowCause
from tapwire_node.controller.flow_facts import Fact
from tapwire_node.mqtt.resend_queue import OUTBOX_LIMIT, SEND_BATCH, Outbox
from tapwire_node.settings import BrokerSettings
from tests.unit.node.controller_bench import Bench


def fact() -> Fact:
    bench = Bench()
    message = UnattributedFlow(
        event_id=bench.boot_id,
        cause=FlowCause.CLOSED_VALVE,
        volume_ml=5,
        duration_ms=0,
        card_uid=None,
        age_ms=None,
        odometer_from_ml=0,
        odometer_to_ml=5,
        journal_id=bench.journal_id,
        boot_id=bench.boot_id,
    )
    return Fact(message, ended_ms=0)


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(BrokerSettings(url="mqtt://x"), Random(1))


def sendings(outbox: Outbox, from_ms: int, to_ms: int) -> list[int]:
    return [now_ms for now_ms in range(from_ms, to_ms, 100) for _ in outbox.take_due(now_ms)]


def test_a_fact_goes_out_at_once_and_again_with_growing_waits(outbox: Outbox) -> None:
    outbox.add(fact(), 0)
    times = sendings(outbox, 0, 600_000)

    assert times[0] == 0
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert 1_000 <= waits[0] <= 2_100
    assert 30_000 <= waits[-1] <= 60_100
    assert max(waits) <= 60_100


def test_a_settled_fact_is_never_sent_again(outbox: Outbox) -> None:
    one = fact()
    outbox.add(one, 0)
    outbox.settle(one.fact_id)
    assert sendings(outbox, 0, 100_000) == []


def test_a_new_listener_gets_everything_within_some_seconds(outbox: Outbox) -> None:
    for _ in range(10):
        outbox.add(fact(), 0)
    sendings(outbox, 0, 400_000)

    outbox.hurry(400_000)

    times = sendings(outbox, 400_000, 403_100)
    assert len(times) >= 10
    assert len(set(times)) > 3


def test_many_facts_go_out_in_batches(outbox: Outbox) -> None:
    for _ in range(SEND_BATCH + 5):
        outbox.add(fact(), 0)
    assert len(outbox.take_due(0)) == SEND_BATCH
    assert len(outbox.take_due(0)) == 5


def test_what_does_not_fit_stays_in_the_journal_until_there_is_room(outbox: Outbox) -> None:
    facts = [fact() for _ in range(OUTBOX_LIMIT + 1)]
    for one in facts:
        outbox.add(one, 0)
    assert not outbox.wants_more

    for one in facts[: OUTBOX_LIMIT // 2]:
        outbox.settle(one.fact_id)
    assert outbox.wants_more
    outbox.refill(facts[OUTBOX_LIMIT // 2 :], 0)
    assert not outbox.wants_more
    sent = [one for now_ms in range(0, 5_000, 20) for one in outbox.take_due(now_ms)]
    assert facts[-1] in sent
