"""The author of a change: an operator, a device, or the core itself."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Actor:
    """The author's name in the audit log (an operator's username, or a device's path), and the id of the request."""

    name: str
    request_id: str | None = None


CORE: Final = Actor("core")
"""The author of periodic tasks and checks, which no person or device requested."""
