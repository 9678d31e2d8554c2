"""Encoding and decoding of messages, with the size limit, and one `Malformation` for each that can't be read."""

import json
from typing import Any, Final

import msgspec

from tapwire_contracts.messages import ROUTES, Message, Route, message_type
from tapwire_contracts.reasons import Malformation
from tapwire_contracts.topics import DeviceKind, DevicePath, InvalidTopic, parse_device_topic

MAX_PAYLOAD_BYTES: Final = 16 * 1024

DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Errors of msgspec for bytes that are not JSON, don't fit their payload, or nest too deep."""
MAX_INTEGER_DIGITS: Final = 18

_NUL_ESCAPE: Final = b"\\u0000"
_encoder: Final = msgspec.json.Encoder()


class Malformed(ValueError):
    """A message that can't be read; `malformation` is for programs, the text for people."""

    def __init__(self, malformation: Malformation, text: str) -> None:
        super().__init__(text)
        self.malformation = malformation


class Oversize(ValueError):
    """A message of ours above the size limit of receivers; never sent."""


def encode(message: Message) -> bytes:
    """Encode a payload; raises `Oversize` above `MAX_PAYLOAD_BYTES`."""
    payload = _encoder.encode(message)
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise Oversize(f"{type(message).__name__} has {len(payload)} bytes, at most {MAX_PAYLOAD_BYTES} are allowed")
    return payload


def decode(route: Route, payload: bytes) -> Message:
    """Decode a payload from a topic of this route; raises `Malformed`."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise Malformed(Malformation.OVERSIZE, f"{len(payload)} bytes, at most {MAX_PAYLOAD_BYTES} are allowed")
    if _NUL_ESCAPE in payload:
        raise Malformed(Malformation.INVALID_FIELD, "texts must not hold the NUL character")
    try:
        return _decoders[route].decode(payload)
    except DECODE_ERRORS as error:
        raise Malformed(_malformation(route, payload), str(error)) from error


def decode_from_device(topic: str, payload: bytes) -> tuple[DevicePath, Message]:
    """Decode a device's message; raises `Malformed`."""
    try:
        path, leaf = parse_device_topic(topic)
    except InvalidTopic as error:
        raise Malformed(Malformation.UNKNOWN_TOPIC, f"{error} is not a device's topic") from error
    route = _device_routes.get((path.kind, leaf))
    if route is None:
        raise Malformed(Malformation.UNKNOWN_TOPIC, f"{path.kind.value} have no topic {leaf[:100]!r}")
    return path, decode(route, payload)


def read_object(payload: bytes) -> dict[str, Any] | None:
    """Read a malformed payload as a JSON object, if it is one; numbers beyond 64-bit integers become text."""
    try:
        content = json.loads(payload, parse_int=_small_integer, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _small_integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_INTEGER_DIGITS else digits


def _malformation(route: Route, payload: bytes) -> Malformation:
    content = read_object(payload)
    if content is None:
        return Malformation.NOT_JSON
    known = {message_type(payload_class) for payload_class in route.payloads}
    kind = content.get("type")
    return Malformation.INVALID_FIELD if isinstance(kind, str) and kind in known else Malformation.UNKNOWN_TYPE


def _decoder(route: Route) -> msgspec.json.Decoder[Message]:
    union: Any = route.payloads[0]
    for payload in route.payloads[1:]:
        union = union | payload
    return msgspec.json.Decoder(union)


_decoders: Final = {route: _decoder(route) for route in ROUTES}
_device_routes: Final[dict[tuple[DeviceKind, str], Route]] = {(kind, route.leaf): route for route in ROUTES for kind in route.kinds}
