"""Machines of a cluster on this one machine: each has an address of loopback and its own groups, by which its network is cut.

A member is one program of a machine with all that it starts: PostgreSQL is a grandchild of Patroni that outlives it. It is found by
its group, which nobody else has. It is kept running as a service manager does it, and may be killed, frozen, or cut off.
"""

import asyncio
import math
import os
import pwd
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from random import SystemRandom
from typing import Final

import psutil

from tapwire_demo.processes import Child, Owner
from tests.besides import besides
from tests.chaos.memory import Memory, memory_of
from tests.chaos.programs import RESTART_PAUSE_S

GROUPS: Final = range(20_000, 60_000, 100)
"""First groups of clusters; those of people and services are below."""
END_S: Final = 5.0
LOOK_S: Final = 0.05
IPTABLES: Final = ("iptables", "--wait", "10")


def may_cut() -> bool:
    """Return whether this process may set rules of the firewall, which cut a machine off."""
    with suppress(FileNotFoundError):
        listed = subprocess.run([*IPTABLES, "--list", "OUTPUT", "--numeric"], capture_output=True, check=False, timeout=30)
        return os.geteuid() == 0 and listed.returncode == 0
    return False


@dataclass
class Network:
    """Hands out machines with addresses and groups that no other run has."""

    _dice: SystemRandom = field(default_factory=SystemRandom)
    _machines: int = 0

    def __post_init__(self) -> None:
        self._net = f"127.{self._dice.randint(1, 254)}.{self._dice.randint(1, 254)}"
        taken = {process.gids().real // GROUPS.step for process in psutil.process_iter()}
        self._groups = self._dice.choice([first for first in GROUPS if first // GROUPS.step not in taken])

    def machine(self, name: str) -> "Machine":
        """A new machine."""
        self._machines += 1
        first = self._groups + 2 * self._machines
        return Machine(name, f"{self._net}.{self._machines}", (first, first + 1))


@dataclass(frozen=True, slots=True)
class Machine:
    """An address, and room for two members."""

    name: str
    address: str
    groups: tuple[int, int]

    def owner(self, place: int, *, root: bool = False) -> Owner:
        """Who runs the member at a place, 0 or 1: `nobody`, or root where the program is this checkout's."""
        return Owner(0 if root else pwd.getpwnam("nobody").pw_uid, self.groups[place])

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Drop what its members send to other machines, and what others send to it, during the block.

        A member's connections to others have a source address that all share, so what others send back comes in; it is never
        acknowledged, and nothing follows it.
        """
        groups = "-".join(map(str, self.groups))
        rules = (
            ["-o", "lo", "!", "-d", self.address, "-m", "owner", "--gid-owner", groups],
            ["-o", "lo", "-d", self.address, "-m", "owner", "!", "--gid-owner", groups],
        )
        placed: list[list[str]] = []
        try:
            for rule in rules:
                _iptables("--insert", rule)
                placed.append(rule)
            yield
        finally:
            for rule in placed:
                _iptables("--delete", rule)


def _iptables(command: str, rule: list[str]) -> None:
    subprocess.run([*IPTABLES, command, "OUTPUT", *rule, "-j", "DROP"], check=True, timeout=30)


@dataclass
class Member:
    """A program on a machine. `start` starts it once; `stays_down` while a service manager leaves it."""

    name: str
    machine: Machine
    group: int
    start: Callable[[int], Child]
    stays_down: bool = False
    starts: int = 0
    _child: Child | None = None

    @property
    def pid(self) -> int | None:
        """The program's own process id while it runs."""
        return self._child.pid if self._child is not None and self._child.running else None

    def log(self) -> str:
        """The end of its latest log."""
        return self._child.log_tail() if self._child is not None else ""

    def memory(self) -> Memory:
        """Memory of it and its children now."""
        return memory_of(self.pid)

    def processes(self) -> list[psutil.Process]:
        """All that run for it."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.gids().real == self.group and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def send(self, number: signal.Signals) -> None:
        """Signal all of it; a second look finds what it started meanwhile."""
        for _ in range(2):
            for process in self.processes():
                with suppress(psutil.Error):
                    process.send_signal(number)

    def send_alone(self, number: signal.Signals) -> None:
        """Signal the program, and not what it started."""
        if self._child is not None:
            self._child.send(number)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep it running during the block, and leave nothing of it behind."""
        try:
            async with besides(self._keep()):
                yield
        finally:
            await asyncio.shield(self._end())

    async def _keep(self) -> None:
        while True:
            if not self.stays_down:
                self.starts += 1
                self._child = self.start(self.starts)
                await self._child.ended(math.inf)
            await asyncio.sleep(RESTART_PAUSE_S)

    async def _end(self) -> None:
        self.send(signal.SIGCONT)
        try:
            if self._child is not None:
                await self._child.stop()
        finally:
            self.send(signal.SIGKILL)
            async with asyncio.timeout(END_S):
                while self.processes():
                    await asyncio.sleep(LOOK_S)
