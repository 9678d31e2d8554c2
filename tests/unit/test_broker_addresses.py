"""Several addresses of a broker: how they are written, in which order they are tried, and when one is left."""

from random import Random

import pytest
from aiomqtt import MqttCodeError, MqttError
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from tapwire_contracts.broker_addresses import (
    Attempts,
    InvalidBrokerUrl,
    host_of,
    keepalive_s,
    socket_options,
    split_broker_urls,
    subscription_qos,
)
from tapwire_contracts.core_watch import CoreWatch
from tapwire_contracts.mqtt_clients import NO_DELAY, was_closed


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("mqtt://one", ("mqtt://one",)),
        ("mqtt://one:1,mqtts://two", ("mqtt://one:1", "mqtts://two")),
        (" mqtt://one , mqtt://two\n", ("mqtt://one", "mqtt://two")),
        ("mqtt://a:b,c@one,mqtt://two", ("mqtt://a:b,c@one", "mqtt://two")),
        ("mqtt://[::1]:1883,mqtt://two", ("mqtt://[::1]:1883", "mqtt://two")),
    ],
)
def test_addresses_are_separated_by_commas(text: str, urls: tuple[str, ...]) -> None:
    assert split_broker_urls(text) == urls


@pytest.mark.parametrize(
    "text",
    [
        "",
        "one",
        "http://one",
        "mqtt://",
        "mqtt://one,",
        "mqtt://one,two:1883",
        "mqtt://one,http://two",
        "mqtt://one:0",
        "mqtt://u:s3cret@one:99999",
        "mqtt://u:s3cret@one,mqtt://[u:s3cret@two",
    ],
)
def test_what_is_no_address_is_refused_without_its_secret(text: str) -> None:
    with pytest.raises(InvalidBrokerUrl) as refused:
        split_broker_urls(text)
    assert "s3cret" not in str(refused.value)


def test_a_client_that_may_go_elsewhere_leaves_no_queue_behind_that_only_one_member_serves() -> None:
    assert subscription_qos(1, has_others=True) == 0
    assert subscription_qos(1, has_others=False) == 1


def test_an_address_in_a_log_has_no_secret() -> None:
    assert host_of("mqtts://core:s3cret@broker.example") == "broker.example:8883"


def test_each_failure_goes_to_the_next_address_and_the_waits_double_with_each_round() -> None:
    attempts, tried, waits = Attempts(3, 100, 1_000, Random(1)), [0], list[int]()
    for _ in range(15):
        waits.append(attempts.turn(held=False))
        tried.append(attempts.address)
    assert tried == [0, 1, 2] * 5 + [0]
    longest = [100] * 3 + [200] * 3 + [400] * 3 + [800] * 3 + [1_000] * 3
    assert all(most // 2 <= wait <= most for wait, most in zip(waits, longest, strict=True))


def test_a_connection_that_held_begins_the_waits_anew() -> None:
    attempts = Attempts(2, 100, 1_000, Random(1))
    for _ in range(20):
        attempts.turn(held=False)
    assert attempts.turn(held=True) <= 100


def test_an_address_that_ends_connections_is_tried_twice_again_and_a_silent_one_is_left() -> None:
    attempts, tried = Attempts(3, 100, 1_000, Random(1)), list[int]()
    for held, closed in [(True, True), (False, True), (False, True), (False, True), (False, False), (True, True), (True, False)]:
        attempts.turn(held=held, closed=closed)
        tried.append(attempts.address)
    assert tried == [0, 0, 1, 1, 2, 2, 0]


@pytest.mark.parametrize(
    ("cause", "closed"),
    [
        (MqttCodeError(ReasonCode(PacketTypes.DISCONNECT, "Unspecified error")), True),
        (MqttCodeError(ReasonCode(PacketTypes.DISCONNECT, "Server shutting down")), True),
        (MqttCodeError(ReasonCode(PacketTypes.DISCONNECT, "Keep alive timeout")), False),
        (MqttCodeError(MQTTErrorCode.MQTT_ERR_NO_CONN), False),
        (None, False),
    ],
)
def test_who_ended_a_connection_is_known_from_the_librarys_error(cause: MqttCodeError | None, closed: bool) -> None:
    with pytest.raises(MqttError) as lost:
        raise MqttError("Disconnected during message iteration") from cause
    assert was_closed(lost.value) is closed


def test_one_address_is_tried_again_with_waits_that_double() -> None:
    attempts = Attempts(1, 100, 1_000, Random(1))
    waits = [attempts.turn(held=False) for _ in range(6)]
    assert not attempts.has_others
    assert all(most // 2 <= wait <= most for wait, most in zip(waits, (100, 200, 400, 800, 1_000, 1_000), strict=True))


def test_only_a_client_with_another_address_leaves_a_silent_machine_soon() -> None:
    assert (keepalive_s(15, has_others=False), keepalive_s(15, has_others=True)) == (15, 2)
    assert socket_options(has_others=False) == NO_DELAY
    assert set(NO_DELAY) < set(socket_options(has_others=True))


def test_an_address_without_a_core_worker_is_left_after_three_heartbeats() -> None:
    watch = CoreWatch(2)
    watch.connected(1_000)
    watch.heard(2_000, 200)
    assert watch.overdue_ms(2_599) is None
    assert watch.overdue_ms(2_600) == 600


def test_while_no_address_has_a_core_worker_each_round_waits_twice_as_long() -> None:
    watch, now_ms, stays = CoreWatch(2), 0, list[int]()
    for _ in range(16):
        watch.connected(now_ms)
        began_ms = now_ms
        while watch.overdue_ms(now_ms) is None:
            now_ms += 1_000
        stays.append(now_ms - began_ms)
    assert stays == [15_000 << doublings for doublings in (0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5, 5, 5, 5)]
    watch.heard(now_ms, 5_000)
    assert watch.overdue_ms(now_ms + 15_000) == 15_000


def test_the_only_address_is_never_left_nor_one_whose_core_worker_promises_no_heartbeats() -> None:
    only, old = CoreWatch(1), CoreWatch(2)
    for watch in (only, old):
        watch.connected(0)
    old.heard(0, None)
    assert only.overdue_ms(10**9) is None
    assert old.overdue_ms(10**9) is None
