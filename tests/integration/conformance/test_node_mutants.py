"""Faults of a tap node, each caught by the rule that names it."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from tapwire_demo.broker import EmbeddedBroker
from tapwire_node.controller.core_commands import receive_stop
from tapwire_node.controller.grant import grant_refusal_reason, refuse_grant
from tapwire_node.controller.journal_renewal import receive_renewal
from tapwire_node.controller.node_state import node_state_message
from tapwire_node.controller.observations import observe_config
from tapwire_node.controller.pouring import pour_end_reason, pour_fact, watch_pour
from tapwire_node.controller.question import give_up_reason, receive_denial, send_question
from tapwire_node.mqtt.broker_connection import BrokerConnection
from tapwire_node.mqtt.resend_queue import ResendQueue
from tests.integration.conformance.mutants import Mutant, mutant
from tests.integration.conformance.whole_core import broken
from tests.integration.conformance.whole_node import NODE, whole_node

RETAINED: Final = mutant(
    "VALVE-3", "a retained grant opens", (BrokerConnection._receive, "if route is COMMAND and delivery.retain:", "if False:")
)
MUTANTS: Final = (
    mutant(
        "VALVE-1",
        "half of what flowed is reported",
        (
            pour_fact,
            "volume_ml=state.odometer.ml -",
            "volume_ml=state.odometer.ml // 2 -",
        ),
    ),
    mutant(
        "VALVE-4",
        "a late grant opens",
        (give_up_reason, "> state.limits.request_timeout_ms", "> 1_000_000"),
        (grant_refusal_reason, "> state.limits.request_timeout_ms", "> 1_000_000"),
    ),
    mutant("VALVE-6", "another card's grant opens", (grant_refusal_reason, " or grant.card_uid != question.card_uid", "")),
    mutant("VALVE-7", "another boot's grant is reported", (refuse_grant, "grant.request_id not in state.asked_ids", "False")),
    mutant("VALVE-10", "a denial is overruled", (receive_denial, "wait_for_removal(state, effects)", "(state, effects)")),
    mutant("VALVE-11", "an unknown pour can't be stopped", (receive_stop, "(WriteTombstone(stop.pour_id), note)", "(note,)")),
    mutant("CLOSE-1", "the cap does not close", (pour_end_reason, "if is_cap_reached(", "if False and is_cap_reached(")),
    mutant("CLOSE-4", "stop_pour does not close", (pour_end_reason, "if pour.stopped or state.stopping:", "if state.stopping:")),
    mutant("CLOSE-5", "a locked tap goes on", (pour_end_reason, "if not is_active(state):", "if False:")),
    mutant("ASK-2", "it asks for ever", (give_up_reason, "> state.limits.request_timeout_ms", "> 1_000_000")),
    mutant("ASK-4", "unsettled pours are not listed", (send_question, "unsettled=state.journal.unsettled", "unsettled=()")),
    mutant("REPORT-1", "a report is sent once", (ResendQueue.take_due, "if sending.due_ms <= now_ms", "if sending.attempts == 0")),
    mutant(
        "LINK-5",
        "a report that was lost stays lost",
        (ResendQueue.take_due, "if sending.due_ms <= now_ms", "if sending.attempts == 0"),
        (ResendQueue.resend_soon, "sending.attempts = 0", "pass"),
    ),
    mutant(
        "REPORT-7",
        "a new worker is told nothing",
        (ResendQueue.take_due, "if sending.due_ms <= now_ms", "if sending.attempts == 0"),
        (ResendQueue.resend_soon, "sending.attempts = 0", "pass"),
    ),
    mutant(
        "JOURNAL-2",
        "a journal is never renewed",
        (receive_renewal, "journal=replace(journal, renewal_due=True)", "journal=journal"),
    ),
    mutant("PROGRESS-1", "a pour shows nothing", (watch_pour, "(Publish(progress),)", "()")),
    mutant(
        "PROGRESS-1", "a pour shows too much", (watch_pour, "pour.progress_ms < state.limits.progress_ms", "pour.progress_ms < 0")
    ),
    mutant("STATE-3", "nobody knows its heartbeat", (node_state_message, "heartbeat_ms=state.limits.node_heartbeat_ms,", "")),
    mutant("LINK-6", "a pour has no end by time", (pour_end_reason, "pour.grant.max_duration_ms", "10**9")),
    mutant("CONFIG-3", "an old config brings a tap back", (observe_config, "config.revision < applied.revision", "False")),
    mutant("CONFIG-4", "an old order to close is ignored", (observe_config, " and config.status == ConfigStatus.ACTIVE", "")),
)
HURRIED: Final = replace(NODE, answer_s=4.0)


async def caught(fault: Mutant, monkeypatch: pytest.MonkeyPatch, mosquitto: EmbeddedBroker, folder: Path) -> dict[str, str]:
    """The rules that a mutant breaks, of the one that names it."""
    for mutation in fault.mutations:
        mutation.apply(monkeypatch)
    async with whole_node(mosquitto, folder) as node:
        return broken(await node.judge(fault.rule_id, settings=HURRIED))


async def test_a_valve_that_opens_on_a_retained_grant_is_caught(
    monkeypatch: pytest.MonkeyPatch, mosquitto: EmbeddedBroker, tmp_path: Path
) -> None:
    assert await caught(RETAINED, monkeypatch, mosquitto, tmp_path) == {"VALVE-3": "the valve opened"}


@pytest.mark.slow
@pytest.mark.parametrize("fault", MUTANTS, ids=str)
async def test_each_fault_is_caught_by_the_rule_that_names_it(
    fault: Mutant, monkeypatch: pytest.MonkeyPatch, mosquitto: EmbeddedBroker, tmp_path: Path
) -> None:
    assert list(await caught(fault, monkeypatch, mosquitto, tmp_path)) == [fault.rule_id]
