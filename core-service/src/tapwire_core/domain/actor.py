"""Who does something: an operator, a device, or the core itself."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Actor:
    """The name that the audit log shows (an operator's username, or a device's path), and the request it came with."""

    name: str
    request_id: str | None = None


CORE: Final = Actor("core")
"""What no person and no device asked for: sweeps and checks."""
