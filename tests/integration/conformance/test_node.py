"""Our own tap node keeps every rule that the kit tries a node against."""

from pathlib import Path

import pytest

from tapwire_conformance.runner import Outcome
from tapwire_demo.broker import EmbeddedBroker
from tests.integration.conformance.whole_core import broken
from tests.integration.conformance.whole_node import whole_node


@pytest.mark.lasts
async def test_our_node_keeps_every_rule(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    async with whole_node(mosquitto, tmp_path) as node:
        results = await node.judge()

    assert broken(results) == {}
    not_tried = {result.rule_id: result.detail for result in results if result.outcome is Outcome.NOT_TRIED}
    assert not_tried.pop("REPORT-6") == "this rig can't power-cut"
    assert not_tried.keys() == {"BROKER-1", "BROKER-2", "BROKER-3"}
