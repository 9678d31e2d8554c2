"""RabbitMQ with three members, each with its `broker-logins`, from what `broker-config/rabbitmq` writes."""

import asyncio
import os
import pwd
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tapwire_contracts.acl import BrokerRole
from tapwire_core.broker.login_rules import hash_logins
from tapwire_demo.broker import Account
from tapwire_demo.processes import Child, Owner, StopStep, free_port
from tapwire_demo.programs import Program, start_program
from tests.chaos.machines import Machine, Member, Network
from tests.rabbitmq import PROGRAM, Epmd, RabbitMember
from tests.shipped_broker import SHIPPED

MEMBERS: Final = 3
PROTOCOL: Final = "3.1.1"
SERVICES: Final = {BrokerRole.CORE: "core", BrokerRole.WATCHER: "admin"}
"""Names of services as `broker-logins` knows them."""
ALL_THERE: Final = (MEMBERS, MEMBERS)
READY_S: Final = 180.0
ASK_S: Final = 10.0
INSTALL_S: Final = 30.0
LOOK_S: Final = 0.3
LOOKS: Final = 5
"""It counts as whole when it is so at this many looks on end."""
KILL: Final = (StopStep(signal.SIGKILL, 5.0),)
"""How they end: what they keep is thrown away."""
CALM: Final = "+sbwt none +sbwtdcpu none +sbwtdio none"
"""Erlang's threads don't wait for work by looking for it: all members share this machine."""


def missing_programs() -> str:
    """The packages that must be installed for it; empty when all are there."""
    return "" if PROGRAM.exists() and shutil.which("erl_call") else "rabbitmq-server"


@dataclass
class BrokerCluster:
    """Three machines with RabbitMQ and `broker-logins` each, and who may log in."""

    folder: Path
    ports: dict[str, int]
    machines: list[Machine]
    accounts: dict[str, Account]
    database_url: str
    epmd: Epmd
    members: list[Member] = field(default_factory=list)
    logins: list[Member] = field(default_factory=list)
    cookie: str = ""

    def url(self, username: str, first: int) -> str:
        """All members' addresses with a login, from one of them on: so that not all clients begin at the same one."""
        account = self.accounts[username]
        login = f"{quote(SERVICES.get(account.role, username), safe='')}:{quote(account.password, safe='')}"
        ordered = [self.machines[(first + step) % MEMBERS] for step in range(MEMBERS)]
        return ",".join(f"mqtt://{login}@{machine.address}:{self.ports['MQTT']}" for machine in ordered)

    async def whole(self) -> None:
        """Wait until each member runs with both others and takes clients, for some time on end."""
        looks = 0
        try:
            async with asyncio.timeout(READY_S):
                while looks < LOOKS:
                    seen = await asyncio.gather(*(self._seen_by(machine) for machine in self.machines))
                    looks = looks + 1 if seen == [ALL_THERE] * len(self.machines) else 0
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            logs = "\n".join(f"{member.name}: {member.log()}" for member in (*self.members, *self.logins))
            raise AssertionError(f"not whole: {seen}\n{logs}") from None

    async def until_started(self, machine: Machine) -> None:
        """Wait until a member takes clients."""
        async with asyncio.timeout(READY_S):
            while not await _is_open(machine, self.ports["MQTT"]):
                await asyncio.sleep(LOOK_S)

    async def _seen_by(self, machine: Machine) -> tuple[int, int]:
        """How many members run, and how many share the client ids, as one of them says it; 0 while it takes no clients."""
        if not (await _is_open(machine, self.ports["MQTT"]) and await _is_open(machine, self.ports["LOGINS"])):
            return 0, 0
        running = await self._ask(machine, "rabbit_mnesia cluster_nodes [running]")
        sharing = await self._ask(machine, f"ra members [{{mqtt_node,'{node_name(machine)}'}}]")
        return running.count("@"), len(set(re.findall(r"mqtt_node, *'?([^'}]+)", sharing)))

    async def _ask(self, machine: Machine, function: str) -> str:
        """Call a function at a member; empty while it does not answer."""
        asked = await asyncio.create_subprocess_exec(
            *("erl_call", "-n", node_name(machine), "-c", self.cookie, "-timeout", "2"),
            *("-a", function),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "ERL_EPMD_PORT": str(self.epmd.port)},
        )
        try:
            async with asyncio.timeout(ASK_S):
                said, _ = await asked.communicate()
        except TimeoutError:
            asked.kill()
            return ""
        return said.decode()


async def _is_open(machine: Machine, port: int) -> bool:
    with suppress(OSError):
        _, writer = await asyncio.open_connection(machine.address, port)
        writer.close()
        return True
    return False


def node_name(machine: Machine) -> str:
    """The name of the member on a machine; `epmd` knows only the part before the @."""
    return f"{machine.name}@{machine.address}"


@asynccontextmanager
async def rabbitmq_cluster(
    folder: Path, network: Network, accounts: Iterable[Account], database_url: str
) -> AsyncIterator[BrokerCluster]:
    """Run one in a folder that every user may enter; the devices' logins are in the database.

    The members find each other's port by one `epmd`, as several can't run on one machine; it is asked when a member starts.
    """
    ports = {name: free_port("") for name in ("MQTT", "API", "LOGINS")}
    machines = [network.machine(f"mq{number}") for number in range(1, MEMBERS + 1)]
    known = {account.username: account for account in accounts}
    cluster = BrokerCluster(folder, ports, machines, known, database_url, Epmd(folder))
    _write_services(cluster)
    async with AsyncExitStack() as stack:
        guide = network.machine("epmd")
        owner = guide.owner(0)
        epmd = Member(guide.name, guide, owner.gid, lambda count: _epmd(cluster, owner, count))
        await stack.enter_async_context(epmd.kept())
        for machine in machines:
            cluster.members.append(_member(cluster, machine))
            cluster.logins.append(_logins(cluster, machine))
            await stack.enter_async_context(cluster.logins[-1].kept())
            await stack.enter_async_context(cluster.members[-1].kept())
            await cluster.until_started(machine)  # those that start for the first time together may not share client ids
        await cluster.whole()
        yield cluster


def _epmd(cluster: BrokerCluster, owner: Owner, count: int) -> Child:
    return Child(
        ["epmd", "-port", str(cluster.epmd.port)],
        log=cluster.folder / f"epmd.{count}.log",
        stop_steps=KILL,
        orphan_signal=signal.SIGKILL,
        owner=owner,
        env={"PATH": os.environ["PATH"]},
    )


def _write_services(cluster: BrokerCluster) -> None:
    """The folder, and in it the services' logins."""
    cluster.folder.mkdir()
    cluster.folder.chmod(0o755)
    accounts = [account for account in cluster.accounts.values() if account.role in SERVICES]
    file = cluster.folder / "services"
    file.write_text("".join(f"{SERVICES[account.role]}:{account.password}\n" for account in accounts), encoding="utf-8")
    hash_logins(file)


def _install(cluster: BrokerCluster, machine: Machine) -> RabbitMember:
    """A member's files: what the shipped scripts write, and this machine's addresses."""
    home, ports = cluster.folder / machine.name, cluster.ports
    given = {
        "API_PORT": ports["API"],
        "BIND": machine.address,
        "BROKER_USER": "nobody",
        "LOGINS": f"{machine.address}:{ports['LOGINS']}",
        "MEMBERS": " ".join(each.address for each in cluster.machines),
        "MQTT_PORT": ports["MQTT"],
    }
    names = [node_name(each) for each in cluster.machines]
    commands: tuple[list[str | Path], ...] = (
        [SHIPPED / "rabbitmq" / "install.sh", home, cluster.folder / "secrets", "plain"],
        [SHIPPED / "rabbitmq" / "cluster.sh", home, node_name(machine), *names],
    )
    for command in commands:
        env = {**os.environ, **{name: str(value) for name, value in given.items()}}
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, timeout=INSTALL_S)
    (home / "conf.d" / "this-machine.conf").write_text(f"management.tcp.ip = {machine.address}\n", encoding="utf-8")
    member = RabbitMember(home, cluster.epmd, name=machine.name, address=machine.address)
    cluster.cookie = cluster.cookie or member.cookie
    (home / ".erlang.cookie").write_text(cluster.cookie, encoding="utf-8")
    user = pwd.getpwnam("nobody")
    for path in (home, *home.rglob("*")):
        os.chown(path, user.pw_uid, -1)
    (home / ".erlang.cookie").chmod(0o400)
    return member


def _member(cluster: BrokerCluster, machine: Machine) -> Member:
    shipped, owner = _install(cluster, machine), machine.owner(0)
    arguments = f"{shipped.env['RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS']} {CALM}"
    env = {
        **shipped.env,
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(shipped.folder / "advanced.config"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": arguments,
    }

    def start(count: int) -> Child:
        return Child(
            [PROGRAM],
            log=cluster.folder / f"rabbitmq-{machine.name}.{count}.log",
            stop_steps=KILL,
            orphan_signal=signal.SIGKILL,
            owner=owner,
            env=env,
            cwd=shipped.folder,
        )

    return Member(f"rabbitmq-{machine.name}", machine, owner.gid, start)


def _logins(cluster: BrokerCluster, machine: Machine) -> Member:
    owner, secrets = machine.owner(1, root=True), cluster.folder / "secrets"
    settings = {
        "TAPWIRE_DATABASE_URL": cluster.database_url,
        "TAPWIRE_BROKER_LOGINS_SECRET_FILE": str(secrets / "broker_logins_secret"),
        "TAPWIRE_BROKER_API_URL_FILE": str(secrets / "broker_api_url"),
    }
    listen = f"{machine.address}:{cluster.ports['LOGINS']}"
    arguments = ("tapwire_core", "broker-logins", "--services", str(cluster.folder / "services"), "--listen", listen)
    program = Program(f"logins-{machine.name}", arguments, settings)
    return Member(
        program.name,
        machine,
        owner.gid,
        lambda count: start_program(program, cluster.folder / f"{program.name}.{count}.log", owner),
    )
