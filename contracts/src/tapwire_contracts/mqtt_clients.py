"""Additions to MQTT client libraries: socket options, and the detection of refused subscriptions."""

import socket
from collections.abc import Iterable, Sequence
from typing import Any, Final

NO_DELAY: Final = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)
"""Socket options: a small packet does not wait for the last one's acknowledgement, which would add 40 to 90 ms to a round trip."""
FIRST_REFUSAL: Final = 0x80
"""The lowest reason code of a refusal in a SUBACK (MQTT 5, 3.9.3), and the only one of MQTT 3.1.1."""


def refused_filters(subscriptions: Sequence[tuple[str, int]], codes: Iterable[Any]) -> list[str]:
    """List the refused filters of these subscriptions (filter, QoS); a code is a number, or has one as its `value`."""
    return [topic for (topic, _), code in zip(subscriptions, codes, strict=True) if _number(code) >= FIRST_REFUSAL]


def _number(code: Any) -> int:
    return int(getattr(code, "value", code))
