"""PostgreSQL by Patroni with three members, from exactly what `deploy/patroni/members.sh` writes."""

import asyncio
import os
import pwd
import secrets
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import Any, Final

import httpx

from tapwire_demo.processes import Child, StopStep, free_port
from tests.chaos.machines import Machine, Member, Network

MEMBERS_SH: Final = Path(__file__).parents[2] / "deploy" / "patroni" / "members.sh"
DEBIAN_POSTGRES: Final = Path("/usr/lib/postgresql")
PROGRAMS: Final = {"etcd": "etcd-server", "patroni": "patroni"}
"""What it runs, and the package of Debian that has it."""
MEMBERS: Final = 3
READY_S: Final = 180.0
LOOK_S: Final = 0.3
LOOKS: Final = 5
"""It counts as whole when it is so at this many looks on end: a member that comes back looks well for a moment."""
SQL_S: Final = 60.0
OWNER: Final = "tapwire"
PROGRAM: Final = "tapwire_program"
DATABASE: Final = "tapwire"
ASK_S: Final = 2.0
KILL: Final = (StopStep(signal.SIGKILL, 5.0),)
"""How they end: the data are thrown away."""


def missing_programs() -> str:
    """The packages that must be installed for it; empty when all are there."""
    missing = [package for program, package in PROGRAMS.items() if which(program) is None]
    if not any(DEBIAN_POSTGRES.glob("*/bin/postgres")):
        missing.append("postgresql")
    return " ".join(missing)


@dataclass
class DatabaseCluster:
    """Three machines with etcd and Patroni each. `url` is the owner's, `application_url` the programs'."""

    folder: Path
    ports: dict[str, int]
    machines: list[Machine]
    etcds: list[Member] = field(default_factory=list)
    patronis: list[Member] = field(default_factory=list)
    passwords: dict[str, str] = field(default_factory=lambda: {name: secrets.token_hex() for name in (OWNER, PROGRAM)})

    @property
    def url(self) -> str:
        """All members' addresses, for the owner of the tables."""
        return self._url(OWNER)

    @property
    def application_url(self) -> str:
        """All members' addresses, for the programs' role."""
        return self._url(PROGRAM)

    def _url(self, role: str) -> str:
        hosts = ",".join(f"{machine.address}:{self.ports['POSTGRES_PORT']}" for machine in self.machines)
        authority = self.folder / "authority" / "ca.crt"
        return f"postgresql://{role}:{self.passwords[role]}@{hosts}/{DATABASE}?sslmode=verify-ca&sslrootcert={authority}"

    async def members(self) -> dict[str, dict[str, Any]]:
        """Each member as the leader says it: its role, state and lag; empty when there is none."""
        async with httpx.AsyncClient(verify=False, timeout=ASK_S) as client:  # all are processes of ours
            for machine in self.machines:
                with suppress(httpx.HTTPError):
                    address = f"https://{machine.address}:{self.ports['PATRONI_PORT']}"
                    if (await client.get(f"{address}/leader")).status_code == httpx.codes.OK:
                        members = (await client.get(f"{address}/cluster")).json()["members"]
                        return {member["name"]: member for member in members}
        return {}

    async def named(self, role: str) -> Member:
        """The member with a role, `leader` or `sync_standby`, once there is one."""
        async with asyncio.timeout(READY_S):
            while True:
                for name, member in (await self.members()).items():
                    if member["role"] == role and member["state"] in ("running", "streaming"):
                        return next(each for each in self.patronis if each.machine.name == name)
                await asyncio.sleep(LOOK_S)

    async def whole(self) -> None:
        """Wait until every member is there: a leader, a synchronous standby, and another that follows; for some time on end."""
        looks = 0
        try:
            async with asyncio.timeout(READY_S):
                while looks < LOOKS:
                    looks = looks + 1 if await self._is_whole() else 0
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            logs = "\n".join(f"{member.name}: {member.log()}" for member in (*self.etcds, *self.patronis))
            raise AssertionError(f"not whole: {await self.members()}\n{logs}") from None

    async def _is_whole(self) -> bool:
        members = (await self.members()).values()
        roles = sorted(member["role"] for member in members)
        states = [member["state"] in ("running", "streaming") and member.get("lag", 0) == 0 for member in members]
        timelines = {member.get("timeline") for member in members}
        return roles == ["leader", "replica", "sync_standby"] and all(states) and len(timelines) == 1 and await self._both_follow()

    async def _both_follow(self) -> bool:
        with suppress(subprocess.SubprocessError):
            return await self.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "2"
        return False

    async def sql(self, statements: str) -> str:
        """Execute this at the leader as the superuser of its machine, as an operator does it there; what it printed."""
        leader = await self.named("leader")
        sockets = self.folder / leader.machine.name / "sockets"
        psql = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "-v", "ON_ERROR_STOP=1", "-h", str(sockets)]
        done = await asyncio.to_thread(
            subprocess.run,
            [*psql, "-p", str(self.ports["POSTGRES_PORT"]), "-U", "nobody", "-d", "postgres"],
            input=statements.encode(),
            stdout=subprocess.PIPE,
            user="nobody",
            cwd="/",
            check=True,
            timeout=SQL_S,
        )
        return done.stdout.decode().strip()


@asynccontextmanager
async def patroni_cluster(folder: Path, network: Network) -> AsyncIterator[DatabaseCluster]:
    """Run one in a folder that every user may enter, with a database for Tapwire that is still empty."""
    ports = {name: free_port("") for name in ("POSTGRES_PORT", "PATRONI_PORT", "ETCD_PORT", "PEER_PORT")}
    cluster = DatabaseCluster(folder, ports, [network.machine(f"db{number}") for number in range(1, MEMBERS + 1)])
    _write(cluster)
    async with AsyncExitStack() as stack:
        for machine in cluster.machines:
            cluster.etcds.append(_etcd(cluster, machine))
            cluster.patronis.append(_patroni(cluster, machine))
        for member in (*cluster.etcds, *cluster.patronis):
            await stack.enter_async_context(member.kept())
        await cluster.whole()
        roles = "".join(f"CREATE ROLE {role} LOGIN PASSWORD '{password}';\n" for role, password in cluster.passwords.items())
        await cluster.sql(f"{roles}CREATE DATABASE {DATABASE} OWNER {OWNER};\n")
        yield cluster


def _write(cluster: DatabaseCluster) -> None:
    folder, user = cluster.folder, pwd.getpwnam("nobody")
    folder.mkdir()
    places = {"CLUSTER": folder / "MEMBER", "DATA": folder / "MEMBER", "ETCD_DATA": folder / "MEMBER" / "etcd.data"}
    given = {"SOCKETS": folder / "MEMBER" / "sockets", "SUPERUSER": "nobody", **places, **cluster.ports}
    subprocess.run(
        [MEMBERS_SH, folder, *(f"{machine.name}={machine.address}" for machine in cluster.machines)],
        env={**os.environ, **{name: str(value) for name, value in given.items()}},
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=SQL_S,
    )
    folder.chmod(0o755)
    for machine in cluster.machines:
        (folder / machine.name / "sockets").mkdir()
        for path in (folder / machine.name, *(folder / machine.name).rglob("*")):
            os.chown(path, user.pw_uid, -1)


def _etcd(cluster: DatabaseCluster, machine: Machine) -> Member:
    folder, owner = cluster.folder / machine.name, machine.owner(0)

    def start(count: int) -> Child:
        return Child(
            ["etcd", f"--config-file={folder / 'etcd' / 'etcd.yml'}"],
            log=cluster.folder / f"etcd-{machine.name}.{count}.log",
            stop_steps=KILL,
            owner=owner,
            env={"PATH": os.environ["PATH"]},
        )

    return Member(f"etcd-{machine.name}", machine, owner.gid, start)


def _patroni(cluster: DatabaseCluster, machine: Machine) -> Member:
    folder, owner = cluster.folder / machine.name, machine.owner(1)

    def start(count: int) -> Child:
        return Child(
            ["patroni", folder / "patroni" / "patroni.yml"],
            log=cluster.folder / f"patroni-{machine.name}.{count}.log",
            stop_steps=KILL,
            orphan_signal=signal.SIGTERM,  # it then stops its PostgreSQL, which nobody else would
            owner=owner,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(folder), "PYTHONUNBUFFERED": "1"},
            cwd=folder,
        )

    return Member(f"postgres-{machine.name}", machine, owner.gid, start)
