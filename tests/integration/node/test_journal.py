"""The real node with a full or failing disk or a damaged journal: nothing flows, and the reason is visible."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from tapwire_demo.broker import EmbeddedBroker
from tapwire_node.journal.damage import damaged_journals
from tapwire_node.simulator.protocol import Action
from tests.integration.node.rig import OTHER_CARD
from tests.integration.node.simulator_rig import until
from tests.integration.node.test_simulator import Stage, stage_at

LESS_THAN_A_COMMIT: Final = 4_096
"""One page of the journal's log and its header are more; what the node says in its log is less."""
LESS_THAN_THE_RESERVE: Final = 512 * 1_024


@pytest.fixture
async def stage(mosquitto: EmbeddedBroker) -> AsyncIterator[Stage]:
    async with stage_at(mosquitto) as stage:
        yield stage


def journal_of(stage: Stage) -> Path:
    return stage.socket.parent / "tap-0" / "journal.sqlite"


def release_reserve(stage: Stage) -> None:
    Path(f"{journal_of(stage)}.reserve").unlink()


async def nothing_flows(stage: Stage) -> None:
    """Check that a card is refused on the screen, without a question and with the valve closed."""
    refusals = stage.node.log().count("out of service. Please use another one")
    flowed_ml, asked = stage.hand.look().flowed_ml, len(stage.core.all("card_presented"))
    stage.hand.act(Action.REMOVE)
    stage.hand.act(Action.PRESENT, card_uid=OTHER_CARD)
    await until(lambda: stage.node.log().count("out of service. Please use another one") > refusals, stage.node.log)
    stage.hand.act(Action.REMOVE)
    assert len(stage.core.all("card_presented")) == asked
    assert stage.hand.look().flowed_ml == flowed_ml


async def test_a_full_disk_closes_the_valve_and_the_report_comes_once_there_is_room(stage: Stage) -> None:
    pour_id = await stage.pour()
    stage.core.forget()
    stage.node.limit_files(LESS_THAN_A_COMMIT)
    await stage.is_shut()
    await stage.core.hear("node_state", phase="OUT_OF_SERVICE")
    await nothing_flows(stage)
    assert stage.core.all("pour_completed") == []

    stage.node.limit_files(None)
    report = await stage.core.hear("pour_completed", pour_id=pour_id)
    assert (report["end_reason"], report["volume_ml"]) == ("fault", stage.hand.look().flowed_ml)
    await stage.core.hear("node_state", phase="IDLE", facts_open=0)


async def test_without_room_for_the_reserve_no_pour_begins(stage: Stage) -> None:
    await stage.node.end()
    release_reserve(stage)
    stage.node.largest_file = LESS_THAN_THE_RESERVE
    await stage.start()
    await stage.core.hear("node_state", status="online", phase="OUT_OF_SERVICE")
    await nothing_flows(stage)
    assert "no room for the journal's reserve" in stage.node.log()

    stage.node.limit_files(None)
    pour_id = await stage.pour()
    stage.hand.act(Action.REMOVE)
    await stage.core.hear("pour_completed", pour_id=pour_id)


async def test_a_damaged_journal_is_set_aside_and_the_tap_waits_for_a_technician(stage: Stage) -> None:
    pour_id = await stage.pour()
    stage.hand.act(Action.REMOVE)
    await stage.core.hear("pour_completed", pour_id=pour_id)
    before = await stage.core.hear("node_state", phase="IDLE", facts_open=0)
    await stage.node.end()
    journal_of(stage).write_bytes(b"what the worn-out card gives back" * 500)

    await stage.start()
    await stage.core.hear("node_state", status="online", phase="OUT_OF_SERVICE")
    await nothing_flows(stage)
    (aside,) = damaged_journals(journal_of(stage))
    assert stage.node.log().count("ALARM: journal: the journal") <= 2, (
        "when it is found, and when it is found again; not at every try"
    )
    assert f"move {aside.name}* out of" in stage.node.log()

    office = stage.socket.parent / "office"
    office.mkdir()
    for part in aside.parent.glob(f"{aside.name}*"):
        part.rename(office / part.name)
    back = await stage.core.hear("node_state", status="online", phase="IDLE")
    assert back["journal_id"] != before["journal_id"]
    pour_id = await stage.pour()
    stage.hand.act(Action.REMOVE)
    await stage.core.hear("pour_completed", pour_id=pour_id)
