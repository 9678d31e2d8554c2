"""Notifications to systemd (sd_notify(3)): a datagram on the socket that `NOTIFY_SOCKET` names.

The protocol is a few lines of text, documented as stable. The libraries for it have had no release for years, or need a compiler
and libsystemd on the Pi.
"""

import logging
import os
import socket
from collections.abc import Mapping
from typing import Final

from tapwire_node.clock import monotonic_ms

PINGS_PER_TIMEOUT: Final = 4
"""Pings per watchdog timeout, so that three may be lost or late."""
US_PER_MS: Final = 1_000
logger: Final = logging.getLogger(__name__)


class SystemdNotifier:
    """Notifies systemd if it started this process; otherwise does nothing."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET")
        self._address = f"\0{address[1:]}" if address and address.startswith("@") else address
        is_ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog_us = int(environment.get("WATCHDOG_USEC", "0")) if is_ours else 0
        self._ping_ms = watchdog_us // US_PER_MS // PINGS_PER_TIMEOUT
        self._pinged_ms: int | None = None

    def notify_ready(self) -> None:
        """Notify that the node is ready: a tap's valve is closed, and its journal is open or found broken."""
        self._send("READY=1")

    def notify_status(self, text: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._send(f"STATUS={text}")

    def notify_stopping(self) -> None:
        """Notify that the process is shutting down."""
        self._send("STOPPING=1")

    def ping_watchdog(self) -> None:
        """Ping the watchdog as often as systemd expects; called only by the loop that feeds the valve's watchdog."""
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
            logger.warning("systemd could not be notified of %s: %s", text, error)
