"""The client of the control socket, for commands at the node: blocking, one request at a time."""

import socket
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tapwire_node.control.messages import MAX_LINE, Answer, AskStatus, Line, Status, answer_decoder, to_line
from tapwire_node.control.socket_file import control_file, short_address

ANSWER_S: Final = 5.0
"""Longest wait for an answer."""


class NodeUnreachable(Exception):
    """The tap's node does not answer; the text says what to do."""


class NodeNotRunning(NodeUnreachable):
    """No node runs with this journal."""


class NodeConnection:
    """A connection to the running node; closing it ends what it started."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._read = b""

    @classmethod
    def open(cls, journal: Path) -> Self:
        """Connect to the node that has this journal; raises `NodeNotRunning` and `NodeUnreachable`."""
        file = control_file(journal)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(ANSWER_S)
        try:
            with short_address(file) as address:
                connection.connect(address)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            connection.close()
            raise NodeNotRunning("the tap's node is not running: start it with `tapwire-node run` or its systemd unit") from error
        except OSError as error:
            connection.close()
            raise NodeUnreachable(
                f"{file} can't be opened ({error.strerror}): run this as the node's user or a member of its group"
            ) from error
        return cls(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def send(self, message: Line) -> None:
        """Send a message; raises `NodeUnreachable`."""
        try:
            self._socket.sendall(to_line(message))
        except OSError as error:
            raise NodeUnreachable(f"the connection to the node is lost ({error}): see its log") from error

    def receive(self) -> list[Answer]:
        """Wait for at least one answer and return all that have come; raises `NodeUnreachable` when none comes."""
        while b"\n" not in self._read:
            try:
                more = self._socket.recv(MAX_LINE)
            except OSError as error:
                raise NodeUnreachable(f"the node does not answer ({error}): see its log") from error
            if not more:
                raise NodeUnreachable("the node has ended: see its log")
            self._read += more
        *lines, self._read = self._read.split(b"\n")
        return [answer_decoder.decode(line) for line in lines]

    def status(self) -> Status:
        """Ask for the node's state; raises `NodeUnreachable`."""
        self.send(AskStatus())
        for answer in self.receive():
            if isinstance(answer, Status):
                return answer
        raise NodeUnreachable("the node does not answer with its state: it may be another version, restart it")
