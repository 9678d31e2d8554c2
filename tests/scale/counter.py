"""Counts the messages that go over the broker, in a process of its own: `python -m tests.scale.counter`, a plan on stdin."""

import sys
import time
from collections import Counter

import msgspec
from msgspec import Struct

from tapwire_contracts.topics import ROOT
from tests.bench.load import LOOK_S, Connections, Login

KEEP_ALIVE_S = 1.0


class CountingPlan(Struct, frozen=True):
    """What to count with, and for how long."""

    login: Login
    seconds: float


class Counted(Struct, frozen=True):
    """Messages and bytes of payload in `seconds`, by the end of the topic; retained ones that came first are left out."""

    seconds: float
    messages: dict[str, int]
    payload_bytes: dict[str, int]


def count(plan: CountingPlan) -> Counted:
    """Listen to everything for a time."""
    messages, payload_bytes = Counter[str](), Counter[str]()
    connections = Connections()

    def hear(topic: str, payload: bytes | bytearray, *, is_retained: bool) -> None:
        if not is_retained:
            leaf = leaf_of(topic)
            messages[leaf] += 1
            payload_bytes[leaf] += len(payload)

    connections.open(
        plan.login,
        f"{ROOT}/#",
        lambda message: hear(message.topic, message.payload, is_retained=message.retain),
    )
    began_s = alive_s = time.monotonic()
    messages.clear()
    payload_bytes.clear()
    while (now_s := time.monotonic()) < began_s + plan.seconds:
        connections.work(LOOK_S)
        if now_s - alive_s > KEEP_ALIVE_S:
            alive_s = now_s
            connections.keep_alive()
    return Counted(time.monotonic() - began_s, dict(messages), dict(payload_bytes))


def leaf_of(topic: str) -> str:
    """What a topic is about: `state` of `tapwire/v1/bar/taps/left/state`, `core` of a core worker's own."""
    levels = topic.removeprefix(f"{ROOT}/").split("/")
    return "/".join(levels[3:]) or levels[0]


if __name__ == "__main__":
    counted = count(msgspec.json.decode(sys.stdin.buffer.read(), type=CountingPlan))
    sys.stdout.buffer.write(msgspec.json.encode(counted))
