"""The database: connection pools for transactions, an engine for reads, and decorators that make a function one transaction.

Transactions run on asyncpg itself, with prepared statements and without ORM objects: they are the hot path. Reads are built with
SQLAlchemy from the same tables. Both see committed data, and neither lets rows leave `tapwire_core.db`.
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tapwire_contracts.tasks import end_tasks
from tapwire_core.db.connections import SERVER_SETTINGS, connect, follow_primary, hosts_of
from tapwire_core.db.store import Store
from tapwire_core.domain.policy import Policy
from tapwire_core.domain.venue_scope import ALL_VENUES, VenueScope

DEADLOCK_RETRIES: Final = 5
"""Retries of a transaction that the database aborted (a deadlock, a lost race for a unique row)."""

POOL_SIZE: Final = 10
URGENT_POOL_SIZE: Final = 2
"""Connections beside the pool's, for use cases that must not queue behind others; opened on demand."""
ROW_LOCK_TIMEOUT_MS: Final = 2_000
"""Longest wait for a row that another transaction holds: the waiting transaction occupies a connection."""
FROZEN_MS: Final = 5_000
"""Idle time after which the server ends a transaction that has rows locked: its program is frozen, and others need the rows."""
CLOSE_TIMEOUT_S: Final = 3.0
"""Time for the pool to close when a program ends."""

RETRYABLE_ERRORS: Final = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.UniqueViolationError)

_SEE_VENUES: Final = text(
    "SELECT set_config('search_path', 'of_venues, public', true), set_config('tapwire.venues', :venues, true)"
)
"""For the transaction: a name means the schema's view before the table, and the views show things of these venues."""

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Database:
    """An open database with the installation's policy. `urgent`: the pool of `urgent_use_case`; `scope`: of reads."""

    pool: asyncpg.Pool
    urgent: asyncpg.Pool
    engine: AsyncEngine
    policy: Policy
    url: str
    scope: VenueScope = ALL_VENUES

    @classmethod
    def nowhere(cls) -> Self:
        """No database, for an application that only describes its API."""
        return cls(None, None, None, Policy(), "")  # type: ignore[arg-type]

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, policy: Policy, *, pool_size: int = POOL_SIZE) -> AsyncIterator[Self]:
        """Connect to `postgresql://…`; `pool_size` bounds the transactions that run at once."""
        engine = open_engine(url, pool_size=pool_size, pool_pre_ping=True)
        pool, urgent = [await _open_pool(url, size) for size in (pool_size, URGENT_POOL_SIZE)]
        following = [asyncio.create_task(follow_primary(url))] if len(hosts_of(url)) > 1 else []
        try:
            yield cls(pool, urgent, engine, policy, url)
        finally:
            await end_tasks(*following)
            # a pool that does not close in time is abandoned: the database may not answer
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await asyncio.gather(pool.close(), urgent.close())
            await engine.dispose()

    def within(self, scope: VenueScope) -> Self:
        """The same database, of which reads see what is in the scope; transactions see and write everything."""
        return replace(self, scope=scope)

    @asynccontextmanager
    async def read(self, *, in_one_snapshot: bool = False) -> AsyncIterator[AsyncConnection]:
        """A connection for reading. Within a scope the schema `of_venues` hides what is of other venues."""
        async with self.engine.connect() as connection:
            if in_one_snapshot:
                await connection.execution_options(isolation_level="REPEATABLE READ")
            if self.scope.venue_ids is not None:
                await connection.execute(_SEE_VENUES, {"venues": " ".join(sorted(self.scope.venue_ids))})
            yield connection

    async def check_connection(self, timeout_s: float) -> None:
        """Check that the database answers; raises the driver's error, or `TimeoutError`.

        Outside a transaction a statement must use the simple protocol, as this one does. For one that is cancelled while it is
        prepared, the server keeps the transaction it began, and the next one would see that transaction's time.
        """
        try:
            # the pool's timeout also limits its wait for a cancelled statement when the connection is returned
            async with asyncio.timeout(timeout_s), self.pool.acquire(timeout=timeout_s) as connection:
                await connection.execute("SELECT 1")
        except Exception:
            for pool in (self.pool, self.urgent):
                await pool.expire_connections()  # idle connections may lead to the same dead database
            raise

    @asynccontextmanager
    async def transaction(self, *, urgent: bool = False) -> AsyncIterator[Store]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        async with (self.urgent if urgent else self.pool).acquire() as connection, connection.transaction():
            yield Store(connection, self.policy)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Store]:
        """One read-only transaction that sees one moment of the database."""
        async with self.pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            store = Store(connection, self.policy)
            await store.may_pause()
            yield store


async def _open_pool(url: str, size: int) -> asyncpg.Pool:
    settings = SERVER_SETTINGS | {
        "lock_timeout": str(ROW_LOCK_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(FROZEN_MS),
    }
    return await asyncpg.create_pool(
        url, min_size=0, max_size=size, connect=connect, reset=_reset_if_needed, server_settings=settings
    )


async def _reset_if_needed(connection: asyncpg.Connection) -> None:
    """Skip the round trip of asyncpg's own reset: our statements leave no session state on a connection."""
    if connection.is_in_transaction():
        await connection.reset()


def use_case(steps: Callable[Concatenate[Store, P], Awaitable[R]]) -> Callable[Concatenate[Database, P], Awaitable[R]]:
    """Make a function on a `Store` one transaction on a `Database`, retried when the database aborts it.

    The bare function stays reachable as `__wrapped__`, for a use case that is part of a larger one.
    """
    return _in_transaction(steps, urgent=False)


def urgent_use_case(steps: Callable[Concatenate[Store, P], Awaitable[R]]) -> Callable[Concatenate[Database, P], Awaitable[R]]:
    """A `use_case` that closes a valve, or is very short: it never queues for a connection behind transactions that wait."""
    return _in_transaction(steps, urgent=True)


def moves_money(steps: Callable[P, R]) -> Callable[P, R]:
    """Mark the bare function of a use case that books money: the key of such a request is kept for good."""
    steps.moves_money = True  # type: ignore[attr-defined]
    return steps


def is_booking(steps: Callable[..., Any]) -> bool:
    """Return whether `moves_money` marked it."""
    return bool(getattr(steps, "moves_money", False))


def is_urgent(made: Callable[..., Any]) -> bool:
    """Return whether `urgent_use_case` made it."""
    return bool(getattr(made, "urgent", False))


def _in_transaction(
    steps: Callable[Concatenate[Store, P], Awaitable[R]], *, urgent: bool
) -> Callable[Concatenate[Database, P], Awaitable[R]]:
    @functools.wraps(steps)
    async def in_transaction(db: Database, /, *args: P.args, **kwargs: P.kwargs) -> R:
        for _ in range(DEADLOCK_RETRIES):
            try:
                async with db.transaction(urgent=urgent) as store:
                    return await steps(store, *args, **kwargs)
            except RETRYABLE_ERRORS:
                continue
        async with db.transaction(urgent=urgent) as store:
            return await steps(store, *args, **kwargs)

    in_transaction.urgent = urgent  # type: ignore[attr-defined]
    return in_transaction


Steps = Callable[[Store], Awaitable[None]]
"""The writes of a prepared use case, in one transaction."""


def prepared_use_case(
    prepare: Callable[Concatenate[Database, P], Awaitable[Steps]],
) -> Callable[Concatenate[Database, P], Awaitable[None]]:
    """Make a function a use case that does slow work first, and returns the steps of its one transaction.

    So no connection and no row waits for the slow work. Data read before may have changed by then: the steps read it again.
    """

    @functools.wraps(prepare)
    async def prepare_and_write(db: Database, /, *args: P.args, **kwargs: P.kwargs) -> None:
        await _write(db, await prepare(db, *args, **kwargs))

    return prepare_and_write


@use_case
async def _write(store: Store, steps: Steps) -> None:
    await steps(store)


def open_engine(url: str, **options: Any) -> AsyncEngine:
    """The same database for SQLAlchemy; connects when it is used."""
    return create_async_engine("postgresql+asyncpg://", async_creator=functools.partial(connect, url), **options)
