"""Tapwire's own programs as the demo runs them: each a process of its own, and started again when it dies.

That is what an operating system's service manager does in earnest. So whoever wants to see what Tapwire makes of a `kill -9` may
kill any of them while the demo runs.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tapwire_demo.processes import Child, StopStep

STOP: Final = (StopStep(signal.SIGTERM, 8.0),)
"""A tap node may take 5 s to bring a running pour to its report."""
SOON_S: Final = 3.0
"""A program that ends sooner than this is not started again: it can't work."""
RESTART_PAUSE_S: Final = 0.5
_POLL_S: Final = 0.1
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
    """The running programs: their process ids by name, and how the demo hears of a change of them."""

    def __init__(self, logs: Path, on_change: Callable[[str], None]) -> None:
        self.pids: dict[str, int] = {}
        self._logs = logs
        self._on_change = on_change

    @asynccontextmanager
    async def at_work(self, programs: Sequence[Program]) -> AsyncIterator[None]:
        """Keep the programs running during the block, then stop them together; raises a group of `ProgramFailed`."""
        async with asyncio.TaskGroup() as tasks:
            keeping = [tasks.create_task(self._keep(program)) for program in programs]
            try:
                yield
            finally:
                for task in keeping:
                    task.cancel()

    async def _keep(self, program: Program) -> None:
        log = self._logs / f"{program.name}.log"
        while True:
            child = start_program(program, log)
            self.pids[program.name] = child.pid
            born_s = time.monotonic()
            try:
                while child.running:
                    await asyncio.sleep(_POLL_S)
            finally:
                await child.stop()
            if time.monotonic() - born_s < SOON_S:
                raise ProgramFailed(f"{program.name} ended with {child.exit_code}; the end of {log}:\n{child.log_tail()}")
            await asyncio.sleep(RESTART_PAUSE_S)
            log.replace(log.with_suffix(".before.log"))
            self._on_change(f"{program.name} ended with {child.exit_code}: it is started again")


def start_program(program: Program, log: Path) -> Child:
    """Start it once."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS_PREFIX)}
    return Child(
        [sys.executable, "-m", *program.arguments],
        log=log,
        stop_steps=STOP,
        env={**inherited, "PYTHONUNBUFFERED": "1", **program.settings},
        cwd=Path.cwd(),
    )
