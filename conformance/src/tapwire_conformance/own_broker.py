"""A broker that the kit runs itself: the only one that it can kill, and start again."""

import os
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Final, Self

from tapwire_conformance.broker import BrokerUnusable, BrokerUrl

START_WITHIN_S: Final = 20.0
ATTEMPT_S: Final = 1.0
LOOK_S: Final = 0.02
SHOWN_BYTES: Final = 2_000
"""So much of the end of a broker's output is shown when it does not start."""


class OwnBroker:
    """Runs one of some commands at a time. Each is the broker itself, in the foreground, at the address of the URL."""

    def __init__(self, commands: Sequence[str], url: BrokerUrl) -> None:
        """Raises `BrokerUnusable` for a command that can't be read."""
        self.commands = tuple(commands)
        self._address = (url.host, url.port)
        self._process: subprocess.Popen[bytes] | None = None
        self._command = self.commands[0]
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # it lasts as long as the broker

    def __enter__(self) -> Self:
        if self._answers():
            host, port = self._address
            raise BrokerUnusable(f"something listens at {host}:{port} already: --broker-command starts a broker of its own there")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._output.close()

    @property
    def is_running(self) -> bool:
        """False while it is dead."""
        return self._process is not None

    def start(self, command: str | None = None) -> None:
        """Start the command of before, or another one, and wait until it listens; raises `BrokerUnusable`."""
        self._command = command or self._command
        try:
            self._process = subprocess.Popen(  # noqa: S603  # the command is the caller's own
                shlex.split(self._command),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                start_new_session=True,  # Ctrl-C is for the kit, which still has a pour to stop
            )
        except (OSError, ValueError) as error:
            raise BrokerUnusable(f"the broker {self._command!r} can't be started: {error}") from error
        until_s = time.monotonic() + START_WITHIN_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until_s:
                self.kill()
                raise BrokerUnusable(f"the broker {self._command!r} does not start:\n{self._shown()}")
            time.sleep(LOOK_S)

    def kill(self) -> None:
        """Kill it, with what it started, in the middle of its work."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _answers(self) -> bool:
        try:
            socket.create_connection(self._address, ATTEMPT_S).close()
        except OSError:
            return False
        return True

    def _shown(self) -> str:
        self._output.seek(0)
        return self._output.read()[-SHOWN_BYTES:].decode(errors="replace").strip()
