"""All rules that a core is tried against, in the order in which they are tried."""

from typing import Final

from tapwire_conformance.core import door, grants, odometers, recovery, settlement, wire
from tapwire_conformance.core.authorisation import RULES
from tapwire_conformance.core.stage import CoreStage
from tapwire_conformance.rules import Catalogue

PARTS: Final = (grants, settlement, odometers, recovery, wire, door)
"""The modules whose scenarios join the catalogue when they are imported."""
CORE_RULES: Final[Catalogue[CoreStage]] = RULES
