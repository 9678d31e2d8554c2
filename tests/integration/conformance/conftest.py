"""A broker that the kit kills, and a database for faulty cores."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tapwire_conformance.broker import BrokerUrl
from tapwire_conformance.own_broker import OwnBroker
from tapwire_core.db.engine import Database
from tapwire_core.domain.policy import Policy
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


@pytest.fixture
async def unchecked_db(database_url: str) -> AsyncIterator[Database]:
    """The test's database; a mutant's books need not balance."""
    async with Database.open(database_url, Policy()) as opened:
        yield opened
