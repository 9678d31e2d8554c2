"""Fixtures of the webhook tests: a database that sends to this machine, a receiver, and workers without errors."""

import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from tapwire_core.db.engine import Database
from tests.integration.webhooks.rig import with_limits
from tests.receiver import Receiver


@pytest.fixture
async def db(db: Database) -> Database:
    """The test's database, of a house that sends webhooks to this machine, and soon again."""
    return with_limits(db)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that takes everything."""
    async with Receiver.open() as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_fault(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail when a worker logs an error."""
    yield
    assert [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.WARNING] == []
