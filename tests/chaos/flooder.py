"""A broken device as a process of its own: `python -m tests.chaos.flooder PORT SECRET garbage|replay CARD VICTIM PER_SECOND`."""

import socket
import sys
import time
from collections.abc import Iterator
from itertools import count, cycle, islice
from typing import Final

from paho.mqtt.client import Client, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from tapwire_contracts.codec import encode
from tapwire_contracts.topics import ROOT, DevicePath
from tests.venue import SimulatedTap

FLOODER: Final = "bar/taps/flooder"
POUR_ID: Final = "00000000-0000-4000-8000-000000000000"
TICKS_A_SECOND: Final = 20
WRITTEN_OUT_S: Final = 60
"""After so long it says the same again."""
PUBLISH: Final = 0x30
"""The first byte of such a packet."""
Messages = Iterator[tuple[str, str | bytes]]
"""Topics' leaves and payloads."""


def nonsense() -> Messages:
    """No JSON, a report without ids, and progress of a pour that nobody granted; without end."""
    for number in count():
        yield "card", f"{{{number}"
        yield "pour/completed", '{"type": "pour_completed", "volume_ml": -1}'
        yield "pour/progress", f'{{"type": "pour_progress", "pour_id": "{POUR_ID}", "volume_ml": {number}, "elapsed_ms": 1}}'


def replayed(victim: str, card_uid: str) -> Messages:
    """Another tap's question and report, again and again."""
    old = SimulatedTap(DevicePath.parse(victim))
    question = old.question(card_uid)
    report = old.report(question.event_id, card_uid, 0)
    yield from cycle([("card", encode(question)), ("pour/completed", encode(report))])


def packet(topic: str, payload: str | bytes) -> bytes:
    """A PUBLISH of QoS 0 as MQTT 3.1.1 has it on the wire, of less than 16 KiB."""
    name, content = topic.encode(), payload if isinstance(payload, bytes) else payload.encode()
    body = len(name).to_bytes(2, "big") + name + content
    return bytes([PUBLISH, len(body) % 128 | 128, len(body) // 128]) + body


def flood(port: int, secret: str, messages: Messages, per_second: int) -> None:
    """Publish on the device's own topics, until it is killed.

    What it says is written out before, and goes past the library: the machine that is looked at must not be busy with flooding.
    """
    client = Client(CallbackAPIVersion.VERSION2, FLOODER, protocol=MQTTv311)
    client.username_pw_set(FLOODER, secret)
    client.connect("127.0.0.1", port)
    while not client.is_connected():
        client.loop()
    said = b"".join(packet(f"{ROOT}/{FLOODER}/{leaf}", payload) for leaf, payload in islice(messages, per_second * WRITTEN_OUT_S))
    size = len(said) // (TICKS_A_SECOND * WRITTEN_OUT_S)
    connection = client.socket()
    assert isinstance(connection, socket.socket)
    connection.setblocking(True)
    while True:
        for start in range(0, len(said), size):
            connection.sendall(said[start : start + size])
            time.sleep(1 / TICKS_A_SECOND)


if __name__ == "__main__":
    _, listens_at, password, kind, card, other, rate = sys.argv
    flood(int(listens_at), password, nonsense() if kind == "garbage" else replayed(other, card), int(rate))
