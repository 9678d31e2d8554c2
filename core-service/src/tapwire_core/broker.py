"""One way to make a client of the broker, from its URL: for core workers, and for the admin API's read-only subscription."""

import socket
import ssl
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from aiomqtt import Client, ProtocolVersion, Will

DEFAULT_PORT: Final = {"mqtt": 1883, "mqtts": 8883}
KEEPALIVE_S: Final = 15
MQTT_5: Final = "5"


def make_client(url: str, protocol: str, identifier: str, will: Will | None = None, ca_file: Path | None = None) -> Client:
    """A client for one connection to `mqtt://user:secret@host:port`, or `mqtts://…` with TLS.

    `ca_file` is whom to trust for `mqtts://`; without it, whom this machine trusts.

    `protocol` is `5` or `3.1.1`. The session is clean, as no message of an old one is worth anything, and nothing waits for more to
    send: without TCP_NODELAY a round trip costs 40 to 90 ms.
    """
    parts = urlsplit(url)
    return Client(
        hostname=parts.hostname or "127.0.0.1",
        port=parts.port or DEFAULT_PORT[parts.scheme],
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        identifier=identifier,
        protocol=ProtocolVersion.V5 if protocol == MQTT_5 else ProtocolVersion.V311,
        will=will,
        clean_session=None if protocol == MQTT_5 else True,
        keepalive=KEEPALIVE_S,
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        tls_context=ssl.create_default_context(cafile=ca_file) if parts.scheme == "mqtts" else None,
    )
