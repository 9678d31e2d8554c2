"""What an MQTT connection carries, packet by packet, in 3.1.1 and in 5: so that it can be cut right after a certain message."""

from collections.abc import Iterator
from typing import Any, Final

from tapwire_contracts.codec import read_object

PUBLISH: Final = 3
_MORE: Final = 0x80
_QOS: Final = 0x06
_MAX_LENGTH_BYTES: Final = 4


class Packets:
    """Takes the bytes of one direction and gives whole packets."""

    def __init__(self) -> None:
        self._kept = b""

    def take(self, chunk: bytes) -> Iterator[bytes]:
        """The packets that are whole with these bytes."""
        self._kept += chunk
        while (length := _length(self._kept)) is not None and length <= len(self._kept):
            packet, self._kept = self._kept[:length], self._kept[length:]
            yield packet


def message_of(packet: bytes) -> dict[str, Any]:
    """The JSON object that a packet publishes; empty for any other packet."""
    if packet[0] >> 4 != PUBLISH:
        return {}
    begin = 1 + next(place for place, byte in enumerate(packet[1:], 1) if not byte & _MORE)
    begin += 2 + int.from_bytes(packet[begin : begin + 2])  # the topic
    begin += 2 if packet[0] & _QOS else 0  # the packet's number
    while (begin := packet.find(b"{", begin)) >= 0:  # MQTT 5 has properties before the payload
        if content := read_object(packet[begin:]):
            return content
        begin += 1
    return {}


def is_mqtt(first: bytes) -> bool:
    """Whether a connection's first byte is that of MQTT's CONNECT, which it can't be under TLS."""
    return first[:1] == b"\x10"


def _length(content: bytes) -> int | None:
    """The length of the first packet with its header; None while it can't be read."""
    rest = 0
    for place, byte in enumerate(content[1 : 1 + _MAX_LENGTH_BYTES]):
        rest |= (byte & ~_MORE) << 7 * place
        if not byte & _MORE:
            return 2 + place + rest
    return None
