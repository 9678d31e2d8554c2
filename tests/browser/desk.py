"""A desk reader as a program from outside: it shows its state, and says what lies on it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tapwire_demo.demo_file import DemoFile, DemoTap

LOGIN_S: Final = 20.0
WALL_CLOCK: Final = "2026-05-01T20:00:00Z"


class DeskReader:
    """A connected reader."""

    def __init__(self, client: paho.Client, path: str) -> None:
        self._client: Final = client
        self._path: Final = path
        self._boot_id: Final = str(uuid4())
        self._connection = 1
        self._laid: dict[str, Any] | None = None

    @classmethod
    @contextmanager
    def connected(cls, demo: DemoFile, device: DemoTap) -> Iterator["DeskReader"]:
        """Connect with the device's login, which a demo's broker knows within a second."""
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=device.path, protocol=paho.MQTTv311)
        client.username_pw_set(device.username, device.secret)
        broker = urlsplit(demo.broker_url)
        assert broker.hostname
        assert broker.port
        client.connect(broker.hostname, broker.port)
        client.loop_start()
        deadline = time.monotonic() + LOGIN_S
        while not client.is_connected():
            assert time.monotonic() < deadline, "the broker does not let the reader in"
            time.sleep(0.05)
        reader = cls(client, device.path)
        try:
            reader._show()
            yield reader
        finally:
            client.disconnect()
            client.loop_stop()

    def lay(self, card_uid: str) -> None:
        """Lay a card on."""
        self._laid = {"card_uid": card_uid, "reader_id": "desk", "read_at": WALL_CLOCK}
        self._send("card", {"type": "card_presented", "event_id": str(uuid4()), "boot_id": self._boot_id, **self._laid})
        self._show()

    def take_off(self) -> None:
        """Take off what lies there; a reader that has begun anew says that nothing does."""
        if self._laid is None:
            return self._show()
        gone = {"card_uid": self._laid["card_uid"], "reader_id": "desk", "removed_at": WALL_CLOCK}
        self._send("card", {"type": "card_removed", "event_id": str(uuid4()), "boot_id": self._boot_id, **gone})
        self._laid = None
        return self._show()

    def lose_power(self) -> None:
        """Be offline, as the broker says then; what comes next is of a new connection."""
        self._laid = None
        self._show("offline")
        self._connection += 1

    def _show(self, status: str = "online") -> None:
        state = {
            "type": "node_state",
            "status": status,
            "phase": "IDLE",
            "valve": "closed",
            "card": self._laid,
            "pour_id": None,
            "facts_open": 0,
            "odometer_ml": 0,
            "journal_id": self._boot_id,
            "boot_id": self._boot_id,
            "connection": self._connection,
            "config_revision": 0,
            "software": "desk",
            "contract_version": "1",
            "uptime_ms": 1,
        }
        self._send("state", state, retain=True)

    def _send(self, leaf: str, payload: dict[str, Any], *, retain: bool = False) -> None:
        sent = self._client.publish(f"tapwire/v1/{self._path}/{leaf}", msgspec.json.encode(payload), qos=1, retain=retain)
        sent.wait_for_publish(LOGIN_S)
