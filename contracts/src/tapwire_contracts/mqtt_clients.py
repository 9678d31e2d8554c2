"""Additions to MQTT client libraries: socket options, and the detection of refused subscriptions."""

import socket
from collections.abc import Iterable, Sequence
from typing import Any, Final

NO_DELAY: Final = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)
"""The socket's options: a small packet waits for no acknowledgement of the last one, which would cost a round trip 40 to 90 ms."""


FIRST_REFUSAL: Final = 0x80
"""From here on a SUBACK's reason codes are refusals (MQTT 5, 3.9.3); MQTT 3.1.1 has this one alone."""


def refused_filters(subscriptions: Sequence[tuple[str, int]], codes: Iterable[Any]) -> list[str]:
    """The topic filters that were refused, of those asked for with their QoS; a code is a number, or has one as its `value`."""
    return [topic for (topic, _), code in zip(subscriptions, codes, strict=True) if _number(code) >= FIRST_REFUSAL]


def _number(code: Any) -> int:
    return int(getattr(code, "value", code))
