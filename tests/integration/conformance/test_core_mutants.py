"""Faults of a core, each caught by the rule that names it."""

from typing import Final

import pytest

from tapwire_contracts.reasons import DenyReason
from tapwire_core.db.engine import Database
from tapwire_core.db.writes.nodes import store_silence
from tapwire_core.domain import authorization
from tapwire_core.domain.authorization import authorize, pour_never_started
from tapwire_core.domain.pour_reports import SettlementFacts
from tapwire_core.domain.settlement import _late, settle, settle_new_report
from tapwire_core.services.pours import AuthorizationRequest
from tapwire_demo.broker import EmbeddedBroker
from tests.integration.conformance.mutants import Mutant, mutant
from tests.integration.conformance.whole_core import broken, whole_core

SAME_REPORT: Final = "WHEN earlier.report_id IS NOT NULL THEN"
REPEAT: Final = AuthorizationRequest._repeat
MUTANTS: Final = (
    mutant("AUTH-20", "less than the price is held", (authorize, "charge(max_volume_ml, ", "charge(max_volume_ml // 2, ")),
    mutant("AUTH-22", "a spent grant is repeated", (REPEAT, "if earlier.granted and not earlier.pending:", "if False:")),
    mutant("AUTH-23", "a used event_id is answered", (REPEAT, "earlier.fingerprint != self.fingerprint", "False")),
    mutant("AUTH-24", "what never started stays", (pour_never_started, "return pending if proved else None", "return None")),
    mutant("AUTH-25", "another journal voids it", (pour_never_started, "pending.journal_id == question.journal_id", "True")),
    mutant("CORE-7", "a silent node stays online", (store_silence, "WHERE status = 'online' AND (", "WHERE false AND (")),
    mutant("SETTLE-2", "another card's report is charged", (SettlementFacts.for_card, "self if matches else", "self if True else")),
    mutant("SETTLE-4", "nobody is asked about a mismatch", (_late, "if outcome is not Outcome.AUDIT_LATE_MATCHED:", "if False:")),
    mutant("SETTLE-7", "a failing meter takes the balance", (settle, "if not is_far_over:", "if covered or not is_far_over:")),
    mutant("SETTLE-10", "everything is believed", (settle_new_report, "implausibility(report, policy, facts.pour)", "None")),
    mutant("SETTLE-11", "stock follows the latest report", (settle, "max(pour.stock_ml, report.volume_ml)", "report.volume_ml")),
)
FORGOTTEN: Final = {
    "AUTH-5": DenyReason.TAP_NOT_CONFIGURED,
    "AUTH-9": DenyReason.LOST_CARD,
    "AUTH-12": DenyReason.GUEST_BLOCKED,
    "AUTH-13": DenyReason.AGE_RESTRICTED,
    "AUTH-16": DenyReason.SERVING_LIMIT_REACHED,
    "IDENTITY-1": DenyReason.TAP_LOCKED,
}
"""Rules of the table, and the reason whose row the mutant's table lacks."""


async def test_a_core_that_takes_a_repeated_report_for_a_new_one_is_caught(
    unchecked_db: Database, owner_db: Database, mosquitto: EmbeddedBroker
) -> None:
    made = await owner_db.pool.fetchval("SELECT pg_get_functiondef('report_facts'::regproc)")
    assert SAME_REPORT in made
    await owner_db.pool.execute(made.replace(SAME_REPORT, "WHEN false THEN"))

    async with whole_core(unchecked_db, mosquitto) as core:
        assert list(broken(await core.judge("SETTLE-1"))) == ["SETTLE-1"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", MUTANTS, ids=str)
async def test_each_fault_is_caught_by_the_rule_that_names_it(
    fault: Mutant, monkeypatch: pytest.MonkeyPatch, unchecked_db: Database, mosquitto: EmbeddedBroker
) -> None:
    for mutation in fault.mutations:
        mutation.apply(monkeypatch)
    async with whole_core(unchecked_db, mosquitto) as core:
        assert list(broken(await core.judge(fault.rule_id))) == [fault.rule_id]


@pytest.mark.slow
@pytest.mark.parametrize(("rule_id", "reason"), FORGOTTEN.items())
async def test_each_row_that_the_table_lacks_is_missed_by_its_rule(
    rule_id: str, reason: DenyReason, monkeypatch: pytest.MonkeyPatch, unchecked_db: Database, mosquitto: EmbeddedBroker
) -> None:
    monkeypatch.setattr(authorization, "RULES", tuple(row for row in authorization.RULES if row[0] is not reason))
    async with whole_core(unchecked_db, mosquitto) as core:
        assert list(broken(await core.judge(rule_id))) == [rule_id]
