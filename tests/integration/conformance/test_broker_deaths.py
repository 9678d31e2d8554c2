"""A broker that the kit kills: our node and our core bear it, whether the broker forgets or keeps, and faults are caught."""

from pathlib import Path

import pytest

from tapwire_conformance.own_broker import OwnBroker
from tapwire_conformance.runner import Outcome
from tapwire_core.db.engine import Database
from tests.integration.conformance.kits_broker import KitsBroker
from tests.integration.conformance.whole_core import whole_core
from tests.integration.conformance.whole_node import whole_node


@pytest.mark.lasts
async def test_our_node_bears_the_death_of_its_broker_at_each_message(
    kits_broker: KitsBroker, own_broker: OwnBroker, tmp_path: Path
) -> None:
    async with whole_node(kits_broker, tmp_path, own_broker=own_broker) as node:
        results = await node.judge("BROKER")

    assert [(each.rule_id, each.outcome, each.detail) for each in results] == [
        (f"BROKER-{number}", Outcome.KEPT, "") for number in (1, 2, 3)
    ]


@pytest.mark.lasts
async def test_our_core_bears_the_death_of_its_broker_at_each_message(
    db: Database, kits_broker: KitsBroker, own_broker: OwnBroker
) -> None:
    async with whole_core(db, kits_broker, own_broker=own_broker) as core:
        results = await core.judge("BROKER")

    assert [(each.rule_id, each.outcome, each.detail) for each in results] == [
        (f"BROKER-{number}", Outcome.KEPT, "") for number in (4, 5)
    ]
