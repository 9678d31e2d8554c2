"""The real node at a broker: questions, grants, reports, and the core's requests."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from tapwire_demo.broker import EmbeddedBroker
from tests.integration.node.rig import CARD, FLOW_ML_PER_S, OTHER_CARD, SHORT, Rig, rig_at
from tests.stolen_time import Stolen


@pytest.fixture
async def rig(broker: EmbeddedBroker, tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_at(broker, tmp_path) as rig:
        yield rig


@pytest.fixture
async def impatient(broker: EmbeddedBroker, tmp_path: Path) -> AsyncIterator[Rig]:
    """A rig whose node soon gives up a question that is not answered."""
    async with rig_at(broker, tmp_path, limits={"request_timeout_ms": 1_500, "question_repeat_ms": 50}) as rig:
        yield rig


async def test_a_card_is_granted_poured_reported_and_settled(rig: Rig) -> None:
    pour_id = await rig.pour()
    await rig.poured(60)
    rig.tap.reader.remove()
    report = await rig.core.hear("pour_completed")
    await rig.phase("IDLE")

    assert (report["pour_id"], report["card_uid"], report["end_reason"]) == (pour_id, CARD, "card_removed")
    assert report["volume_ml"] == rig.tap.flowed_ml == report["odometer_to_ml"] - report["odometer_from_ml"]
    assert rig.core.all("pour_progress", pour_id=pour_id)
    question = rig.core.all("card_presented")[0]
    assert (question["seq"], question["unsettled"]) == (1, [])
    assert len(rig.core.all("card_removed", card_uid=CARD)) == 1
    final = await rig.core.hear("node_state", phase="IDLE", facts_open=0, odometer_ml=report["odometer_to_ml"])
    assert (final["valve"], final["journal_id"]) == ("closed", report["journal_id"])


async def test_the_cap_closes_the_valve_within_a_few_millilitres(rig: Rig) -> None:
    with Stolen.measured() as stolen:
        await rig.pour(max_volume_ml=100)
        report = await rig.core.hear("pour_completed")
    assert report["end_reason"] == "limit"
    assert 100 <= report["volume_ml"] <= 120 + stolen.flow_ml(FLOW_ML_PER_S)


async def test_a_denial_for_funds_opens_nothing_and_warns_the_operator_in_both_languages(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    rig.tap.reader.present(CARD)
    question = await rig.core.hear("card_presented")
    text = "Insufficient funds: top up guest balance before pouring."
    await rig.core.command(
        "pour_denied", request_id=question["event_id"], reason="insufficient_funds", message=text, display={"message": text}
    )
    await rig.phase("CARD_MUST_BE_REMOVED")

    warnings = [record.getMessage() for record in caplog.records if record.getMessage().startswith("operator: ")]
    assert len(warnings) == 1
    assert text in warnings[0]
    assert "Недостаточно средств" in warnings[0]
    assert rig.tap.flowed_ml == 0
    rig.tap.reader.remove()
    await rig.phase("IDLE")


async def test_an_unanswered_question_is_repeated_unchanged_and_its_late_grant_never_opens(impatient: Rig) -> None:
    impatient.tap.reader.present(CARD)
    question = await impatient.core.hear("card_presented", 3)
    assert all(repeated == question for repeated in impatient.core.all("card_presented"))
    await impatient.phase("CARD_MUST_BE_REMOVED")

    pour_id = await impatient.core.grant(question)
    report = await impatient.core.hear("pour_completed", pour_id=pour_id)

    assert (report["volume_ml"], report["end_reason"], report["card_uid"]) == (0, "never_started", CARD)
    assert impatient.tap.flowed_ml == 0


async def test_another_card_closes_at_once_and_is_not_asked_for(rig: Rig) -> None:
    pour_id = await rig.pour()
    await rig.poured(20)
    rig.tap.reader.present(OTHER_CARD)
    report = await rig.core.hear("pour_completed")
    await rig.phase("CARD_MUST_BE_REMOVED")

    assert (report["pour_id"], report["card_uid"], report["end_reason"]) == (pour_id, CARD, "card_removed")
    assert not rig.core.all("card_presented", card_uid=OTHER_CARD)


async def test_a_card_that_is_left_on_opens_nothing_more_and_asks_nothing_more(rig: Rig) -> None:
    pour_id = await rig.pour(max_volume_ml=40)
    await rig.core.hear("pour_completed", pour_id=pour_id)
    await rig.phase("CARD_MUST_BE_REMOVED")
    flowed_ml = rig.tap.flowed_ml
    question = rig.core.all("card_presented")[-1]
    for _ in range(10):
        rig.tap.reader.present(CARD)
        await rig.core.grant(question)
        await asyncio.sleep(SHORT["limits"]["settle_wait_ms"] / 2_000)

    assert rig.node.state.phase.value == "CARD_MUST_BE_REMOVED"
    assert rig.tap.flowed_ml == flowed_ml
    assert {heard["event_id"] for heard in rig.core.all("card_presented")} == {question["event_id"]}
    rig.tap.reader.remove()
    await rig.phase("IDLE")


async def test_stop_and_lock_end_a_pour(rig: Rig) -> None:
    pour_id = await rig.pour()
    await rig.core.command("stop_pour", pour_id=pour_id, reason="operator")
    assert (await rig.core.hear("pour_completed", pour_id=pour_id))["end_reason"] == "stopped"
    rig.tap.reader.remove()

    pour_id = await rig.pour()
    await rig.core.configure(status="emergency_stop", revision=2)
    assert (await rig.core.hear("pour_completed", pour_id=pour_id))["end_reason"] == "disabled"
    await rig.core.hear("node_state", phase="OUT_OF_SERVICE", config_revision=2, valve="closed")


async def test_a_report_is_sent_until_its_verdict_comes_and_only_its_age_changes(rig: Rig) -> None:
    rig.core.verdicts = False
    await rig.pour(max_volume_ml=20)
    third = await rig.core.hear("pour_completed", 3)
    first = rig.core.all("pour_completed")[0]
    assert third["age_ms"] > first["age_ms"]
    assert {**third, "age_ms": 0} == {**first, "age_ms": 0}
    await rig.core.hear("node_state", facts_open=1, phase="CARD_MUST_BE_REMOVED")

    await rig.core.settle(first)
    await rig.core.hear("node_state", facts_open=0, phase="CARD_MUST_BE_REMOVED")
    rig.core.forget()
    await asyncio.sleep(0.6)
    assert rig.core.all("pour_completed") == []


async def test_a_new_core_worker_gets_the_open_facts(rig: Rig) -> None:
    rig.core.verdicts = False
    await rig.pour(max_volume_ml=20)
    await rig.core.hear("pour_completed", 4)
    rig.core.forget()
    rig.core.verdicts = True
    await rig.core.show_up("core-2")
    await rig.core.hear("pour_completed")


async def test_report_pour_is_answered_by_state_by_the_report_or_by_a_pour_that_never_started(rig: Rig) -> None:
    pour_id = await rig.pour()
    journal_id = rig.core.all("card_presented")[0]["journal_id"]
    await rig.core.hear("node_state", phase="POURING")
    rig.core.forget()
    await rig.core.command("report_pour", pour_id=pour_id, journal_id=journal_id)
    assert (await rig.core.hear("node_state"))["pour_id"] == pour_id

    await rig.poured(20)
    rig.tap.reader.remove()
    report = await rig.core.hear("pour_completed")
    await rig.phase("IDLE")
    await rig.core.command("report_pour", pour_id=pour_id, journal_id=journal_id)
    again = await rig.core.hear("pour_completed", 2)
    assert {**again, "age_ms": 0} == {**report, "age_ms": 0}

    unknown = str(uuid4())
    await rig.core.command("report_pour", pour_id=unknown, journal_id=journal_id)
    never = await rig.core.hear("pour_completed", pour_id=unknown)
    assert (never["volume_ml"], never["end_reason"], never["card_uid"]) == (0, "never_started", CARD)


async def test_a_pour_that_was_reported_as_never_started_can_never_start(impatient: Rig) -> None:
    await impatient.phase("IDLE")
    impatient.tap.reader.present(CARD)
    question = await impatient.core.hear("card_presented")
    pour_id = str(uuid4())
    await impatient.core.command("report_pour", pour_id=pour_id, journal_id=question["journal_id"])
    await impatient.core.hear("pour_completed", pour_id=pour_id)

    await impatient.core.grant(question, pour_id=pour_id)
    await impatient.phase("CARD_MUST_BE_REMOVED")

    assert impatient.tap.flowed_ml == 0
    assert not impatient.core.all("node_state", phase="POURING")


async def test_a_pour_of_another_journal_is_unknown(rig: Rig) -> None:
    pour_id = str(uuid4())
    await rig.core.command("report_pour", pour_id=pour_id, journal_id=str(uuid4()))
    unknown = await rig.core.hear("pour_unknown", pour_id=pour_id)
    assert unknown["journal_id"] == str(rig.node.state.journal.journal_id)
    assert not rig.core.all("pour_completed", pour_id=pour_id)


async def test_flow_through_the_closed_valve_is_an_alarm_and_a_fact(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.tap.leak_ml_per_s = 100
    await rig.core.hear("unattributed_flow")
    await rig.poured(20)
    rig.tap.leak_ml_per_s = 0
    await rig.core.hear("unattributed_flow", 2)
    await rig.core.hear("node_state", facts_open=0, odometer_ml=rig.tap.flowed_ml)

    flows = {flow["event_id"]: flow for flow in rig.core.all("unattributed_flow", cause="closed_valve")}.values()
    assert sum(flow["volume_ml"] for flow in flows) == rig.tap.flowed_ml
    assert [flow["odometer_from_ml"] for flow in flows] == [0, *(flow["odometer_to_ml"] for flow in flows)][:-1]
    assert any("ALARM" in record.getMessage() for record in caplog.records)
