"""Tapwire's own programs as the demo runs them: each a process of its own, and started again when it dies.

That is what an operating system's service manager does in earnest. So whoever wants to see what Tapwire makes of a `kill -9` may
kill any of them while the demo runs.
"""

import asyncio
import math
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tapwire_demo.processes import Child, Owner, StopStep

STOP: Final = (StopStep(signal.SIGTERM, 8.0),)
"""A tap node may take 5 s to bring a running pour to its report."""
SOON_S: Final = 3.0
"""A program that ends by itself sooner than this is not started again: it can't work. One that was killed is, however soon."""
RESTART_PAUSE_S: Final = 0.5
_SETTINGS_PREFIX: Final = "TAPWIRE_"


class ProgramFailed(Exception):
    """A program can't work; the text has the end of its log."""


@dataclass(frozen=True, slots=True)
class Program:
    """A Python module to run, with its arguments and its settings; secrets stand in the settings or in files."""

    name: str
    arguments: Sequence[str | Path]
    settings: Mapping[str, str]


class Crew:
    """The running programs: their process ids by name, and how the demo hears of a new start of one."""

    def __init__(self, logs: Path, on_restart: Callable[[str], None]) -> None:
        self.pids: dict[str, int] = {}
        self._logs = logs
        self._on_restart = on_restart

    @asynccontextmanager
    async def at_work(self, programs: Sequence[Program]) -> AsyncIterator[None]:
        """Keep the programs running during the block, then stop them together; raises a group of `ProgramFailed`."""
        async with asyncio.TaskGroup() as tasks:
            begun = {program.name: asyncio.Event() for program in programs}
            keeping = [tasks.create_task(self._keep(program, begun[program.name])) for program in programs]
            try:
                for event in begun.values():
                    await event.wait()
                yield
            finally:
                for task in keeping:
                    task.cancel()

    async def _keep(self, program: Program, begun: asyncio.Event) -> None:
        log = self._logs / f"{program.name}.log"
        while True:
            child = start_program(program, log)
            born_s = time.monotonic()
            try:
                self.pids[program.name] = child.pid
                if begun.is_set():
                    self._on_restart(f"{program.name} is started again")
                begun.set()
                await child.ended(math.inf)
            finally:
                await child.stop()
            killed = child.exit_code is not None and child.exit_code < 0
            if time.monotonic() - born_s < SOON_S and not killed:
                raise ProgramFailed(f"{program.name} ended at once ({child.exit_code}); the end of {log}:\n{child.log_tail()}")
            await asyncio.sleep(RESTART_PAUSE_S)
            log.replace(log.with_suffix(".before.log"))


def start_program(program: Program, log: Path, owner: Owner | None = None) -> Child:
    """Start it once, as somebody else if we are root and it says so."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS_PREFIX)}
    return Child(
        [sys.executable, "-m", *program.arguments],
        log=log,
        stop_steps=STOP,
        orphan_signal=signal.SIGKILL,  # each of them is made to bear it
        owner=owner,
        env={**inherited, "PYTHONUNBUFFERED": "1", **program.settings},
        cwd=Path.cwd(),
    )
