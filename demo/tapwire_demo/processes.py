"""Programs that we start as our own children, none of which outlives us.

Three things are true of each. It has a session of its own: Ctrl-C in a terminal reaches only this process, which then stops its
children in their order. On Linux the kernel signals it when this process dies, however that happens. And there is no await between
its birth and the moment somebody answers for it, so no cancellation loses it.
"""

import asyncio
import contextlib
import ctypes
import functools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import Final

LOOPBACK: Final = "127.0.0.1"
LOG_TAIL_LINES: Final = 20
FIRST_PORT: Final = 11_000
"""Browsers refuse some that are lower."""
PORT_TRIES: Final = 100
PORTS_OF_KERNEL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
FIRST_OUTGOING_PORT: Final = 32_768
"""Where that file is missing; other systems begin later."""
_POLL_S: Final = 0.02
_PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Owner:
    """The unprivileged user that a child runs as when we are root."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class StopStep:
    """A signal, and how long a child may take to end after it."""

    signal: signal.Signals
    grace_s: float


class Child:
    """A running program with its output in a log file.

    `stop_steps` says how it is asked to end, the gentlest first; SIGKILL follows by itself. `orphan_signal` is what the kernel
    sends when this process dies, the first of them unless said otherwise: nobody is there any more to send a second one.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        stop_steps: Sequence[StopStep],
        orphan_signal: signal.Signals | None = None,
        owner: Owner | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path = Path("/"),
    ) -> None:
        self._stop_steps = stop_steps
        self._log = log
        with log.open("wb") as output:
            log.chmod(0o600)
            self._process: Final[subprocess.Popen[bytes]] = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
                cwd=cwd,
                start_new_session=True,
                preexec_fn=_die_with(os.getpid(), orphan_signal or stop_steps[0].signal),
                user=owner.uid if owner else None,
                group=owner.gid if owner else None,
                extra_groups=[] if owner else None,
            )

    @property
    def pid(self) -> int:
        """The process id, also after the end."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """True while it runs."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Its exit code, minus the signal's number when one killed it, or None while it runs."""
        return self._process.poll()

    def log_tail(self) -> str:
        """The last lines of what it wrote."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])

    def send(self, number: signal.Signals) -> None:
        """Signal it; nothing happens when it has ended."""
        self._process.send_signal(number)

    async def ended(self, timeout_s: float) -> bool:
        """Wait for its end, at most so long; whether it ended."""
        deadline = time.monotonic() + timeout_s
        while self.running:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    async def stop(self) -> None:
        """Make it end, step by step. Whatever interrupts this, the program has ended afterwards."""
        try:
            for step in self._stop_steps:
                self.send(step.signal)
                if await self.ended(step.grace_s):
                    return
        finally:
            self.kill()

    def kill(self) -> None:
        """Make it end now, without giving way to other tasks: for the end of an interrupted start or stop."""
        if not self.running:
            return
        last = self._stop_steps[-1]
        self.send(last.signal)
        try:
            self._process.wait(last.grace_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()


def free_port(address: str = LOOPBACK) -> int:
    """A port that nobody listens on at this moment, of an address of this machine, or with an empty one of all of them.

    The kernel gives it to no outgoing connection before somebody listens: a program that starts for seconds would find it taken.
    """
    for _ in range(PORT_TRIES):
        port = SystemRandom().randrange(FIRST_PORT, _first_outgoing_port())
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((address, port))
            return port
    raise OSError(f"no port from {FIRST_PORT} on is free at {address or 'all addresses'} after {PORT_TRIES} tries")


@functools.cache
def _first_outgoing_port() -> int:
    """Where the kernel's own choice of ports begins."""
    if not PORTS_OF_KERNEL.exists():
        return FIRST_OUTGOING_PORT
    return max(int(PORTS_OF_KERNEL.read_text(encoding="ascii").split()[0]), FIRST_PORT + PORT_TRIES)


def _die_with(parent_pid: int, number: signal.Signals) -> Callable[[], None] | None:
    """A child's first step, which has the kernel signal it at our death; None where the kernel can't do it.

    The kernel forgets the request when user ids change, so this must come after that, as `preexec_fn` does.
    """
    if _libc is None:
        return None
    libc = _libc

    def ask_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent_pid:
            os._exit(1)

    return ask_kernel
