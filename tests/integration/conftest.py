"""Fixtures of the integration tests."""

from collections.abc import AsyncIterator

import pytest

from tapwire_core.db.engine import Database
from tests.rest import Rest, done
from tests.venue import Venue


@pytest.fixture
async def rest(db: Database) -> AsyncIterator[Rest]:
    """The admin API on the test's database."""
    async with Rest.open(db) as opened:
        yield opened


@pytest.fixture
async def deposits(rest: Rest, venue: Venue) -> None:
    """The venue takes 5.00 for a card."""
    done(await rest.engineer.patch("/api/venues/bar", json={"card_deposit_minor": 5_00}))
