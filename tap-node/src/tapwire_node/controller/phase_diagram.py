"""The phases as a drawing, made from the table of transitions.

The table says which handler hears which event in which phase; `LEADS_TO` says where a handler may lead, other than to stay. Every
test that drives a controller compares what happens with this drawing, so that it can't lie by omission.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tapwire_contracts.reasons import Phase
from tapwire_node.controller.events import Event
from tapwire_node.controller.pouring import settle, settle_by_verdict, watch
from tapwire_node.controller.question import ask, keep_asking, open_if_still_true, take_denial, take_grant
from tapwire_node.controller.state import RESTING
from tapwire_node.controller.transitions import TRANSITIONS

LEADS_TO: Final[Mapping[Any, tuple[Phase, ...]]] = {
    ask: (Phase.AUTHORIZING, Phase.CARD_MUST_BE_REMOVED),
    keep_asking: (Phase.CARD_MUST_BE_REMOVED,),
    take_denial: (Phase.CARD_MUST_BE_REMOVED,),
    take_grant: (Phase.CARD_MUST_BE_REMOVED,),
    open_if_still_true: (Phase.POURING, Phase.CARD_MUST_BE_REMOVED),
    watch: (Phase.SETTLING,),
    settle: (Phase.CARD_MUST_BE_REMOVED,),
    settle_by_verdict: (Phase.CARD_MUST_BE_REMOVED,),
}

Edge = tuple[Phase, Phase, str]
"""From, to, and the event's name."""


def edges() -> Iterator[Edge]:
    """Every change of phase that the table can make, in the table's order."""
    for (phase, event), handler in TRANSITIONS.items():
        for to in LEADS_TO.get(handler, ()):
            if to is not phase:
                yield phase, to, event.__name__


EDGES: Final = frozenset(edges())


def is_drawn(before: Phase, event: type[Event], after: Phase) -> bool:
    """Whether the drawing has this change. A tap at rest goes at once to the resting phase that fits."""
    if before is after or (before in RESTING and after in RESTING):
        return True
    targets = {to for start, to, name in EDGES if (start, name) == (before, event.__name__)}
    return after in targets or (after in RESTING and Phase.CARD_MUST_BE_REMOVED in targets)


def mermaid() -> str:
    """The drawing, as a Mermaid state diagram."""
    labels: dict[tuple[Phase, Phase], list[str]] = {}
    for before, after, event in edges():
        labels.setdefault((before, after), []).append(event)
    resting = [f"        {phase.value}" for phase in Phase if phase in RESTING]
    arrows = [f"    {before.value} --> {after.value}: {'<br/>'.join(names)}" for (before, after), names in labels.items()]
    return "\n".join(
        ["stateDiagram-v2", "    [*] --> OUT_OF_SERVICE", '    state "at rest" as resting {', *resting, "    }", *arrows]
    )
