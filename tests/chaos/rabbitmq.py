"""RabbitMQ with three members, as `deploy/rabbitmq/rabbitmq.conf` sets it up."""

import asyncio
import base64
import hashlib
import json
import os
import pwd
import re
import secrets
import shutil
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tapwire_demo.broker import Account
from tapwire_demo.processes import Child, Owner, StopStep
from tests.chaos.machines import Machine, Member, Network, port_of_all_addresses

SHIPPED: Final = Path(__file__).parents[2] / "deploy" / "rabbitmq"
CONF: Final = SHIPPED / "rabbitmq.conf"
ADVANCED: Final = SHIPPED / "advanced.config"
SHIPPED_NODE: Final = "rabbit@192.0.2.1{number}"
SHIPPED_PORT: Final = "mqtt.listeners.tcp.default = 1883"
PARTNERS: Final = "cluster_partition_handling.pause_if_all_down.nodes."
SERVER: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's command in /usr/sbin changes to the user of its one server."""
MEMBERS: Final = 3
PROTOCOL: Final = "3.1.1"
ALL_THERE: Final = (MEMBERS, MEMBERS)
READY_S: Final = 120.0
ASK_S: Final = 10.0
LOOK_S: Final = 0.3
LOOKS: Final = 5
"""It counts as whole when it is so at this many looks on end."""
KILL: Final = (StopStep(signal.SIGKILL, 5.0),)
"""How they end: what they keep is thrown away."""
CALM: Final = "+sbwt none +sbwtdcpu none +sbwtdio none"
"""Erlang's threads don't wait for work by looking for it: all members share this machine."""


def missing_programs() -> str:
    """The packages that must be installed for it; empty when all are there."""
    return "" if SERVER.exists() and shutil.which("erl_call") else "rabbitmq-server"


@dataclass
class BrokerCluster:
    """Three machines with RabbitMQ each, and who may log in."""

    folder: Path
    ports: dict[str, int]
    machines: list[Machine]
    accounts: dict[str, Account]
    members: list[Member] = field(default_factory=list)
    cookie: str = field(default_factory=secrets.token_hex)

    def url(self, username: str, first: int) -> str:
        """All members' addresses with a login, from one of them on: so that not all clients begin at the same one."""
        account = self.accounts[username]
        login = f"{quote(account.username, safe='')}:{quote(account.password, safe='')}"
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
            logs = "\n".join(f"{member.name}: {member.log()}" for member in self.members)
            raise AssertionError(f"not whole: {seen}\n{logs}") from None

    async def takes_clients(self, machine: Machine) -> None:
        """Wait until a member has started."""
        async with asyncio.timeout(READY_S):
            while not await self._takes_clients(machine):
                await asyncio.sleep(LOOK_S)

    async def _seen_by(self, machine: Machine) -> tuple[int, int]:
        """How many members run, and how many share the client ids, as one of them says it; 0 while it takes no clients."""
        if not await self._takes_clients(machine):
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
            env={**os.environ, "ERL_EPMD_PORT": str(self.ports["EPMD"])},
        )
        try:
            async with asyncio.timeout(ASK_S):
                said, _ = await asked.communicate()
        except TimeoutError:
            asked.kill()
            return ""
        return said.decode()

    async def _takes_clients(self, machine: Machine) -> bool:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(machine.address, self.ports["MQTT"])
            writer.close()
            return True
        return False


def node_name(machine: Machine) -> str:
    """The name of the member on a machine; `epmd` knows only the part before the @."""
    return f"{machine.name}@{machine.address}"


@asynccontextmanager
async def rabbitmq_cluster(folder: Path, network: Network, accounts: Iterable[Account]) -> AsyncIterator[BrokerCluster]:
    """Run one in a folder that every user may enter.

    The members find each other's port by one `epmd`, as several can't run on one machine; it is asked when a member starts.
    """
    ports = {name: port_of_all_addresses() for name in ("MQTT", "EPMD")}
    machines = [network.machine(f"mq{number}") for number in range(1, MEMBERS + 1)]
    cluster = BrokerCluster(folder, ports, machines, {account.username: account for account in accounts})
    _write(cluster)
    async with AsyncExitStack() as stack:
        guide = network.machine("epmd")
        owner = guide.owner(0)
        epmd = Member(guide.name, guide, owner.gid, lambda count: _epmd(cluster, owner, count))
        await stack.enter_async_context(epmd.kept())
        for machine in machines:
            cluster.members.append(_member(cluster, machine))
            await stack.enter_async_context(cluster.members[-1].kept())
            await cluster.takes_clients(machine)  # those that start for the first time together may not share client ids
        await cluster.whole()
        yield cluster


def _epmd(cluster: BrokerCluster, owner: Owner, count: int) -> Child:
    return Child(
        ["epmd", "-port", str(cluster.ports["EPMD"])],
        log=cluster.folder / f"epmd.{count}.log",
        stop_steps=KILL,
        orphan_signal=signal.SIGKILL,
        owner=owner,
        env={"PATH": os.environ["PATH"]},
    )


def _write(cluster: BrokerCluster) -> None:
    """The shipped configuration with this machine's addresses and ports, and the logins."""
    user, shipped = pwd.getpwnam("nobody"), CONF.read_text(encoding="utf-8")
    for number, machine in enumerate(cluster.machines, 1):
        shipped = shipped.replace(SHIPPED_NODE.format(number=number), node_name(machine))
    cluster.folder.mkdir()
    for machine in cluster.machines:
        home = cluster.folder / machine.name
        home.mkdir()
        listens = f"mqtt.listeners.tcp.default = {machine.address}:{cluster.ports['MQTT']}"
        own = f"distribution.listener.interface = {machine.address}\nload_definitions = {home / 'definitions.json'}\n"
        itself = re.compile(rf"^{re.escape(PARTNERS)}\S+ = {re.escape(node_name(machine))}\n", re.MULTILINE)
        written, deleted = itself.subn("", shipped)
        assert (deleted, written.count(PARTNERS), written.count(SHIPPED_PORT)) == (1, MEMBERS - 1, 1)
        (home / "rabbitmq.conf").write_text(f"{written.replace(SHIPPED_PORT, listens)}{own}", encoding="utf-8")
        shutil.copy(ADVANCED, home)
        (home / "enabled_plugins").write_text("[rabbitmq_mqtt].\n", encoding="utf-8")
        (home / "definitions.json").write_text(json.dumps(_definitions(cluster.accounts.values())), encoding="utf-8")
        (home / ".erlang.cookie").write_text(cluster.cookie, encoding="utf-8")
        for path in (home, *home.iterdir()):
            os.chown(path, user.pw_uid, -1)
        (home / ".erlang.cookie").chmod(0o400)
    cluster.folder.chmod(0o755)


def _definitions(accounts: Iterable[Account]) -> dict[str, object]:
    """Users that may do all."""
    rights = {"vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
    accounts = list(accounts)
    return {
        "vhosts": [{"name": "/"}],
        "users": [{"name": account.username, "password_hash": _hash(account.password), "tags": ""} for account in accounts],
        "permissions": [{"user": account.username, **rights} for account in accounts],
    }


def _hash(password: str) -> str:
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _member(cluster: BrokerCluster, machine: Machine) -> Member:
    home, owner = cluster.folder / machine.name, machine.owner(0)
    env = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "HOME": str(home),
        "ERL_EPMD_PORT": str(cluster.ports["EPMD"]),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / ADVANCED.name),
        "RABBITMQ_CONF_ENV_FILE": str(home / "none"),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_DIST_PORT": str(port_of_all_addresses()),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(home / "generated"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
        "RABBITMQ_NODENAME": node_name(machine),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": CALM,
        "RABBITMQ_USE_LONGNAME": "true",
    }

    def start(count: int) -> Child:
        return Child(
            [SERVER],
            log=cluster.folder / f"rabbitmq-{machine.name}.{count}.log",
            stop_steps=KILL,
            orphan_signal=signal.SIGKILL,
            owner=owner,
            env=env,
            cwd=home,
        )

    return Member(f"rabbitmq-{machine.name}", machine, owner.gid, start)
