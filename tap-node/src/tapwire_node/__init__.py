"""The program at the tap: reader, valve, flow meter, journal and broker connection of one tap."""

from typing import Final

VERSION: Final = "0.1.0"
SOFTWARE: Final = f"tapwire-node {VERSION}"
