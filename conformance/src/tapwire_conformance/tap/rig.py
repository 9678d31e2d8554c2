"""What lays cards on and lets beer flow: a person beside the tap (`person.py`), or a program that speaks a small protocol of lines.

The program reads one request a line from its standard input and answers each with one line:

    card-on 04a1b2c3    ok          lay this card on the reader, instead of another
    card-off            ok          take the card off
    pour 300            ok          let 300 ml flow through the open valve; answered when they have flowed, or none flows any more
    flow off            ok          hold the flow back, though the valve is open; `flow on` lets it go again
    leak 20             ok          let 20 ml flow through the closed valve
    power-cut           ok          cut the node's power, and give it again
    valve               open        or `closed`: the valve itself, not what the node says of it; `unknown`
    flowed              1234        ml through the meter so far; `unknown`
    whatever it can't   no TEXT     with the reason
"""

import shlex
import subprocess
from typing import IO, Final, Protocol

from tapwire_conformance.rules import NotTried

OK: Final = "ok"
UNKNOWN: Final = "unknown"


class RigUnusable(Exception):
    """The rig can't be used; the text says why."""


class Rig(Protocol):
    """Does at the tap what a scenario asks for. Each raises `NotTried` where it can't."""

    def do(self, request: str) -> str:
        """Carry out one request of the protocol; the answer."""


class CommandRig:
    """A program of anybody's."""

    def __init__(self, command: str) -> None:
        """Start it; raises `RigUnusable`."""
        try:
            self._process = subprocess.Popen(  # noqa: S603  # the command is the caller's own
                shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
        except (OSError, ValueError) as error:
            raise RigUnusable(f"the rig {command!r} can't be started: {error}") from error

    def do(self, request: str) -> str:
        """Send a line, and read one."""
        to_rig, from_rig = _opened(self._process.stdin), _opened(self._process.stdout)
        try:
            to_rig.write(f"{request}\n")
            to_rig.flush()
            answer = from_rig.readline().strip()
        except OSError as error:
            raise RigUnusable(f"the rig ended at {request!r}: {error}") from error
        if not answer:
            raise RigUnusable(f"the rig gave no answer to {request!r}")
        if answer == "no" or answer.startswith("no "):
            raise NotTried(f"the rig can't {request}: {answer.removeprefix('no').strip() or 'no reason'}")
        return answer

    def end(self) -> None:
        """Close its input, at which it ends."""
        _opened(self._process.stdin).close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _opened(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
