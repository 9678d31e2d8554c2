"""The program at the tap: reader, valve, flow meter, journal and broker connection of one tap."""

from importlib.metadata import version
from typing import Final

PACKAGE: Final = "tapwire-node"
SOFTWARE: Final = f"{PACKAGE} {version(PACKAGE)}"
