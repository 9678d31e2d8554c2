"""A small TCP proxy between the node and the broker, which can be cut between any two messages.

A connection of anybody's at a broker can be ended from outside in no other way: so the node is pointed at this address instead.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any, Final, Self

from tapwire_conformance.tap.packets import Packets, is_mqtt, message_of
from tapwire_contracts.mqtt_clients import NO_DELAY

CHUNK_BYTES: Final = 65_536
CONNECT_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the link is to be cut: at the next message that fits, which gets through or is lost."""

    fits: Callable[[dict[str, Any]], bool]
    is_lost: bool


class Link:
    """Carries connections to `target`. While it is closed, nobody gets through."""

    def __init__(self, host: str, port: int, target: tuple[str, int]) -> None:
        """Listen; port 0 takes a free one. Raises `OSError`."""
        self._target = target
        self._listening = socket.create_server((host, port))
        self._lock = Lock()
        self._is_open = True
        self._cut: Cut | None = None
        self.is_sealed = False
        """True once a connection through it was not of plain MQTT: what it carries can't be read."""
        self._ends: set[socket.socket] = set()
        self.port: int = self._listening.getsockname()[1]

    def __enter__(self) -> Self:
        Thread(target=self._admit, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        # an accept that waits is not ended by closing its socket alone
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    @property
    def is_open(self) -> bool:
        """False while nobody gets through."""
        return self._is_open

    def cut(self) -> None:
        """End the connections that there are; the next one gets through."""
        with self._lock:
            ends, self._ends = self._ends, set()
        for end in ends:
            _end(end)

    def close(self) -> None:
        """Cut, and let nobody through until `open`."""
        with self._lock:
            self._is_open = False
        self.cut()

    def close_at(self, cut: Cut | None) -> None:
        """Close by itself at a message of either direction; None takes that back."""
        self._cut = cut

    def open(self) -> None:
        """Let connections through again."""
        with self._lock:
            self._is_open = True

    def _admit(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._target, CONNECT_TIMEOUT_S)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        for end in (near, far):
            for option in NO_DELAY:
                end.setsockopt(*option)
        with self._lock:
            if self._is_open:
                self._ends |= {near, far}
        if near not in self._ends:
            near.close()
            far.close()
            return
        with suppress(OSError):
            self.is_sealed = not is_mqtt(near.recv(1, socket.MSG_PEEK))
        Thread(target=self._pump, args=(far, near), daemon=True).start()
        self._pump(near, far)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        packets = Packets()
        with suppress(OSError):
            while chunk := source.recv(CHUNK_BYTES):
                if self.is_sealed:
                    sink.sendall(chunk)
                    continue
                for packet in packets.take(chunk):
                    self._carry_packet(packet, sink)
        for end in (source, sink):
            _end(end)
        with self._lock:
            self._ends -= {source, sink}

    def _carry_packet(self, packet: bytes, sink: socket.socket) -> None:
        """Carry one packet; raises `OSError` when it is the one at which the link is cut."""
        cut = self._cut
        if cut is None or not cut.fits(message_of(packet)):
            sink.sendall(packet)
            return
        self._cut = None
        if not cut.is_lost:
            sink.sendall(packet)
        self.close()
        raise ConnectionAbortedError("cut")


def _end(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
