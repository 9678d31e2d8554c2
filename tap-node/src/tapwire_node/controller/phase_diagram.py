"""The diagram of the phases, made from the transition table.

`TRANSITIONS` says which handler takes which event in which phase; `TARGET_PHASES` lists the phases to which a handler may lead.
Every test that drives a controller compares each step with this diagram, so that it can't be incomplete.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tapwire_contracts.reasons import Phase
from tapwire_node.controller.events import Event
from tapwire_node.controller.grant import open_if_still_true, receive_grant
from tapwire_node.controller.pouring import advance_settling, finish_by_verdict, watch_pour
from tapwire_node.controller.question import ask_core, receive_denial, repeat_or_give_up
from tapwire_node.controller.state import RESTING_PHASES
from tapwire_node.controller.transitions import TRANSITIONS

TARGET_PHASES: Final[Mapping[Any, tuple[Phase, ...]]] = {
    ask_core: (Phase.AUTHORIZING, Phase.CARD_MUST_BE_REMOVED),
    repeat_or_give_up: (Phase.CARD_MUST_BE_REMOVED,),
    receive_denial: (Phase.CARD_MUST_BE_REMOVED,),
    receive_grant: (Phase.CARD_MUST_BE_REMOVED,),
    open_if_still_true: (Phase.POURING, Phase.CARD_MUST_BE_REMOVED),
    watch_pour: (Phase.SETTLING,),
    advance_settling: (Phase.CARD_MUST_BE_REMOVED,),
    finish_by_verdict: (Phase.CARD_MUST_BE_REMOVED,),
}

Edge = tuple[Phase, Phase, str]
"""Phase before, phase after, and the event's name."""


def edges() -> Iterator[Edge]:
    """Every possible change of phase, in the order of the table."""
    for (phase, event), handler in TRANSITIONS.items():
        for to in TARGET_PHASES.get(handler, ()):
            if to is not phase:
                yield phase, to, event.__name__


EDGES: Final = frozenset(edges())


def is_in_diagram(before: Phase, event: type[Event], after: Phase) -> bool:
    """True when the diagram has this change; changes among the resting phases need no arrow."""
    if before is after or (before in RESTING_PHASES and after in RESTING_PHASES):
        return True
    targets = {to for start, to, name in EDGES if (start, name) == (before, event.__name__)}
    return after in targets or (after in RESTING_PHASES and Phase.CARD_MUST_BE_REMOVED in targets)


def mermaid() -> str:
    """The diagram in Mermaid's syntax."""
    labels: dict[tuple[Phase, Phase], list[str]] = {}
    for before, after, event in edges():
        labels.setdefault((before, after), []).append(event)
    resting = [f"        {phase.value}" for phase in Phase if phase in RESTING_PHASES]
    arrows = [f"    {before.value} --> {after.value}: {'<br/>'.join(names)}" for (before, after), names in labels.items()]
    return "\n".join(
        ["stateDiagram-v2", "    [*] --> OUT_OF_SERVICE", '    state "at rest" as resting {', *resting, "    }", *arrows]
    )
