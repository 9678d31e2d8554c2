"""The bar without a single machine: three brokers, three database members, three core workers, two admin APIs behind HAProxy."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Final

from tapwire_contracts.topics import tap_path
from tapwire_core.db.engine import Database
from tapwire_core.db.schema import migrate
from tapwire_core.domain.policy import Policy
from tapwire_demo.processes import Child, free_port
from tapwire_demo.programs import Program, start_program
from tests.chaos import patroni, rabbitmq
from tests.chaos.first_data import VENUE, found
from tests.chaos.machines import Member, Network
from tests.chaos.patroni import KILL, DatabaseCluster, patroni_cluster
from tests.chaos.rabbitmq import BrokerCluster, rabbitmq_cluster
from tests.chaos.site import ADMIN, RICH_MINOR, Site, hire_staff, open_taps, service_settings, until_ready

HAPROXY_CFG: Final = Path(__file__).parents[2] / "deploy" / "haproxy" / "admin.cfg"
SHIPPED_ADMINS: Final = ("192.0.2.21:8080", "192.0.2.22:8080")
CORES: Final = ("core-1", "core-2", "core-3")
ADMINS: Final = ("admin-1", "admin-2")
SYSTEM_PATH: Final = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))


@dataclass(frozen=True, slots=True)
class Cluster:
    """A site, and what of it there are several."""

    site: Site
    database: DatabaseCluster
    broker: BrokerCluster
    cores: list[Member]
    admins: list[Member]
    haproxy: Member

    async def whole(self) -> None:
        """Wait until every member of database and broker is there again."""
        await asyncio.gather(self.database.whole(), self.broker.whole())


def why_not() -> str:
    """What this machine lacks for it; empty when nothing."""
    missing = [*patroni.missing_programs().split(), *rabbitmq.missing_programs().split()]
    if which("haproxy", path=SYSTEM_PATH) is None:
        missing.append("haproxy")
    if missing:
        return f"not installed (Debian: apt-get install {' '.join(missing)})"
    return "" if os.geteuid() == 0 else "each member runs with a group of its own, which takes root"


@asynccontextmanager
async def open_cluster(tap_count: int) -> AsyncIterator[Cluster]:
    """The bar at work, each member a program of its own with an address of its own."""
    async with AsyncExitStack() as stack:
        folder = _folder_of_all(stack)
        network = Network()
        database = await stack.enter_async_context(patroni_cluster(folder / "database", network))
        await migrate(database.url, database.application_url)
        db = await stack.enter_async_context(Database.open(database.url, Policy(), pool_size=4))
        paths = [tap_path(VENUE, f"tap-{number}") for number in range(1, tap_count + 1)]
        accounts = await found(db, paths)
        broker = await stack.enter_async_context(rabbitmq_cluster(folder / "broker", network, accounts, database.application_url))
        site = Site(folder, db, None, None, database_url=database.application_url)
        await hire_staff(site)
        port = free_port("")
        cores = [_service(site, network, name, port, broker.url("core", place)) for place, name in enumerate(CORES)]
        admins = [_service(site, network, name, port, broker.url("watcher", place)) for place, name in enumerate(ADMINS)]
        haproxy = _haproxy(site, network, admins, port)
        site.api_url = f"http://{haproxy.machine.address}:{port}"
        site.programs |= {member.name: member for member in (*broker.members, *broker.logins)}
        for member in (*cores, *admins, haproxy):
            site.programs[member.name] = member
            await stack.enter_async_context(member.kept())
        urls = {path: broker.url(str(path), place) for place, path in enumerate(paths)}
        # a guest without money would look like a lost pour
        await open_taps(site, stack, urls, (RICH_MINOR, RICH_MINOR), rabbitmq.PROTOCOL)
        await until_ready(site)
        yield Cluster(site, database, broker, cores, admins, haproxy)


def _folder_of_all(stack: AsyncExitStack) -> Path:
    """A temporary folder that the members' user may enter."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
    folder.chmod(0o711)
    return folder


def _service(site: Site, network: Network, name: str, port: int, broker_url: str) -> Member:
    machine = network.machine(name)
    owner = machine.owner(0, root=True)
    is_admin = name.startswith(ADMIN)
    settings = service_settings(site.database_url, broker_url) | {"TAPWIRE_BROKER_PROTOCOL": rabbitmq.PROTOCOL}
    if is_admin:
        settings |= {"TAPWIRE_ADMIN_HOST": machine.address, "TAPWIRE_ADMIN_PORT": str(port)}
    program = Program(name, ("tapwire_admin" if is_admin else "tapwire_core", "run"), settings)
    return Member(name, machine, owner.gid, lambda count: start_program(program, site.folder / f"{name}.{count}.log", owner))


def _haproxy(site: Site, network: Network, admins: list[Member], port: int) -> Member:
    machine = network.machine("haproxy")
    owner = machine.owner(0)
    written = HAPROXY_CFG.read_text(encoding="utf-8").replace("bind :8080", f"bind {machine.address}:{port}")
    for shipped, admin in zip(SHIPPED_ADMINS, admins, strict=True):
        written = written.replace(shipped, f"{admin.machine.address}:{port}")
    (file := site.folder / "haproxy.cfg").write_text(written, encoding="utf-8")
    file.chmod(0o644)
    program = which("haproxy", path=SYSTEM_PATH)
    assert program

    def start(count: int) -> Child:
        return Child(
            [program, "-db", "-f", file],
            log=site.folder / f"haproxy.{count}.log",
            stop_steps=KILL,
            orphan_signal=signal.SIGKILL,
            owner=owner,
        )

    return Member("haproxy", machine, owner.gid, start)
