"""Fixtures of the integration tests."""

from collections.abc import AsyncIterator

import pytest

from tapwire_core.db.engine import Database
from tests.rest import Rest


@pytest.fixture
async def rest(db: Database) -> AsyncIterator[Rest]:
    """The admin API on the test's database."""
    async with Rest.open(db) as opened:
        yield opened
