"""A broker that the kit kills: our node and our core bear it, whether the broker forgets or keeps, and faults are caught."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from tapwire_conformance.broker import BrokerUrl
from tapwire_conformance.own_broker import OwnBroker
from tapwire_conformance.runner import Outcome
from tapwire_conformance.tap.cuts import MESSAGES
from tapwire_core.db.engine import Database
from tapwire_core.services.pours import AuthorizationRequest
from tapwire_core.worker.worker import Worker
from tapwire_demo.processes import LOOPBACK
from tapwire_node.controller.observations import observe_config, observe_disconnected
from tapwire_node.mqtt.broker_connection import BrokerConnection
from tapwire_node.mqtt.resend_queue import ResendQueue
from tests.conftest import require_mosquitto
from tests.integration.conformance.kits_broker import FORGETS, KitsBroker
from tests.integration.conformance.mutants import Mutant, mutant
from tests.integration.conformance.whole_core import TIMING, broken, whole_core
from tests.integration.conformance.whole_node import NODE, whole_node

CERTIFICATES: Final = Path(__file__).parents[3] / "broker-config" / "certificates.sh"
CONNECT: Final = BrokerConnection._connect_once
SUBSCRIBED: Final = "if refused := refused_filters(wanted, await client.subscribe(wanted)):"
ONCE: Final = "if self._connection == 1 and (refused := refused_filters(wanted, await client.subscribe(wanted))):"
NODE_MUTANTS: Final = (
    mutant("BROKER-1", "it trusts the broker to keep its subscriptions", (CONNECT, SUBSCRIBED, ONCE)),
    mutant(
        "BROKER-1",
        "what was lost with the broker stays lost",
        (ResendQueue.take_due, "if sending.due_ms <= now_ms", "if sending.attempts == 0"),
        (ResendQueue.resend_soon, "sending.attempts = 0", "pass"),
    ),
    mutant(
        "BROKER-2",
        "it trusts the broker to keep its state",
        (CONNECT, "self.send_state()", "self.send_state() if self._connection == 1 else None"),
        (BrokerConnection._keep_beating, "self.send_state()", "pass"),
    ),
    mutant("BROKER-2", "it does not count its connections", (CONNECT, "self._connection += 1", "self._connection = 1")),
    mutant(
        "BROKER-3",
        "it trusts the broker to keep its config",
        (observe_disconnected, "(state, peers=", "(state, config=None, peers="),
    ),
    mutant("BROKER-3", "it obeys an older config", (observe_config, "config.revision < applied.revision", "False")),
)
ALL_CONFIGS: Final = "(await all_configs(self.db)).items()"
CORE_MUTANTS: Final = (
    mutant("BROKER-4", "it trusts the broker to keep configs", (Worker._keep_presence, ALL_CONFIGS, "()")),
    mutant(
        "BROKER-5",
        "a grant is said once",
        (AuthorizationRequest._repeat, "earlier.granted and not earlier.pending", "earlier.granted"),
    ),
)
forgetting: Final = pytest.mark.parametrize("kits_broker", [(FORGETS,)], ids=["forgets"], indirect=True)


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


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """An authority's, and a broker's for this machine."""
    require_mosquitto()
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin", "BROKER_USER": str(os.getuid())}
    subprocess.run([CERTIFICATES, tmp_path, "server", LOOPBACK], env=environment, check=True, capture_output=True)
    return tmp_path / "tls"


@pytest.mark.lasts
async def test_under_tls_no_message_is_seen_on_its_way_and_the_break_comes_when_the_kit_has_heard_or_said_it(
    certificates: Path, tmp_path: Path
) -> None:
    broker = KitsBroker(tmp_path / "broker", [FORGETS], certificates)

    with OwnBroker(broker.commands, BrokerUrl.parse(broker.url("core"))) as own_broker:
        async with whole_node(broker, tmp_path, own_broker=own_broker) as node:
            results = await node.judge("LINK-5", "BROKER-1")

    assert [(each.rule_id, each.outcome, each.detail) for each in results] == [
        ("LINK-5", Outcome.KEPT, ""),
        ("BROKER-1", Outcome.KEPT, ""),
    ]
    for each, deed in zip(results, ("link: cut", "broker: killed"), strict=True):
        assert sum(deed in message for message in each.messages) >= len(MESSAGES) - 1  # a pour this short may show no progress
        assert any("no message is seen on its way" in message for message in each.messages)


@pytest.mark.slow
@forgetting
@pytest.mark.parametrize("fault", NODE_MUTANTS, ids=str)
async def test_each_fault_of_a_node_is_caught_by_the_rule_that_names_it(
    fault: Mutant, monkeypatch: pytest.MonkeyPatch, kits_broker: KitsBroker, own_broker: OwnBroker, tmp_path: Path
) -> None:
    for mutation in fault.mutations:
        mutation.apply(monkeypatch)
    async with whole_node(kits_broker, tmp_path, own_broker=own_broker) as node:
        assert list(broken(await node.judge(fault.rule_id, settings=replace(NODE, answer_s=4.0)))) == [fault.rule_id]


@pytest.mark.slow
@forgetting
@pytest.mark.parametrize("fault", CORE_MUTANTS, ids=str)
async def test_each_fault_of_a_core_is_caught_by_the_rule_that_names_it(
    fault: Mutant, monkeypatch: pytest.MonkeyPatch, unchecked_db: Database, kits_broker: KitsBroker, own_broker: OwnBroker
) -> None:
    for mutation in fault.mutations:
        mutation.apply(monkeypatch)
    async with whole_core(unchecked_db, kits_broker, own_broker=own_broker) as core:
        assert list(broken(await core.judge(fault.rule_id, timing=replace(TIMING, sweep_s=5.0)))) == [fault.rule_id]
