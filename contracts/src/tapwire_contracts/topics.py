"""Topics, and paths of devices (CONTRACT.md, "Identity" and "MQTT").

A device's path is its MQTT username, its client id and the start of all its topics, so that one broker rule covers every device.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final, Self

ROOT: Final = "tapwire/v1"
HOME_ROOT: Final = "tapwire/home/v1"
"""The prefix of topics for home automation; no device's topic is below it."""
HOME_ASSISTANT: Final = "homeassistant"
"""Home Assistant's default discovery prefix."""
SLUG_PATTERN: Final = "^[a-z0-9][a-z0-9-]{0,30}$"
DEVICE_PATH_PATTERN: Final = "^[a-z0-9][a-z0-9-]{0,30}/(taps|readers)/[a-z0-9][a-z0-9-]{0,30}$"
"""The pattern of `DevicePath.parse`, for documentation."""
_SLUG: Final = re.compile(SLUG_PATTERN)


class DeviceKind(StrEnum):
    """Kinds of devices; the value is the path's middle part."""

    TAP = "taps"
    READER = "readers"


class InvalidPath(ValueError):
    """The text is not a device's path: `{venue}/taps/{tap}` or `{venue}/readers/{reader}` (CONTRACT.md, "Identity")."""


class InvalidTopic(ValueError):
    """The topic is not a device's topic below `tapwire/v1`."""


@dataclass(frozen=True, slots=True, order=True)
class DevicePath:
    """A device's path: `{venue}/taps/{tap}` or `{venue}/readers/{reader}`."""

    venue_id: str
    kind: DeviceKind
    device_id: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a path; raises `InvalidPath`."""
        parts = text.split("/")
        if len(parts) != 3 or parts[1] not in (DeviceKind.TAP, DeviceKind.READER) or not (is_slug(parts[0]) and is_slug(parts[2])):
            raise InvalidPath(
                f"{text[:100]!r} is not a device path: write VENUE/taps/TAP or VENUE/readers/READER, ids of a-z, 0-9 and hyphens"
            )
        return cls(parts[0], DeviceKind(parts[1]), parts[2])

    def __str__(self) -> str:
        return f"{self.venue_id}/{self.kind.value}/{self.device_id}"

    def topic(self, leaf: str) -> str:
        """The full topic of one of this device's leaves, such as `pour/completed`."""
        return f"{ROOT}/{self}/{leaf}"


def tap_path(venue_id: str, tap_id: str) -> DevicePath:
    """Make a tap's path; raises `InvalidPath` for an invalid id."""
    return DevicePath.parse(f"{venue_id}/{DeviceKind.TAP.value}/{tap_id}")


def is_slug(text: str) -> bool:
    """Return True for a valid id of a venue, tap or reader."""
    return _SLUG.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def parse_device_topic(topic: str) -> tuple[DevicePath, str]:
    """Split a device's topic into its path and leaf; raises `InvalidTopic`."""
    prefix = ROOT + "/"
    parts = topic.removeprefix(prefix).split("/", 3)
    if not topic.startswith(prefix) or len(parts) != 4:
        raise InvalidTopic(topic[:200])
    try:
        return DevicePath.parse("/".join(parts[:3])), parts[3]
    except InvalidPath as error:
        raise InvalidTopic(topic[:200]) from error


def home_topic(venue_id: str, tap_id: str) -> str:
    """The topic of a tap's state for home automation."""
    return f"{HOME_ROOT}/{venue_id}/{tap_id}"


def core_state_topic(instance_id: str) -> str:
    """The topic of one core worker's presence."""
    return f"{ROOT}/core/{instance_id}/state"
