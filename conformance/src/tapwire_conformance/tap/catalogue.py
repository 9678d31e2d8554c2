"""All rules that a tap node is tried against, in the order in which they are tried."""

from typing import Final

from tapwire_conformance.rules import Catalogue
from tapwire_conformance.tap import closing, configs, connections, cuts, facts, journals, opening, presence, questions
from tapwire_conformance.tap.stage import TapStage

PARTS: Final = (opening, closing, questions, facts, configs, connections, presence, journals, cuts)
TAP_RULES: Final[Catalogue[TapStage]] = Catalogue([rule for part in PARTS for rule in part.RULES.rules])
