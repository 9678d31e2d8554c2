"""The conformance kit: tries a tap node, or a core, against the rules of SYSTEM.md and CONTRACT.md."""

from importlib.metadata import version
from typing import Final

SOFTWARE: Final = f"tapwire-conformance {version('tapwire-conformance')}"
"""The name and version that the kit gives on the wire."""
