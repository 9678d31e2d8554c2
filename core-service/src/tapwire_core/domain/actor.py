"""The author of a change: an operator, a device, or the core itself."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Actor:
    """The name that the audit log shows (an operator's username, or a device's path), and the request it came with."""

    name: str
    request_id: str | None = None


CORE: Final = Actor("core")
"""The author of sweeps and checks, which no person and no device asked for."""
