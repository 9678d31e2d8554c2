"""Members of a RabbitMQ on addresses of loopback, each a child of ours: a node of its own, an epmd of its own, nothing of Debian's.

A member has its files, its cookie and its name below one folder. Members that share an `Epmd` and name one another by
`cluster_formation` in their configuration become a cluster.
"""

import asyncio
import os
import re
import secrets
import shutil
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tapwire_demo.processes import LOOPBACK, Child, StopStep, free_port

PROGRAM: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Not `/usr/sbin/rabbitmq-server`, which becomes another user."""
STARTS_WITHIN_S: Final = 180.0
IS_UP: Final = "Server startup complete"
_POLL_S: Final = 0.05


def require_rabbitmq() -> None:
    """Skip where RabbitMQ is missing; in CI it must not be."""
    if not PROGRAM.exists() or shutil.which("epmd") is None:
        reason = "rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@dataclass
class Epmd:
    """The names of Erlang's nodes, for members that shall find one another; not the machine's own one."""

    folder: Path
    addresses: Sequence[str] = (LOOPBACK,)
    port: int = field(default_factory=lambda: free_port(""))

    def start(self) -> None:
        """Start it as a child; it ends with us."""
        program = shutil.which("epmd")
        assert program is not None
        self.server = Child(
            [program, "-port", str(self.port), "-address", ",".join(self.addresses)],
            log=self.folder / "epmd.log",
            stop_steps=[StopStep(signal.SIGTERM, 5.0)],
        )


@dataclass
class RabbitMember:
    """One member: `folder` has all its files, among them conf.d and enabled_plugins; `config` is its own rabbitmq.conf."""

    folder: Path
    epmd: Epmd
    config: str = ""
    cookie: str = field(default_factory=secrets.token_hex)
    name: str = "tapwire"
    address: str = LOOPBACK
    dist_port: int = 0

    def __post_init__(self) -> None:
        self.dist_port = self.dist_port or free_port(self.address)
        self.folder.mkdir(parents=True, exist_ok=True)
        for file, content in (("rabbitmq.conf", self.config), (".erlang.cookie", self.cookie)):
            (self.folder / file).write_text(content)
            (self.folder / file).chmod(0o600)

    @property
    def node(self) -> str:
        """Its name, as other members write it."""
        return f"{self.name}@{self.address}"

    def start(self) -> None:
        """Start it, or start it again with what it had. A gentle end would take it six seconds, and has nothing to save."""
        self.server = Child([PROGRAM], log=self.folder / "rabbitmq.log", stop_steps=[StopStep(signal.SIGKILL, 5.0)], env=self.env)

    async def until_up(self) -> None:
        """Wait until it serves."""
        deadline = time.monotonic() + STARTS_WITHIN_S
        while IS_UP not in self.log():
            assert self.server.running, self.server.log_tail()
            assert time.monotonic() < deadline, self.server.log_tail()
            await asyncio.sleep(_POLL_S)

    @property
    def version(self) -> tuple[int, ...]:
        """Its version, such as (3, 10, 8), as its log has it."""
        found = re.search(r"Starting RabbitMQ ([0-9.]+)", self.log())
        assert found is not None
        return tuple(map(int, found[1].split(".")))

    def log(self) -> str:
        """All that it has written since its last start."""
        return (self.folder / "rabbitmq.log").read_text(encoding="utf-8", errors="replace")

    @property
    def env(self) -> dict[str, str]:
        """The environment that it starts with."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self.epmd.port),
            "ERL_EPMD_ADDRESS": ",".join(self.epmd.addresses),
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(self.folder / "conf.d"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "no-env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_FEATURE_FLAGS_FILE": str(self.folder / "feature_flags"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "generated"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_LOGS": "-",
            # the script then becomes the server, which takes our signals itself
            "RABBITMQ_ALLOW_INPUT": "true",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput -start_epmd false -kernel inet_dist_use_interface "
            f"{{{self.address.replace('.', ',')}}}",
        }


@asynccontextmanager
async def running_member(member: RabbitMember) -> AsyncIterator[RabbitMember]:
    """Run a member and its epmd."""
    member.epmd.start()
    try:
        member.start()
        try:
            await member.until_up()
            yield member
        finally:
            await member.server.stop()
    finally:
        await member.epmd.server.stop()
