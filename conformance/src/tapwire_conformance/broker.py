"""One MQTT connection of the kit: paho, version 3.1.1, which every broker speaks. Each message goes into the transcript."""

import json
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from tapwire_conformance.transcript import Transcript, Way
from tapwire_contracts.mqtt_clients import NO_DELAY

PATIENCE_S: Final = 10.0
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_AGAIN_S: Final = 0.5


class BrokerUnusable(Exception):
    """The broker can't be used; the text says why. No verdict on anything follows from it."""


@dataclass(frozen=True, slots=True)
class BrokerUrl:
    """A broker's address; `username` is None where the URL has none."""

    host: str
    port: int
    tls: bool
    username: str | None
    password: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `mqtt://[user:secret@]host[:port]` or `mqtts://…`; raises `ValueError`."""
        parts = urlsplit(text)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(f"{text!r} is no broker: write mqtt://user:secret@host:1883 or mqtts://…")
        username = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        return cls(parts.hostname, parts.port or _PORTS[parts.scheme], parts.scheme == "mqtts", username, password)


@dataclass(frozen=True, slots=True)
class Will:
    """A last will, retained."""

    topic: str
    payload: bytes


class Connection:
    """A connected client. Its subscriptions are granted, and its publishes acknowledged, when a method returns."""

    def __init__(
        self,
        url: BrokerUrl,
        transcript: Transcript,
        *,
        username: str | None,
        password: str | None,
        client_id: str,
        filters: Sequence[str],
        will: Will | None = None,
        ca_file: str | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Connect and subscribe; raises `BrokerUnusable` when `patience_s` have passed in vain."""
        self._transcript = transcript
        self._answered = Event()
        self._refused = ""
        self._filters = filters
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=paho.MQTTv311)
        client.username_pw_set(username or "", password) if username else None
        if url.tls:
            client.tls_set_context(ssl.create_default_context(cafile=ca_file))
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.on_connect = self._connected
        client.on_subscribe = lambda *_: self._answered.set()
        client.on_message = self._heard
        client.on_socket_open = _send_at_once
        self._client = client
        self._connect(url, time.monotonic() + patience_s)

    def publish(self, topic: str, payload: Mapping[str, Any] | bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1, and wait for the acknowledgement."""
        content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self._transcript.add(Way.SENT, topic, content.decode(errors="replace"), retain=retain)
        sent = self._client.publish(topic, content, qos=1, retain=retain)
        try:
            sent.wait_for_publish(PATIENCE_S)
        except (RuntimeError, ValueError) as error:
            raise BrokerUnusable(f"the connection to the broker is lost: {error}") from error
        if not sent.is_published():
            raise BrokerUnusable(f"the broker did not acknowledge a message within {PATIENCE_S:g} s")

    def close(self) -> None:
        """Disconnect in order: the will is not sent."""
        self._client.disconnect()
        self._client.loop_stop()

    def drop(self) -> None:
        """End the TCP connection without a word: the broker sends the will."""
        sock = self._client.socket()
        self._client.loop_stop()
        if sock is not None:
            sock.close()

    def _connect(self, url: BrokerUrl, until_s: float) -> None:
        while True:
            self._refused = ""
            self._answered.clear()
            try:
                self._client.connect(url.host, url.port)
                self._client.loop_start()
                if self._answered.wait(PATIENCE_S) and not self._refused:
                    return
                self._client.loop_stop()
            except OSError as error:
                self._refused = str(error)
            if time.monotonic() > until_s:
                raise BrokerUnusable(f"{url.host}:{url.port} let nobody in: {self._refused or 'no answer'}")
            time.sleep(_AGAIN_S)

    def _connected(self, client: paho.Client, _data: object, _flags: object, code: ReasonCode, *_: object) -> None:
        if code.is_failure:
            self._refused = str(code)
            client.disconnect()
            self._answered.set()
            return
        client.subscribe([(topic, 1) for topic in self._filters])

    def _heard(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        self._transcript.add(Way.HEARD, message.topic, message.payload.decode(errors="replace"), retain=message.retain)


def _send_at_once(_client: object, _data: object, opened: Any) -> None:
    for option in NO_DELAY:
        opened.setsockopt(*option)
