"""Volume is conserved: holes and overlaps of a meter's odometer, and flows without a grant (SYSTEM.md, "Settlement")."""

from typing import Any, Final

from tapwire_conformance.core.node import PlayedNode
from tapwire_conformance.core.stage import CoreStage
from tapwire_conformance.rules import NODE_TO_CORE, SETTLEMENT, Broken, Catalogue

RULES: Final[Catalogue[CoreStage]] = Catalogue()
FIRST_ML: Final = 5
"""A fact from which on the core knows the journal's odometer; of two states at once it may look at the second alone."""


def told(node: PlayedNode, flow: dict[str, Any]) -> None:
    """Send a flow, and wait until it is recorded."""
    mark = node.mark
    node.send("flow", flow)
    node.command("flow_recorded", mark, event_id=flow["event_id"])


@RULES.must("ODO-1", SETTLEMENT)
def hole(stage: CoreStage) -> None:
    """A hole in the odometer that nobody accounts for is taken from the keg, and raises `volume_gap`."""
    node = stage.node()
    stage.settle_incidents("volume_gap")
    told(node, node.flow_of(FIRST_ML))
    before_ml = stage.keg_ml()
    node.odometer_ml += 40
    node.show()
    stage.eventually(lambda: stage.incidents("volume_gap"), "the incident volume_gap")
    if (moved_ml := before_ml - stage.keg_ml()) != 40:
        raise Broken(f"a hole of 40 ml took {moved_ml} ml from the keg")


@RULES.must("ODO-2", SETTLEMENT)
def late_fact_fills_the_hole(stage: CoreStage) -> None:
    """A fact that comes later takes the hole's booking back; with nothing left, its incident is resolved."""
    node = stage.node()
    stage.settle_incidents("volume_gap")
    told(node, node.flow_of(FIRST_ML))
    before_ml = stage.keg_ml()
    flow = node.flow_of(40)
    node.show()
    stage.eventually(lambda: stage.incidents("volume_gap"), "the incident volume_gap")
    told(node, flow)
    stage.eventually(lambda: not stage.incidents("volume_gap"), "the end of the incident volume_gap")
    if (moved_ml := before_ml - stage.keg_ml()) != 40:
        raise Broken(f"40 ml, first a hole and then a fact, took {moved_ml} ml from the keg")


@RULES.must("ODO-3", SETTLEMENT)
def overlap(stage: CoreStage) -> None:
    """Two facts of one boot over the same stretch of odometer raise `odometer_rewound`."""
    node = stage.node()
    stage.settle_incidents("odometer_rewound")
    for _ in range(2):
        node.odometer_ml = 0
        told(node, node.flow_of(30))
    stage.eventually(lambda: stage.incidents("odometer_rewound"), "the incident odometer_rewound")


@RULES.must("ODO-4", NODE_TO_CORE)
def flow_without_a_grant(stage: CoreStage) -> None:
    """An `unattributed_flow` gets `flow_recorded` each time that it comes, moves stock once, and raises an incident."""
    node = stage.node()
    stage.settle_incidents("unattributed_flow")
    before_ml = stage.keg_ml()
    flow, mark = node.flow_of(25), node.mark
    for age_ms in (0, 1_000, 2_000):
        node.send("flow", {**flow, "age_ms": age_ms})
    node.command("flow_recorded", mark, count=3, event_id=flow["event_id"])
    if (moved_ml := before_ml - stage.keg_ml()) != 25:
        raise Broken(f"a flow of 25 ml, sent three times, took {moved_ml} ml from the keg")
    if not stage.incidents("unattributed_flow"):
        raise Broken("there is no incident unattributed_flow")
