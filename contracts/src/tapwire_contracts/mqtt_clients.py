"""Additions to MQTT client libraries: socket options, refused subscriptions, short keepalives, and lost connections."""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from typing import Any, Final

NO_DELAY: Final = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)
"""Socket options: a small packet does not wait for the last one's acknowledgement, which would add 40 to 90 ms to a round trip."""
LOOKS_IN_A_KEEPALIVE: Final = 8
LONGEST_PAUSE_S: Final = 1.0
KEEP_ALIVE_TIMEOUT: Final = 0x8D
"""The reason code of MQTT 5 with which paho says that its keepalive was missed."""
SUCCESS: Final = 0
"""paho's `MQTT_ERR_SUCCESS`."""
FIRST_REFUSAL: Final = 0x80
"""The lowest reason code of a refusal in a SUBACK (MQTT 5, 3.9.3), and the only one of MQTT 3.1.1."""


def refused_filters(subscriptions: Sequence[tuple[str, int]], codes: Iterable[Any]) -> list[str]:
    """List the refused filters of these subscriptions (filter, QoS); a code is a number, or has one as its `value`."""
    return [topic for (topic, _), code in zip(subscriptions, codes, strict=True) if _number(code) >= FIRST_REFUSAL]


def was_closed(error: BaseException) -> bool:
    """Return whether aiomqtt's error means that the other side ended the connection, and did not just fall silent."""
    reason = getattr(error.__cause__, "rc", None)
    is_code_of_mqtt = reason is not None and not isinstance(reason, int)  # an int is paho's own
    return is_code_of_mqtt and _number(reason) != KEEP_ALIVE_TIMEOUT


def _number(code: Any) -> int:
    return int(getattr(code, "value", code))


class LooksInTime:
    """A mixin for `aiomqtt.Client` (2.5): a short keepalive is looked after often enough to be kept, and to be missed in time.

    aiomqtt looks once a second: with a keepalive of two the broker would wait for three, at which it may end the connection, and a
    broker that hangs would be left after six.
    """

    _client: Any
    _keepalive: int

    async def _misc_loop(self) -> None:
        pause_s = min(LONGEST_PAUSE_S, self._keepalive / LOOKS_IN_A_KEEPALIVE)
        while self._client.loop_misc() == SUCCESS:  # noqa: ASYNC110 - paho has nothing to wait for
            await asyncio.sleep(pause_s)


class WritesToOpenSockets:
    """A mixin for `aiomqtt.Client` (2.5): it waits until a socket takes more only while that socket is open.

    aiomqtt asks the event loop to wait by the socket's number, and in the loop's next round. If the connection is lost in between,
    the loop waits for ever, and that number is soon another connection's: to a database, for example, which then hears nothing or
    fails with `FileNotFoundError`.
    """

    _loop: asyncio.AbstractEventLoop
    _disconnected: "asyncio.Future[Any]"

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:  # noqa: ARG002 - paho's callback
        self._loop.call_soon_threadsafe(self._wait_to_write, client, sock)

    def _wait_to_write(self, client: Any, sock: Any) -> None:
        if sock.fileno() >= 0 and client.want_write():
            self._loop.add_writer(sock.fileno(), self._write, client)

    def _write(self, client: Any) -> None:
        try:
            client.loop_write()
        except Exception as error:
            if not self._disconnected.done():
                self._disconnected.set_exception(error)
