"""Our own core keeps every rule that the kit tries a core against."""

from dataclasses import replace
from typing import Final

import pytest

from tapwire_conformance.core.catalogue import CORE_RULES
from tapwire_conformance.runner import Outcome
from tapwire_core.db.engine import Database
from tapwire_demo.broker import EmbeddedBroker
from tests.integration.conformance.whole_core import TIMING, broken, whole_core

BUDGET: Final = 40


@pytest.mark.lasts
async def test_our_core_keeps_every_rule(db: Database, mosquitto: EmbeddedBroker) -> None:
    async with whole_core(db, mosquitto) as core:
        results = await core.judge()

    assert broken(results) == {}
    assert [each.rule_id for each in results if each.outcome is not Outcome.KEPT] == ["BUDGET-1", "BROKER-4", "BROKER-5"]
    assert len(results) == len(CORE_RULES.rules)


@pytest.mark.parametrize(("allowed", "outcome"), [(BUDGET, Outcome.KEPT), (10 * BUDGET, Outcome.BROKEN)])
async def test_a_core_gives_a_device_no_more_answers_than_its_budget_and_one_that_gives_more_is_caught(
    db: Database, mosquitto: EmbeddedBroker, allowed: int, outcome: Outcome
) -> None:
    async with whole_core(db, mosquitto, allowed) as core:
        (result,) = await core.judge("BUDGET-1", timing=replace(TIMING, decisions_per_hour=BUDGET))

    assert result.outcome is outcome, result.detail
