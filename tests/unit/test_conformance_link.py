"""The kit's link: it tells messages apart in the bytes of a connection, and breaks right before or after one of them."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tapwire_conformance.tap.link import Cut, Link
from tapwire_conformance.tap.packets import Packets, is_mqtt, message_of

CONNECT: Final = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"
TOPIC: Final = b"tapwire/v1/{odd}/card"
NUMBER: Final = 0x7B7B
"""A packet's number whose bytes are two braces."""


def publish(content: dict[str, Any], *, properties: bytes = b"", qos: int = 1) -> bytes:
    """A PUBLISH packet; with properties as MQTT 5 has them."""
    number = NUMBER.to_bytes(2) if qos else b""
    body = len(TOPIC).to_bytes(2) + TOPIC + number + properties + json.dumps(content).encode()
    length, rest = b"", len(body)
    while rest or not length:
        rest, low = divmod(rest, 128)
        length += bytes([low | (128 if rest else 0)])
    return bytes([0x30 | qos << 1]) + length + body


@pytest.mark.parametrize("step", [1, 2, 7, 1_000])
def test_packets_are_found_in_any_chunks(step: int) -> None:
    sent = [CONNECT, publish({"type": "card_presented", "text": "x" * 300}), b"\xc0\x00", publish({}, qos=0)]
    stream, packets = b"".join(sent), Packets()

    found = [packet for begin in range(0, len(stream), step) for packet in packets.take(stream[begin : begin + step])]

    assert found == sent


def test_a_message_is_read_with_a_number_or_a_property_that_looks_like_json() -> None:
    said = {"type": "pour_settled", "more": {"type": "not this"}}

    assert message_of(publish(said)) == said
    assert message_of(publish(said, qos=0)) == said
    assert message_of(publish(said, properties=b"\x05\x02{{{{")) == said
    assert message_of(publish({})) == message_of(CONNECT) == message_of(b"\xc0\x00") == {}


def test_tls_is_no_mqtt() -> None:
    assert is_mqtt(CONNECT)
    assert not is_mqtt(b"\x16\x03\x01")


@pytest.fixture
def way() -> Iterator[tuple[Link, socket.socket, socket.socket]]:
    """A link with its two ends."""
    with (
        socket.create_server(("127.0.0.1", 0)) as broker,
        Link("127.0.0.1", 0, broker.getsockname()[:2]) as link,
        socket.create_connection(("127.0.0.1", link.port), 5) as near,
    ):
        near.sendall(CONNECT)
        far, _ = broker.accept()
        far.settimeout(5)
        with far:
            assert far.recv(100) == CONNECT
            yield link, near, far


@pytest.mark.parametrize("is_lost", [True, False])
@pytest.mark.parametrize("is_answer", [True, False])
def test_the_link_breaks_before_or_after_the_message_that_fits_and_nobody_gets_through_until_it_is_opened(
    way: tuple[Link, socket.socket, socket.socket], is_lost: bool, is_answer: bool
) -> None:
    link, near, far = way
    sender, receiver = (far, near) if is_answer else (near, far)
    before, wanted = publish({"type": "other"}), publish({"type": "wanted"})
    link.close_at(Cut(lambda said: said.get("type") == "wanted", is_lost))

    sender.sendall(before + wanted + publish({"type": "later"}))

    assert everything(receiver) == (before if is_lost else before + wanted)
    assert not link.is_open
    with socket.create_connection(("127.0.0.1", link.port), 5) as next_one:
        assert everything(next_one) == b""
    link.open()
    with socket.create_connection(("127.0.0.1", link.port), 5) as next_one:
        next_one.sendall(CONNECT)
        time.sleep(0.05)
        next_one.settimeout(0.1)
        with pytest.raises(TimeoutError):
            next_one.recv(1)


def everything(end: socket.socket) -> bytes:
    """What comes until the connection ends."""
    end.settimeout(5)
    read = b""
    try:
        while chunk := end.recv(1_000):
            read += chunk
    except ConnectionResetError:
        pass
    return read
