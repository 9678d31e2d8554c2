"""Tapwire's own commands as a person gives them: each a process of its own, with settings from its environment."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

ENDS_WITHIN_S: Final = 60.0


@dataclass(frozen=True)
class Ended:
    """A command's result: its exit code and output."""

    code: int
    output: str
    errors: str


async def command(module: str, *arguments: object, **settings: str) -> Ended:
    """Run `python -m MODULE ARGUMENTS` to its end."""
    process = await _start(module, arguments, settings)
    try:
        async with asyncio.timeout(ENDS_WITHIN_S):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ended(process.returncode, output.decode(), errors.decode())


async def done(module: str, *arguments: object, **settings: str) -> str:
    """Run a command that must succeed; what it printed."""
    ended = await command(module, *arguments, **settings)
    assert ended.code == 0, ended.errors
    return ended.output


@asynccontextmanager
async def running(module: str, *arguments: object, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command that runs during the block, and must end in good order when it is told to."""
    process = await _start(module, arguments, settings, piped=False)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(ENDS_WITHIN_S):
            code = await process.wait()
    assert code == 0


async def _start(
    module: str, arguments: tuple[object, ...], settings: dict[str, str], *, piped: bool = True
) -> asyncio.subprocess.Process:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TAPWIRE_")}
    to = asyncio.subprocess.PIPE if piped else None
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *map(str, arguments), env={**kept, **settings}, stdout=to, stderr=to
    )
