"""The diagram of the phases: it is committed as generated, and every arrow can happen."""

from pathlib import Path

from tapwire_contracts.reasons import ConfigStatus, DenyReason, Phase
from tapwire_node.controller.events import (
    ConfigUnreadable,
    Disconnected,
    GrantJournalled,
    HardwareFailed,
    JournalFailed,
    Part,
    ShutdownRequested,
    ValveTripped,
)
from tapwire_node.controller.phase_diagram import EDGES
from tapwire_node.phase_page import FILE, document
from tests.unit.node.controller_bench import OTHER_CARD, ControllerBench

ROOT = Path(__file__).parents[3]


def test_the_committed_diagram_is_made_from_the_table() -> None:
    assert (ROOT / FILE).read_text(encoding="utf-8") == document(), "run `make schemas` and commit what it changes"


def test_every_arrow_of_the_diagram_can_happen() -> None:
    walked = {edge for tap in [*ended_pours(), *given_up_questions(), *answers()] for edge in tap.phases}
    at_rest = {(before, Phase.CARD_MUST_BE_REMOVED, event) for before, after, event in walked if after is Phase.OUT_OF_SERVICE}
    at_rest |= {(before, Phase.CARD_MUST_BE_REMOVED, event) for before, after, event in walked if after is Phase.FAULT}

    assert EDGES - walked - at_rest == frozenset()


def ended_pours() -> list[ControllerBench]:
    """A pour, ended by each event that can."""
    taps = [ControllerBench().in_service() for _ in range(9)]
    grants = [tap.pour(max_duration_ms=1_000) for tap in taps]
    taps[0].wait(1_000)
    taps[0].wait(5_000)
    taps[1].lay(OTHER_CARD)
    taps[2].stop(grants[2].pour_id)
    taps[3].config(status=ConfigStatus.LOCKED)
    taps[4].happen(ConfigUnreadable, text="?")
    taps[5].happen(JournalFailed, text="disk full")
    taps[6].happen(HardwareFailed, part=Part.READER, text="gone")
    taps[7].happen(ValveTripped)
    taps[8].happen(ShutdownRequested)
    taps[8].wait(700)
    taps[8].settle(grants[8].pour_id)
    return taps


def given_up_questions() -> list[ControllerBench]:
    """A question, abandoned by each event that can."""
    taps = [ControllerBench().in_service() for _ in range(9)]
    for tap in taps[1:]:
        tap.lay()
    taps[0].happen(Disconnected)
    taps[0].lay()
    taps[1].wait(6_000)
    taps[2].lay(OTHER_CARD)
    taps[3].config(status=ConfigStatus.LOCKED)
    taps[4].happen(ConfigUnreadable, text="?")
    taps[5].happen(JournalFailed, text="disk full")
    taps[6].happen(HardwareFailed, part=Part.READER, text="gone")
    taps[7].core("core-2", contract_version="2.0")
    taps[8].happen(ShutdownRequested)
    return taps


def answers() -> list[ControllerBench]:
    """A question that is denied, and two with a grant that must be refused."""
    denied, other_card, too_late = (ControllerBench().in_service() for _ in range(3))
    for tap in (denied, other_card, too_late):
        tap.lay()
    denied.deny(DenyReason.GUEST_BLOCKED)
    other_card.grant(card_uid=OTHER_CARD)
    too_late.journal_answers = False
    grant = too_late.grant()
    too_late.now_ms += 5_001
    too_late.happen(GrantJournalled, pour_id=grant.pour_id)
    return [denied, other_card, too_late]
