"""The simulator's server: its taps, the nodes attached to them, and its clients."""

import logging
import os
import signal
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingMixIn, UnixStreamServer
from threading import Lock
from typing import Final, assert_never

from tapwire_contracts.card_uid import InvalidCardUid
from tapwire_node.hardware.scenario import Scenario, ScenarioPlayer
from tapwire_node.hardware.settings import SimulatedHardware
from tapwire_node.hardware.simulated_tap import SimulatedTap
from tapwire_node.simulator.protocol import (
    Action,
    Attach,
    CardOnReader,
    ClockOffset,
    DriveValve,
    GroundTruth,
    Line,
    LineSocket,
    Pulses,
    ReaderFault,
    SimulatorMessage,
    TapCommand,
    TruthQuery,
)

PEER_CREDENTIALS: Final = struct.Struct("3i")
logger: Final = logging.getLogger(__name__)


class AttachedNode:
    """The connection to a tap's node: passes on pulses and reader events."""

    def __init__(self, line: LineSocket, pid: int) -> None:
        self._line = line
        self.pid = pid

    def pulses(self, count: int) -> None:
        """Send pulses; called on the beer line's thread."""
        self._send(Pulses(count))

    def card_seen(self, card_uid: str) -> None:
        """From the reader."""
        self._send(CardOnReader(card_uid))

    def card_lifted(self) -> None:
        """From the reader."""
        self._send(CardOnReader(None))

    def reader_failed(self, text: str) -> None:
        """From the reader."""
        self._send(ReaderFault(text))

    def reader_recovered(self) -> None:
        """From the reader."""
        self._send(ReaderFault(None))

    def send_clock_offset(self, by_s: int) -> None:
        """Send the error of the clock, in seconds."""
        self._send(ClockOffset(by_s))

    def close(self) -> None:
        """Close the connection."""
        self._line.close()

    def _send(self, line: SimulatorMessage) -> None:
        try:
            self._line.send(line)
        except OSError as error:
            logger.info("the node is gone: %s", error)
            self._line.close()


class HostedTap(SimulatedTap):
    """A simulated tap with its node in another process, or with no node."""

    def __init__(self, settings: SimulatedHardware) -> None:
        super().__init__(settings)
        self._lock = Lock()
        self._node: AttachedNode | None = None
        self._left_at_ml: int | None = None
        self._clock_wrong_by_s = 0

    def attach(self, node: AttachedNode, *, valve_is_driven: bool) -> None:
        """Attach a node: the valve follows its pin from now on, before anything is sent to it."""
        with self._lock:
            self.drive_valve(is_open=valve_is_driven)
            before, self._node = self._node, node
            self.on_pulses = node.pulses
            if self._clock_wrong_by_s:
                node.send_clock_offset(self._clock_wrong_by_s)
            self.reader.start(node)
        if before is not None:
            before.close()

    def detach(self, node: AttachedNode) -> None:
        """Detach a node; the valve stays as it is. A node that was replaced already changes nothing."""
        with self._lock:
            if self._node is not node:
                return
            self._node, self._left_at_ml = None, self.flowed_ml
            self.on_pulses = None
            self.reader.end()

    def follow_pin(self, node: AttachedNode, *, is_driven: bool) -> None:
        """Follow the pin of the attached node; that of a replaced one is ignored."""
        with self._lock:
            if self._node is node:
                self.drive_valve(is_open=is_driven)

    def cut_power(self) -> None:
        """Kill the node and close the valve, as a valve without power closes."""
        with self._lock:
            node = self._node
        if node is not None:
            os.kill(node.pid, signal.SIGKILL)
        self.drive_valve(is_open=False)

    def set_clock(self, wrong_by_s: int) -> None:
        """Set the error of the tap's machine's clock, for this node and later ones."""
        self._clock_wrong_by_s = wrong_by_s
        with self._lock:
            node = self._node
        if node is not None:
            node.send_clock_offset(wrong_by_s)

    def truth(self, refused: str | None = None) -> GroundTruth:
        """The tap's true state."""
        with self._lock:
            return GroundTruth(
                valve_is_driven=self.valve_is_driven,
                flowed_ml=self.flowed_ml,
                node_is_attached=self._node is not None,
                left_at_ml=self._left_at_ml,
                refused=refused,
            )


class Simulator(ThreadingMixIn, UnixStreamServer):
    """Serves taps by their path on a Unix socket that only its owner may use."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, file: Path, taps: Mapping[str, tuple[SimulatedHardware, Scenario | None]]) -> None:
        self.taps: Final = {path: HostedTap(settings) for path, (settings, _) in taps.items()}
        self._players: Final = [
            ScenarioPlayer(self.taps[path], scenario) for path, (_, scenario) in taps.items() if scenario is not None
        ]
        file.unlink(missing_ok=True)
        super().__init__(str(file), SimulatorConnection)
        file.chmod(0o600)

    def find(self, path: str) -> HostedTap | None:
        """The tap of this path; without a path, the only tap."""
        return next(iter(self.taps.values())) if not path and len(self.taps) == 1 else self.taps.get(path)

    def start(self) -> None:
        """Start the beer lines and the guests."""
        for tap in self.taps.values():
            tap.start()
        for player in self._players:
            player.start()

    def end(self) -> None:
        """Stop the guests and the beer lines."""
        for player in self._players:
            player.end()
        for tap in self.taps.values():
            tap.end()


class SimulatorConnection(BaseRequestHandler):
    """One connection, of a node or a client."""

    server: Simulator
    request: socket.socket

    def handle(self) -> None:
        """Serve until the peer disconnects."""
        self._line = LineSocket(self.request)
        self._attached: tuple[HostedTap, AttachedNode] | None = None
        try:
            for heard in self._line.lines():
                if not self._serve(heard):
                    logger.error("unexpected message or unknown tap: %s; the taps are %s", heard, ", ".join(self.server.taps))
                    return
        except OSError as error:
            logger.info("a connection ended: %s", error)
        finally:
            if self._attached is not None:
                tap, node = self._attached
                tap.detach(node)

    def _serve(self, heard: Line) -> bool:
        match heard:
            case Attach():
                tap = self.server.find(heard.tap)
                if tap is None or self._attached is not None:
                    return False
                node = AttachedNode(self._line, peer_pid(self.request))
                self._attached = tap, node
                tap.attach(node, valve_is_driven=heard.valve_is_driven)
            case DriveValve() if self._attached is not None:
                tap, node = self._attached
                tap.follow_pin(node, is_driven=heard.is_driven)
            case TapCommand() | TruthQuery():
                tap = self.server.find(heard.tap)
                if tap is None:
                    return False
                self._line.send(answer_request(tap, heard))
            case _:
                return False
        return True


def peer_pid(connected: socket.socket) -> int:
    """The process at the other end of a Unix socket."""
    pid: int
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_CREDENTIALS.size)
    pid, _uid, _gid = PEER_CREDENTIALS.unpack(credentials)
    return pid


def answer_request(tap: HostedTap, asked: TapCommand | TruthQuery) -> GroundTruth:
    """Carry out a request and return the tap's true state."""
    if isinstance(asked, TruthQuery):
        return tap.truth()
    try:
        carry_out_action(tap, asked)
    except InvalidCardUid as error:
        return tap.truth(refused=str(error))
    return tap.truth()


def carry_out_action(tap: HostedTap, asked: TapCommand) -> None:
    """Carry out one action; raises `InvalidCardUid`."""
    match asked.action:
        case Action.PRESENT:
            tap.reader.present(asked.card_uid)
        case Action.REMOVE:
            tap.reader.remove()
        case Action.BREAK_READER:
            tap.reader.fail("broken by hand")
        case Action.MEND_READER:
            tap.reader.recover()
        case Action.STICK_VALVE | Action.FREE_VALVE:
            tap.valve_sticks = asked.action is Action.STICK_VALVE
        case Action.SET_LEAK:
            tap.leak_ml_per_s = asked.ml_per_s
        case Action.SET_FLOW:
            tap.flow_ml_per_s = asked.ml_per_s
        case Action.CUT_POWER:
            tap.cut_power()
        case Action.SET_CLOCK:
            tap.set_clock(asked.wrong_by_s)
        case Action.SHUT_VALVE:
            tap.drive_valve(is_open=False)
        case _:
            assert_never(asked.action)
