"""Telling systemd how the node is: a datagram on the socket that `NOTIFY_SOCKET` names.

The whole protocol is a few lines of text in one datagram, documented as stable (sd_notify(3)). The libraries for it are either
without a release for years or need a compiler and libsystemd on the Pi, so these lines are our own.
"""

import logging
import os
import socket
from collections.abc import Mapping
from typing import Final

from tapwire_node.clock import monotonic_ms

PINGS_PER_TIMEOUT: Final = 4
"""Signs of life in one watchdog time: three may be lost or late."""
US_PER_MS: Final = 1_000
logger: Final = logging.getLogger(__name__)


class SystemdNotifier:
    """systemd, if it started us; otherwise nobody, and everything here does nothing."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET")
        self._address = f"\0{address[1:]}" if address and address.startswith("@") else address
        is_ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog_us = int(environment.get("WATCHDOG_USEC", "0")) if is_ours else 0
        self._ping_ms = watchdog_us // US_PER_MS // PINGS_PER_TIMEOUT
        self._pinged_ms: int | None = None

    def notify_ready(self) -> None:
        """The event loop runs; at a tap the valve is closed and the journal was looked at."""
        self._send("READY=1")

    def notify_status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={text}")

    def notify_stopping(self) -> None:
        """We end by ourselves."""
        self._send("STOPPING=1")

    def ping_watchdog(self) -> None:
        """A sign of life, as often as systemd wants: to be given by the very loop that looks after the valve, or the card."""
        now_ms = monotonic_ms()
        if self._ping_ms and (self._pinged_ms is None or now_ms - self._pinged_ms >= self._ping_ms):
            self._pinged_ms = now_ms
            self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.setblocking(False)
                notify.sendto(text.encode(), self._address)
        except OSError as error:
            logger.warning("systemd was not told %s: %s", text, error)
