"""A bar without a single machine loses the primary of its database and a broker: others take over, and nothing is lost."""

import os

import pytest

from tests.chaos.cluster import DATABASE_S, IMPATIENT_S, SERVICE_S, Trial
from tests.chaos.cluster_site import open_cluster, why_not
from tests.chaos.monkey import Monkey
from tests.chaos.run import run_chaos
from tests.chaos.site import TEST_TIMEOUT_S

pytestmark = [pytest.mark.timeout(TEST_TIMEOUT_S), pytest.mark.lasts]
TAPS = 2
PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def _programs() -> None:
    """Skip where a program or a right is missing; in CI none may be."""
    if reason := why_not():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


async def test_primary_and_broker_of_a_cluster_are_lost_and_nothing_else() -> None:
    async with open_cluster(TAPS) as cluster:

        async def lose_both(monkey: Monkey) -> None:
            trial = Trial(cluster, monkey)
            await trial.of("kill -9", [cluster.broker.members[0], cluster.broker.logins[0]], SERVICE_S)
            primary = await cluster.database.named("leader")
            await trial.of("crash", [primary], DATABASE_S)
            assert await cluster.database.named("leader") is not primary
            await trial.settle()

        outcome = await run_chaos(cluster.site, 1, lose_both, PATIENCE_S, guests_patience_s=IMPATIENT_S)

    assert outcome.findings == [], outcome.faults
    assert outcome.pours["synced"] >= TAPS
