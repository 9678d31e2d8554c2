"""The protocol of a simulator's socket: one JSON object per line.

A node begins with `Attach`, sends `DriveValve` for each change of its valve's pin, and receives `Pulses`, `CardOnReader`,
`ReaderFault` and `ClockOffset`. A client (a test or a demo) sends `TapCommand` or `TruthQuery` and receives `GroundTruth` after
each.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

MAX_LINE_BYTES: Final = 4_096
SEND_TIMEOUT_S: Final = 2
"""A peer that does not read for this long is disconnected."""
_TIMEVAL: Final = struct.Struct("ll")
ClockError = Annotated[int, Meta(ge=-3_000_000_000, le=3_000_000_000, description="s; some 95 years")]
FlowMlPerS = Annotated[int, Meta(ge=0, le=1_000, description="ml/s")]


class SimulatorUnreachable(Exception):
    """No simulator answers at the socket; the text says what to start."""


class Attach(Struct, frozen=True, tag="attach"):
    """A node connects to its tap and gives its valve pin's level; it replaces an earlier node."""

    tap: str
    valve_is_driven: bool = False


class DriveValve(Struct, frozen=True, tag="drive_valve"):
    """The level of the node's valve pin has changed."""

    is_driven: bool


class Action(StrEnum):
    """An action on a simulated tap."""

    PRESENT = "present"
    REMOVE = "remove"
    BREAK_READER = "break_reader"
    MEND_READER = "mend_reader"
    STICK_VALVE = "stick_valve"
    FREE_VALVE = "free_valve"
    SET_LEAK = "set_leak"
    SET_FLOW = "set_flow"
    CUT_POWER = "cut_power"
    SET_CLOCK = "set_clock"
    SHUT_VALVE = "shut_valve"
    """Release the valve's pin, as `ExecStopPost` does after a node was killed."""


class TapCommand(Struct, frozen=True, kw_only=True, tag="act"):
    """Act on a tap: `card_uid` for `PRESENT`, `ml_per_s` for `SET_LEAK` and `SET_FLOW`, `wrong_by_s` for `SET_CLOCK`."""

    tap: str
    action: Action
    card_uid: str = ""
    ml_per_s: FlowMlPerS = 0
    wrong_by_s: ClockError = 0


class TruthQuery(Struct, frozen=True, tag="look"):
    """Ask for the tap's true state."""

    tap: str


class Pulses(Struct, frozen=True, tag="pulses"):
    """The meter gave pulses."""

    count: int


class CardOnReader(Struct, frozen=True, tag="card"):
    """The card that is on the reader now; None when there is none."""

    card_uid: str | None


class ReaderFault(Struct, frozen=True, tag="reader"):
    """The reader does not work, or works again (None)."""

    text: str | None


class ClockOffset(Struct, frozen=True, tag="clock"):
    """The error of the node's time of day from now on, in seconds."""

    by_s: ClockError


class GroundTruth(Struct, frozen=True, kw_only=True, tag="truth"):
    """The true state of a tap, independent of its node.

    `left_at_ml` is what had flowed when its last node went away, None before that; `refused` says why an `TapCommand` was not done.
    """

    valve_is_driven: bool
    flowed_ml: int
    node_is_attached: bool
    left_at_ml: int | None
    refused: str | None = None


NodeMessage = Attach | DriveValve
ClientRequest = TapCommand | TruthQuery
SimulatorMessage = Pulses | CardOnReader | ReaderFault | ClockOffset
Line = Attach | DriveValve | TapCommand | TruthQuery | Pulses | CardOnReader | ReaderFault | ClockOffset | GroundTruth
_LINE: Final = msgspec.json.Decoder(Line)


class LineSocket:
    """A connected socket for lines; sending is thread-safe."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(SEND_TIMEOUT_S, 0))
        self._socket = connected
        self._sending = Lock()
        self._rest = b""

    @classmethod
    def connect(cls, file: Path) -> "LineSocket":
        """Connect to a simulator; raises `SimulatorUnreachable`."""
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.connect(str(file))
        except OSError as error:
            connected.close()
            raise SimulatorUnreachable(
                f"no simulator answers at {file} ({error.strerror or error}): start python -m tapwire_node.simulator"
            ) from error
        return cls(connected)

    def send(self, line: Line) -> None:
        """Send a line; raises `OSError`."""
        with self._sending:
            self._socket.sendall(msgspec.json.encode(line) + b"\n")

    def lines(self) -> Iterator[Line]:
        """Yield received lines until the peer disconnects or sends an invalid line."""
        while True:
            head, newline, rest = self._rest.partition(b"\n")
            if newline:
                self._rest = rest
                try:
                    yield _LINE.decode(head)
                except msgspec.DecodeError:
                    return
                continue
            try:
                more = self._socket.recv(MAX_LINE_BYTES)
            except OSError:
                return
            if not more or len(self._rest) > MAX_LINE_BYTES:
                return
            self._rest += more

    def close(self) -> None:
        """Close the connection, also for a thread that waits in `lines`."""
        with suppress(OSError):  # the other side was faster
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
