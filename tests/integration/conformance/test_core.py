"""Our own core keeps every rule that the kit tries a core against."""

import pytest

from tapwire_conformance.core.catalogue import CORE_RULES
from tapwire_conformance.runner import Outcome
from tapwire_core.db.engine import Database
from tapwire_demo.broker import EmbeddedBroker
from tests.integration.conformance.whole_core import broken, whole_core


@pytest.mark.lasts
async def test_our_core_keeps_every_rule(db: Database, mosquitto: EmbeddedBroker) -> None:
    async with whole_core(db, mosquitto) as core:
        results = await core.judge()

    assert broken(results) == {}
    assert [result.rule_id for result in results if result.outcome is not Outcome.KEPT] == []
    assert len(results) == len(CORE_RULES.rules)
