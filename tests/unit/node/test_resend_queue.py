"""The resend queue's schedule."""

from itertools import pairwise
from random import Random

import pytest

from tapwire_contracts.messages import UnattributedFlow
from tapwire_contracts.reasons import FlowCause
from tapwire_node.controller.flow_facts import Fact
from tapwire_node.mqtt.resend_queue import RESEND_QUEUE_LIMIT, SEND_BATCH, ResendQueue
from tapwire_node.settings import BrokerSettings
from tests.unit.node.controller_bench import ControllerBench


def fact() -> Fact:
    bench = ControllerBench()
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
def resend_queue() -> ResendQueue:
    return ResendQueue(BrokerSettings(url="mqtt://x"), Random(1))


def sendings(resend_queue: ResendQueue, from_ms: int, to_ms: int) -> list[int]:
    return [now_ms for now_ms in range(from_ms, to_ms, 100) for _ in resend_queue.take_due(now_ms)]


def test_a_fact_is_sent_at_once_and_again_with_growing_waits(resend_queue: ResendQueue) -> None:
    resend_queue.add(fact(), 0)
    times = sendings(resend_queue, 0, 600_000)

    assert times[0] == 0
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert 1_000 <= waits[0] <= 2_100
    assert 30_000 <= waits[-1] <= 60_100
    assert max(waits) <= 60_100


def test_a_settled_fact_is_never_sent_again(resend_queue: ResendQueue) -> None:
    one = fact()
    resend_queue.add(one, 0)
    resend_queue.remove(one.fact_id)
    assert sendings(resend_queue, 0, 100_000) == []


def test_a_new_listener_gets_everything_within_some_seconds(resend_queue: ResendQueue) -> None:
    for _ in range(10):
        resend_queue.add(fact(), 0)
    sendings(resend_queue, 0, 400_000)

    resend_queue.resend_soon(400_000)

    times = sendings(resend_queue, 400_000, 403_100)
    assert len(times) >= 10
    assert len(set(times)) > 3


def test_many_facts_go_out_in_batches(resend_queue: ResendQueue) -> None:
    for _ in range(SEND_BATCH + 5):
        resend_queue.add(fact(), 0)
    assert len(resend_queue.take_due(0)) == SEND_BATCH
    assert len(resend_queue.take_due(0)) == 5


def test_facts_beyond_the_limit_stay_in_the_journal_until_there_is_room(resend_queue: ResendQueue) -> None:
    facts = [fact() for _ in range(RESEND_QUEUE_LIMIT + 1)]
    for one in facts:
        resend_queue.add(one, 0)
    assert not resend_queue.needs_refill

    for one in facts[: RESEND_QUEUE_LIMIT // 2]:
        resend_queue.remove(one.fact_id)
    assert resend_queue.needs_refill
    resend_queue.refill(facts[RESEND_QUEUE_LIMIT // 2 :], 0)
    assert not resend_queue.needs_refill
    sent = [one for now_ms in range(0, 5_000, 20) for one in resend_queue.take_due(now_ms)]
    assert facts[-1] in sent
