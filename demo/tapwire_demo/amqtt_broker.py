"""amqtt as an embedded broker, inside this process: for machines without Mosquitto.

It speaks MQTT 3.1.1 only and has no shared subscriptions: a subscription to `$share/…` is refused, where amqtt alone would accept
it and deliver nothing. Retained messages live in memory.
"""

import asyncio
import hmac
import logging
from asyncio import StreamReader, StreamWriter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from amqtt.broker import Broker
from amqtt.contexts import Action, BrokerConfig, ListenerConfig
from amqtt.errors import BrokerError
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from tapwire_contracts.acl import Access, BrokerRole, may
from tapwire_core.services.devices import is_secret_of
from tapwire_demo.embedded_broker import Account, BrokerKind, EmbeddedBroker, EmbeddedBrokerError
from tapwire_demo.processes import LOOPBACK, free_port

START_ATTEMPTS: Final = 3
STOP_TIMEOUT_S: Final = 5.0
_ACCESS: Final = {Action.PUBLISH: Access.WRITE, Action.SUBSCRIBE: Access.READ, Action.RECEIVE: Access.READ}


class AmqttBroker(EmbeddedBroker):
    """An amqtt broker of ours, on one port for everybody: a device's path is the client id of that device alone."""

    kind = BrokerKind.AMQTT
    protocol = "3.1.1"

    def __init__(self, accounts: Iterable[Account]) -> None:
        super().__init__(accounts)
        self._server: _Server | None = None
        self.port = self.device_port = 0

    @property
    def running(self) -> bool:
        """True while it is started: it lives as long as this process."""
        return self._server is not None

    async def start(self) -> None:
        """Start it; raises `EmbeddedBrokerError`."""
        for noisy in ("amqtt", "transitions"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        for attempt in range(1, START_ATTEMPTS + 1):
            port = self.port or free_port()
            server = _Server(Accounts(self._accounts, self._device_hashes), port)
            try:
                await server.start()
            except BrokerError as error:
                if attempt == START_ATTEMPTS:
                    raise EmbeddedBrokerError(f"amqtt does not start: {error}") from error
                continue
            self._server, self.port, self.device_port = server, port, port
            return

    async def stop(self) -> None:
        """Stop it."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()

    async def _apply_change(self, before: Account) -> None:
        if self._server is not None and self._accounts.get(before.username) != before:
            await self._server.disconnect(before.username)

    async def _apply_device_logins(self, changed: Collection[str]) -> None:
        for path in changed:
            if self._server is not None:
                await self._server.disconnect(path)


class Accounts:
    """The accounts as the plugin sees them: the broker's own dictionaries, so that a change counts at once."""

    def __init__(self, by_username: dict[str, Account], device_hashes: dict[str, str]) -> None:
        self._by_username = by_username
        self._device_hashes = device_hashes

    def admit(self, session: Session) -> bool:
        """Return whether the login is valid, with its client id and last will."""
        username, password = session.username or "", session.password or ""
        if not self._knows(username, password):
            return False
        if session.will_flag and not self.permit(session, Access.WRITE, session.will_topic or ""):
            return False
        return session.client_id == username or not self._is_device(session.client_id or "")

    def permit(self, session: Session, access: Access, topic: str) -> bool:
        """Return whether the session's account has this access to the topic or the whole filter."""
        username = session.username or ""
        role = BrokerRole.DEVICE if self._is_device(username) else self._by_username[username].role
        return not topic.startswith("$") and may(role, username, access, topic)

    def _knows(self, username: str, password: str) -> bool:
        if username in self._device_hashes:
            return is_secret_of(self._device_hashes[username], password)
        account = self._by_username.get(username)
        if account is None or (account.role is BrokerRole.DEVICE and self._device_hashes):
            return False
        return hmac.compare_digest(password.encode(), account.password.encode())

    def _is_device(self, username: str) -> bool:
        account = self._by_username.get(username)
        return username in self._device_hashes or (account is not None and account.role is BrokerRole.DEVICE)


class AccountsPlugin(BaseAuthPlugin, BaseTopicPlugin):
    """amqtt's questions about logins and topics, answered by our accounts."""

    @dataclass
    class Config:
        """The context that amqtt gives the plugin."""

        accounts: Accounts = field(default_factory=lambda: Accounts({}, {}))

    async def authenticate(self, *, session: Session) -> bool:
        """Return whether the client may connect."""
        return self._accounts.admit(session)

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool:
        """Return whether the client may publish, subscribe or receive; without a topic nobody may."""
        if session is None or topic is None or action is None:
            return False
        return self._accounts.permit(session, _ACCESS[action], topic)

    @property
    def _accounts(self) -> Accounts:
        accounts: Accounts = self.config.accounts
        return accounts


class _Server(Broker):
    """amqtt's broker with what it lacks: each client gets only its own retained messages, and no connection outlives its end."""

    def __init__(self, accounts: Accounts, port: int) -> None:
        self._writers: set[StreamWriter] = set()
        super().__init__(
            BrokerConfig(
                listeners={"default": ListenerConfig(bind=f"{LOOPBACK}:{port}")},
                plugins={f"{AccountsPlugin.__module__}.{AccountsPlugin.__name__}": {"accounts": accounts}},
            )
        )

    async def stop(self) -> None:
        """Close every connection, then shut down, within `STOP_TIMEOUT_S`."""
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.wait_for(self.shutdown(), STOP_TIMEOUT_S)

    async def disconnect(self, username: str) -> None:
        """End the connections of an account."""
        for session, handler in list(self.sessions.values()):
            if session.username == username:
                await handler.handle_connection_closed()

    async def stream_connected(self, reader: StreamReader, writer: StreamWriter, listener_name: str) -> None:
        """Serve one connection; amqtt leaves it open after some errors, and then never finishes shutting down."""
        self._writers.add(writer)
        try:
            await super().stream_connected(reader, writer, listener_name)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _publish_retained_messages_for_subscription(self, subscription: tuple[str, int], session: Session) -> None:
        """Send the retained messages of a subscription, but not those of others, as amqtt does at each connect."""
        topic_filter, _ = subscription
        if any(subscriber is session for subscriber, _ in self._subscriptions.get(topic_filter, ())):
            await super()._publish_retained_messages_for_subscription(subscription, session)
