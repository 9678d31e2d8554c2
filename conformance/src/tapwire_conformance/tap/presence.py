"""What a node says without being asked: its heartbeat, and how a pour goes on (CONTRACT.md)."""

import time
from itertools import pairwise
from typing import Final

from tapwire_conformance.rules import CORE_TO_NODE, NODE_TO_CORE, Broken, Catalogue, NotTried
from tapwire_conformance.tap.questions import readable
from tapwire_conformance.tap.stage import TapStage
from tapwire_contracts.messages import PROGRESS

RULES: Final[Catalogue[TapStage]] = Catalogue()
LONGEST_S: Final = 60.0
"""A heartbeat beyond this is not waited for."""
LATE_S: Final = 1.0
A_SECOND: Final = 5
"""So many `pour_progress` a second are allowed; one more may fall into a second by the network's delays."""


@RULES.should("STATE-3", CORE_TO_NODE)
def heartbeat(stage: TapStage) -> None:
    """The node's `state` names `heartbeat_ms`, and comes again at least that often though nothing happens."""
    heartbeat_ms = stage.state().get("heartbeat_ms")
    if heartbeat_ms is None:
        raise Broken("its state names no heartbeat_ms: without a will nobody learns that it is gone")
    if heartbeat_ms > LONGEST_S * 1_000:
        raise NotTried(f"its heartbeat of {heartbeat_ms / 1_000:g} s is not waited for")
    mark = stage.mark
    for count in (1, 2):
        stage.hear("node_state", mark, count, heartbeat_ms / 1_000 + LATE_S)


@RULES.should("PROGRESS-1", NODE_TO_CORE)
def progress(stage: TapStage) -> None:
    """While it pours, a node publishes `pour_progress` of that pour, at most five a second; the volume never goes back."""
    mark, began_s = stage.mark, time.monotonic()
    grant = stage.pour(max_volume_ml=5 * stage.settings.pour_ml)
    stage.act(f"pour {5 * stage.settings.pour_ml}")
    report = stage.report(grant, mark)
    took_s = time.monotonic() - began_s
    heard = stage.transcript.heard(mark, stage.fitting("pour_progress"))
    if not heard:
        raise Broken("it published no pour_progress: no screen shows how the pour goes on")
    if len(heard) > A_SECOND * took_s + 1:
        raise Broken(f"it published {len(heard)} pour_progress in {took_s:.1f} s")
    for each in heard:
        readable(PROGRESS, each.payload)
        if each.content["pour_id"] != grant["pour_id"] or each.content["volume_ml"] > report["volume_ml"]:
            raise Broken(f"the pour was reported as {report}, and its progress as {each.payload}")
    for earlier, later in pairwise(each.content for each in heard):
        if later["volume_ml"] < earlier["volume_ml"] or later["elapsed_ms"] < earlier["elapsed_ms"]:
            raise Broken(f"its progress went from {earlier} to {later}")
