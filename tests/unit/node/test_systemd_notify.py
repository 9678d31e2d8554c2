"""Notifications to systemd, over a real datagram socket."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapwire_node.runtime.systemd_notify import PINGS_PER_TIMEOUT, SystemdNotifier


class Systemd:
    """The socket at which systemd listens."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        """All notifications since the last call."""
        said = []
        while True:
            try:
                said.append(self._socket.recv(4_096).decode())
            except BlockingIOError:
                return said

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.chdir(tmp_path)
    return "notify"


@pytest.fixture
def systemd(place: str) -> Iterator[Systemd]:
    listening = Systemd(place)
    yield listening
    listening.close()


def test_systemd_is_notified_of_readiness_status_and_shutdown(systemd: Systemd, place: str) -> None:
    manager = SystemdNotifier({"NOTIFY_SOCKET": place})
    manager.notify_ready()
    manager.notify_status("IDLE")
    manager.notify_stopping()
    manager.ping_watchdog()
    assert systemd.heard() == ["READY=1", "STATUS=IDLE", "STOPPING=1"]


def test_the_watchdog_gets_a_few_pings_per_timeout_and_no_more(systemd: Systemd, place: str) -> None:
    watchdog_ms = 400
    manager = SystemdNotifier({"NOTIFY_SOCKET": place, "WATCHDOG_USEC": str(watchdog_ms * 1_000), "WATCHDOG_PID": str(os.getpid())})
    manager.ping_watchdog()
    manager.ping_watchdog()
    assert systemd.heard() == ["WATCHDOG=1"]
    time.sleep(watchdog_ms / PINGS_PER_TIMEOUT / 1_000)
    manager.ping_watchdog()
    assert systemd.heard() == ["WATCHDOG=1"]


def test_a_watchdog_of_another_process_gets_no_ping(systemd: Systemd, place: str) -> None:
    SystemdNotifier({"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}).ping_watchdog()
    assert systemd.heard() == []


def test_an_abstract_address_is_understood() -> None:
    name = f"tapwire-test-{os.getpid()}"
    listening = Systemd(f"\0{name}")
    SystemdNotifier({"NOTIFY_SOCKET": f"@{name}"}).notify_ready()
    assert listening.heard() == ["READY=1"]
    listening.close()


def test_without_systemd_nothing_happens_and_a_lost_socket_does_no_harm(tmp_path: Path) -> None:
    SystemdNotifier({}).notify_ready()
    SystemdNotifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).notify_ready()
