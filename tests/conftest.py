"""Fixtures of all tests: a PostgreSQL, a database of the test's own, a broker of either kind.

Each worker of a parallel run has a server of its own, so that the tests need not know of one another.
"""

import itertools
import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import hypothesis
import pytest

from tapwire_contracts.acl import BrokerRole
from tapwire_core.db.engine import Database
from tapwire_core.db.schema import migrate
from tapwire_core.domain.policy import Policy
from tapwire_core.services.books import check_books
from tapwire_demo.broker import Account, BrokerKind, EmbeddedBroker, find_mosquitto, open_broker
from tapwire_demo.postgres import EmbeddedPostgres, PostgresSettings, temporary_postgres
from tests.memory_folder import use_memory_for_temporary_files
from tests.venue import Venue

use_memory_for_temporary_files()
if os.environ.get("CI") != "true":  # there, Hypothesis has a profile of its own, with the same examples each time
    hypothesis.settings.register_profile("no deadline", deadline=None)
    hypothesis.settings.load_profile("no deadline")

_database_numbers: Final = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest: a parallel run that ended with one would keep a single worker busy."""
    items.sort(key=lambda item: item.get_closest_marker("lasts") is None)


@dataclass(frozen=True, slots=True)
class VenueDatabase:
    """The name of a database with a venue, to which nothing may connect, and that venue."""

    name: str
    venue: Venue


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[EmbeddedPostgres]:
    """A server for the whole run, without fsync."""
    async with temporary_postgres(PostgresSettings(durable=False)) as server:
        yield server


@pytest.fixture
async def empty_owner_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """A database with nothing in it, for the role that will own its tables."""
    name = f"empty_{next(_database_numbers)}"
    yield await postgres.create_database(name)
    await postgres.drop_database(name)


@pytest.fixture(scope="session")
async def migrated_database(postgres: EmbeddedPostgres) -> str:
    """The name of a database of the newest schema, to clone; nothing may connect to it."""
    name = "migrated"
    await migrate(await postgres.create_database(name), postgres.application_url_of(name))
    return name


@pytest.fixture(scope="session")
async def venue_database(postgres: EmbeddedPostgres, migrated_database: str) -> VenueDatabase:
    """A database with a venue too, to clone: copying takes less than opening one."""
    name = "with_venue"
    await postgres.clone_database(migrated_database, name)
    async with Database.open(postgres.application_url_of(name), Policy()) as opened:
        return VenueDatabase(name, await Venue.open(opened))


@pytest.fixture
async def owner_url(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres, migrated_database: str, venue_database: VenueDatabase
) -> AsyncIterator[str]:
    """A database of the test's own, of the newest schema, for the role that owns its tables.

    It has no rows, or the rows of a venue where the test asks for one.
    """
    template = venue_database.name if "venue" in request.fixturenames else migrated_database
    name = f"test_{next(_database_numbers)}"
    yield await postgres.clone_database(template, name)
    await postgres.drop_database(name)


@pytest.fixture
def database_url(postgres: EmbeddedPostgres, owner_url: str) -> str:
    """The test's database, for the role that programs log in with: it may only add to the books."""
    return _programs_url(postgres, owner_url)


@pytest.fixture
def empty_database_url(postgres: EmbeddedPostgres, empty_owner_url: str) -> str:
    """The empty database, for the role that programs log in with; `migrate` makes it."""
    return _programs_url(postgres, empty_owner_url)


def _programs_url(postgres: EmbeddedPostgres, owner_url: str) -> str:
    return postgres.application_url_of(urlsplit(owner_url).path.removeprefix("/"))


@pytest.fixture(params=list(BrokerKind), ids=str)
async def broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    """A broker that knows the accounts `core` and `watcher`; the test runs once on each kind."""
    async with open_broker(_available(request.param), tmp_path / "broker", _accounts()) as running:
        yield running


@pytest.fixture
async def mosquitto(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    """A Mosquitto that knows the accounts `core` and `watcher`, for what amqtt lacks: MQTT 5, shared subscriptions."""
    async with open_broker(_available(BrokerKind.MOSQUITTO), tmp_path / "broker", _accounts()) as running:
        yield running


@pytest.fixture
async def amqtt(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    """An amqtt that knows the same, for what Mosquitto lacks with a file of rules: it refuses subscriptions."""
    async with open_broker(BrokerKind.AMQTT, tmp_path / "broker", _accounts()) as running:
        yield running


def _accounts() -> list[Account]:
    roles = {"core": BrokerRole.CORE, "watcher": BrokerRole.WATCHER}
    return [Account(username, secrets.token_urlsafe(), role) for username, role in roles.items()]


def _available(kind: BrokerKind) -> BrokerKind:
    if kind is BrokerKind.MOSQUITTO:
        require_mosquitto()
    return kind


def require_mosquitto() -> None:
    """Skip where Mosquitto is missing; in CI it must not be."""
    if find_mosquitto() is None:
        reason = "mosquitto is not installed (Debian: apt-get install mosquitto)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture
def policy() -> Policy:
    """The limits and settings of the test's database."""
    return Policy()


@pytest.fixture
async def db(database_url: str, policy: Policy) -> AsyncIterator[Database]:
    """The test's database, open as for the programs; afterwards its books must balance."""
    async with Database.open(database_url, policy) as opened:
        yield opened
        assert await check_books(opened) == []


@pytest.fixture
async def owner_db(owner_url: str) -> AsyncIterator[Database]:
    """The same database by the role that owns its tables, for what no program does."""
    async with Database.open(owner_url, Policy(), pool_size=1) as opened:
        yield opened


@pytest.fixture
def venue(db: Database, venue_database: VenueDatabase) -> Venue:
    """A venue with an open shift and one tap."""
    return venue_database.venue.on(db)
