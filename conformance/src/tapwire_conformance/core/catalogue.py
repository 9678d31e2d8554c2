"""All rules that a core is tried against, in the order in which they are tried."""

from typing import Final

from tapwire_conformance.core import authorisation, broker_deaths, devices, door, grants, odometers, recovery, settlement, wire
from tapwire_conformance.core.stage import CoreStage
from tapwire_conformance.rules import Catalogue

PARTS: Final = (authorisation, grants, settlement, odometers, recovery, wire, devices, door, broker_deaths)
CORE_RULES: Final[Catalogue[CoreStage]] = Catalogue([rule for part in PARTS for rule in part.RULES.rules])
