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
        self._url = url
        self._transcript = transcript
        self._answered = Event()
        self._refused = ""
        self._login = (username or "", password)
        self._client_id = client_id
        self._filters = filters
        self._will = will
        self._tls = ssl.create_default_context(cafile=ca_file) if url.tls else None
        self._client = self._new_client()
        self._connect(patience_s)

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

    def reopen(self) -> None:
        """Connect and subscribe anew after `drop`, as another client: nothing of before is sent again."""
        self._client = self._new_client()
        self._connect(PATIENCE_S)

    def _new_client(self) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=self._client_id, protocol=paho.MQTTv311)
        if self._login[0]:
            client.username_pw_set(*self._login)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        if self._will is not None:
            client.will_set(self._will.topic, self._will.payload, qos=1, retain=True)
        client.on_connect = self._connected
        client.on_subscribe = lambda *_: self._answered.set()
        client.on_message = self._heard
        client.on_socket_open = _send_at_once
        return client

    def _connect(self, patience_s: float) -> None:
        until_s = time.monotonic() + patience_s
        while True:
            self._refused = ""
            self._answered.clear()
            try:
                self._client.connect(self._url.host, self._url.port)
                self._client.loop_start()
                if self._answered.wait(PATIENCE_S) and not self._refused:
                    return
                self._client.loop_stop()
            except OSError as error:
                self._refused = str(error)
            if time.monotonic() > until_s:
                raise BrokerUnusable(f"{self._url.host}:{self._url.port} let nobody in: {self._refused or 'no answer'}")
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
