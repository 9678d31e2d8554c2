"""A short, seeded piece of `make chaos`: real processes killed, connections broken, and everything that flowed booked once."""

import pytest

from tests.chaos.run import run_chaos
from tests.chaos.site import TEST_TIMEOUT_S, open_site

pytestmark = pytest.mark.timeout(TEST_TIMEOUT_S)
SECONDS = 8.0
TAPS = 3
PATIENCE_S = 60.0


async def test_whatever_dies_each_millilitre_is_booked_once_and_every_tap_pours_again() -> None:
    async with open_site(TAPS) as site:
        outcome = await run_chaos(site, 7, lambda monkey: monkey.rage(SECONDS), PATIENCE_S)

    assert outcome.findings == [], outcome.faults
    assert outcome.pours["synced"] >= TAPS
