"""Faults of a cluster: any member is killed, frozen or cut off until the others have gone on without it, then comes back."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import asyncpg

from tapwire_core.db.connections import HOST_ERRORS, connect
from tests.chaos.cluster_site import Cluster
from tests.chaos.machines import Member
from tests.chaos.monkey import Monkey

DATABASE_S: Final = 30.0
"""Goal: the longest time without a pour for a tap when a database member is lost."""
SERVICE_S: Final = 10.0
"""Goal: the same for every other member."""
LOGINS_AWAY_S: Final = 20.0
"""Goal: the same for a `broker-logins` that no service manager starts again: its member's cache of 5 s is used up, and another 5 s
pass until a member that takes nothing is left, before the member is missed at all."""
IMPATIENT_S: Final = (1.5, 2.5)
"""Time that guests wait here: they try again soon, or their patience would be measured."""
PATIENCE_S: Final = 90.0
"""Longest wait for the others to go on, and for the cluster to be whole again."""
LOOK_S: Final = 0.3
ANSWER_S: Final = 3.0


@asynccontextmanager
async def killed(member: Member) -> AsyncIterator[None]:
    """Killed with all that it started, and away for the block."""
    member.stays_down = True
    member.send(signal.SIGKILL)
    try:
        yield
    finally:
        member.stays_down = False


@asynccontextmanager
async def crashed(member: Member) -> AsyncIterator[None]:
    """Killed with all that it started; its service manager starts it again at once."""
    member.send(signal.SIGKILL)
    yield


@asynccontextmanager
async def frozen(member: Member) -> AsyncIterator[None]:
    """All of it stands still for the block, and goes on afterwards as if no time had passed."""
    member.send(signal.SIGSTOP)
    try:
        yield
    finally:
        member.send(signal.SIGCONT)


@asynccontextmanager
async def cut_off(member: Member) -> AsyncIterator[None]:
    """Its machine reaches no other for the block, and goes on by itself."""
    with member.machine.cut_off():
        yield


HARMS: Final[Mapping[str, Callable[[Member], AbstractAsyncContextManager[None]]]] = {
    "crash": crashed,
    "kill -9": killed,
    "freeze": frozen,
    "cut off": cut_off,
}

LASTING: Final = ("kill -9", "freeze", "cut off")
"""Those that last until they are undone."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What one fault cost: the longest time without a pour at a tap, and the time until the cluster was whole afterwards."""

    what: str
    goal_s: float
    dry_s: float
    whole_s: float

    @property
    def is_met(self) -> bool:
        """Return whether the goal was met."""
        return self.dry_s <= self.goal_s

    def __str__(self) -> str:
        return f"{'':9}{self.dry_s:5.1f} s without a pour at most, goal {self.goal_s:.0f} s; whole after {self.whole_s:.1f} s"


@dataclass
class Trial:
    """Does one fault after the other to a cluster, and notes what each cost."""

    cluster: Cluster
    monkey: Monkey
    tell: Callable[[object], None] = lambda _: None
    losses: list[Loss] = field(default_factory=list)

    async def all(self) -> None:
        """Every harm to one member of every kind, one after the other, and then to one of each kind at once."""
        database, cluster = self.cluster.database, self.cluster
        await self.of("crash", [await database.named("leader")], DATABASE_S)
        for harm, broker in zip(LASTING, cluster.broker.members, strict=True):  # a member's clients go to the one after it
            await self.of(harm, [broker], SERVICE_S)
        # cut off it was, with its broker
        for harm, goal_s in (("crash", SERVICE_S), ("kill -9", LOGINS_AWAY_S), ("freeze", SERVICE_S)):
            await self.of(harm, [cluster.broker.logins[0]], goal_s)
        for harm in LASTING:
            await self.of(harm, [await database.named("leader")], DATABASE_S)
            await self.of(harm, [await database.named("sync_standby")], DATABASE_S)
            if harm != "cut off":  # its machine was, with its PostgreSQL
                await self.of(harm, [self._beside(await database.named("leader"))], DATABASE_S)
            await self.of(harm, [self.cluster.cores[0]], SERVICE_S)
            await self.of(harm, [self.cluster.admins[0]], SERVICE_S)
            await self.of(harm, [self.cluster.haproxy], SERVICE_S)
        for harm, broker in zip(LASTING, cluster.broker.members, strict=True):
            leader = await database.named("leader")
            other = next(etcd for etcd in database.etcds if etcd.machine is not leader.machine)
            machines = [leader] if harm == "cut off" else [leader, other]  # with two of three machines cut off nobody may decide
            await self.of(harm, [*machines, broker, cluster.cores[1], cluster.admins[1], cluster.haproxy], DATABASE_S)

    def _beside(self, member: Member) -> Member:
        """The etcd on a member's machine."""
        return next(etcd for etcd in self.cluster.database.etcds if etcd.machine is member.machine)

    async def of(self, harm: str, members: list[Member], goal_s: float) -> None:
        """Do this to these members until every tap has poured again; then undo it, and wait until all is whole."""
        names = " ".join(member.name for member in members)
        began = await self._now()
        self.monkey.note(harm, names)
        async with AsyncExitStack() as stack:
            for member in members:
                await stack.enter_async_context(HARMS[harm](member))
            dry_s = await self._poured_again(began)
        undone_s = asyncio.get_running_loop().time()
        await self.cluster.whole()
        self.losses.append(Loss(f"{harm} {names}", goal_s, dry_s, asyncio.get_running_loop().time() - undone_s))
        self.tell(self.losses[-1])

    async def settle(self) -> None:
        """End what still leads to a former primary, so that the auditor asks the present one."""
        await self.cluster.site.db.pool.expire_connections()

    async def _now(self) -> datetime:
        now: datetime = (await self._ask("SELECT clock_timestamp() AS now"))[0]["now"]
        return now

    async def _poured_again(self, since: datetime) -> float:
        """Wait until every tap was granted a pour after that; the longest that one had none, from the end of its last."""
        paths = [str(tap.path) for tap in self.cluster.site.taps]
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    rows = await self._ask(DRY, paths, since)
                    if len(rows) == len(paths):
                        return float(max(row["dry_s"] for row in rows))
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            return PATIENCE_S

    async def _ask(self, question: str, *values: object) -> list[asyncpg.Record]:
        """Ask the present primary until it answers; a new connection each time, as any may lead to a dead one."""
        while True:
            try:
                async with asyncio.timeout(ANSWER_S * len(self.cluster.database.machines)):
                    connection = await connect(self.cluster.database.url)
                    try:
                        rows: list[asyncpg.Record] = await connection.fetch(question, *values, timeout=ANSWER_S)
                        return rows
                    finally:
                        connection.terminate()
            except (*HOST_ERRORS, asyncpg.PostgresError):
                await asyncio.sleep(LOOK_S)


DRY: Final = """
SELECT tap_path, max(extract(epoch FROM authorized_at - greatest(ended, asked)))::float8 AS dry_s
FROM (
    SELECT tap_path, authorized_at, $2::timestamptz AS asked,
        lag(authorized_at + coalesce(duration_ms, 0) * interval '1 ms') OVER (PARTITION BY tap_path ORDER BY authorized_at) AS ended
    FROM pours WHERE tap_path = ANY($1) AND sync_status IN ('synced', 'reconciled', 'pending_sync')
) AS pour
WHERE authorized_at > asked + interval '1 second' GROUP BY tap_path
"""
"""For each tap the longest time from the fault, or from the end of a pour after it, to the next grant, if none slipped through."""
