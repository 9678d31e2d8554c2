"""A broker that the kit kills, for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tapwire_conformance.broker import BrokerUrl
from tapwire_conformance.own_broker import OwnBroker
from tests.conftest import require_mosquitto
from tests.integration.conformance.kits_broker import FORGETS, KEEPS, KitsBroker


@pytest.fixture(params=[pytest.param((FORGETS,), id="forgets"), pytest.param((FORGETS, KEEPS), id="keeps", marks=pytest.mark.slow)])
def kits_broker(request: pytest.FixtureRequest, tmp_path: Path) -> KitsBroker:
    """A Mosquitto that forgets when it is killed; in `make test-long` with another in its place that keeps what was retained."""
    require_mosquitto()
    return KitsBroker(tmp_path / "broker", request.param)


@pytest.fixture
def own_broker(kits_broker: KitsBroker) -> Iterator[OwnBroker]:
    """The kit's hand on them."""
    with OwnBroker(kits_broker.commands, BrokerUrl.parse(kits_broker.url("core"))) as running:
        yield running
