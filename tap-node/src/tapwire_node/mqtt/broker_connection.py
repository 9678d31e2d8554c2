"""The connection of a tap or desk reader to the broker; it reconnects by itself.

Each connection sets its last will, subscribes, and publishes the state, again with each heartbeat, since no broker is trusted to
keep a state or to publish a will; will and state carry the number of the connection. What
can't be sent is dropped: facts are sent again by the resend queue, questions by the controller. Only the state waits for room, as
nothing else would repeat it. The client library acknowledges messages before they are handled, so nothing relies on delivery.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Final

import aiomqtt
from aiomqtt import Message as Delivery
from aiomqtt import MqttError, ProtocolVersion, Will

from tapwire_contracts.broker_addresses import Attempts, keepalive_s, socket_options, subscription_qos
from tapwire_contracts.codec import Malformed, decode, encode
from tapwire_contracts.core_watch import CoreWatch
from tapwire_contracts.messages import (
    COMMAND,
    CONFIG,
    CORE_STATE,
    MAX_HEARTBEAT_MS,
    ROUTES,
    STATE,
    CardPresented,
    CoreState,
    FlowRecorded,
    Message,
    NodeState,
    PourAuthorized,
    PourDenied,
    PourSettled,
    ReaderCardPresented,
    RenewJournal,
    ReportPour,
    Route,
    Sender,
    StopPour,
    TapConfig,
)
from tapwire_contracts.mqtt_clients import LooksInTime, WritesToOpenSockets, refused_filters, was_closed
from tapwire_contracts.reasons import Presence
from tapwire_contracts.taken_watch import UNTAKEN_MS, TakenWatch
from tapwire_contracts.tasks import run_together, until_some
from tapwire_contracts.topics import DeviceKind, DevicePath, core_state_topic
from tapwire_node.clock import monotonic_ms
from tapwire_node.controller.events import (
    ConfigReceived,
    ConfigUnreadable,
    Connected,
    CoreGone,
    CoreSeen,
    DenialReceived,
    Disconnected,
    EventFactory,
    FlowVerdictReceived,
    GrantReceived,
    OtherNodeSeen,
    RenewalRequested,
    ReportRequested,
    StopReceived,
    VerdictReceived,
)
from tapwire_node.settings import BrokerAddress, BrokerSettings

MAX_PENDING_PUBLISHES: Final = 100
"""Publishes that may wait for the broker; further ones are dropped."""
RESERVED_FOR_QUESTIONS: Final = 20
"""The part of them that only questions may use, so that resent facts keep no guest waiting."""
STRANGE_STATES: Final = 2
"""Connections that began with another boot's state, which prove another node."""
WATCH_MS: Final = 200
"""Interval of looking whether a core worker is still heard, and whether messages are taken."""
MS_PER_S: Final = 1_000
PROTOCOLS: Final[Mapping[str, ProtocolVersion]] = {"5": ProtocolVersion.V5, "3.1.1": ProtocolVersion.V311}
ROUTE_OF: Final[Mapping[tuple[DeviceKind, type[Message]], Route]] = {
    (kind, payload): route for route in ROUTES if route.sender is Sender.NODE for kind in route.kinds for payload in route.payloads
}
"""The route on which a device of a kind sends a payload."""
logger: Final = logging.getLogger(__name__)


class Client(LooksInTime, WritesToOpenSockets, aiomqtt.Client):
    """One connection to the broker."""


def make_mqtt_client(
    path: DevicePath, address: BrokerAddress, settings: BrokerSettings, will: Will | None = None, *, has_others: bool = False
) -> Client:
    """Make the client for one connection, with the device's path as client id; raises `MqttError` for an unusable CA file.

    With `has_others` the broker has other addresses, so that one that no longer answers is left soon.
    """
    return Client(
        address.host,
        address.port,
        username=address.username,
        password=address.password,
        identifier=str(path),
        protocol=PROTOCOLS[settings.protocol],
        will=will,
        clean_session=None if settings.protocol == "5" else True,
        timeout=settings.timeout_ms / MS_PER_S,
        keepalive=keepalive_s(settings.keepalive_s, has_others=has_others),
        tls_context=tls_context(settings.ca_file) if address.tls else None,
        socket_options=socket_options(has_others=has_others),
    )


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Trust the CAs of the file, or this machine's; raises `MqttError` for a missing or damaged file."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise MqttError(f"broker.ca_file: {ca_file} can't be used: {error}") from error


class BrokerConnection:
    """Connects and reconnects. `describe` makes the node's state for a presence and the number of a connection."""

    def __init__(
        self,
        path: DevicePath,
        addresses: Sequence[BrokerAddress],
        settings: BrokerSettings,
        describe: Callable[[Presence, int], NodeState],
        post: Callable[[EventFactory], None],
        random: Random,
    ) -> None:
        self._path = path
        self._addresses = addresses
        self._attempts = Attempts(len(addresses), settings.reconnect_first_ms, settings.reconnect_max_ms, random)
        self._core_watch = CoreWatch(len(addresses))
        self._taken_watch = TakenWatch(len(addresses), UNTAKEN_MS)
        self._settings = settings
        self._describe = describe
        self._post = post
        self._random = random
        self._client: Client | None = None
        self._connection = 0
        self._sending: set[asyncio.Task[None]] = set()
        self._state_is_due = False
        self._is_leaving = False
        self._state_arrived_in: int | None = None
        """The first connection in which the broker took our state."""
        self._strange_in: set[int] = set()
        """Later connections in which the state was of another boot."""
        self._correction: asyncio.TimerHandle | None = None
        self._routes = {path.topic(route.leaf): route for route in (COMMAND, CONFIG, STATE) if path.kind in route.kinds}

    @property
    def is_connected(self) -> bool:
        """True while connected."""
        return self._client is not None

    # ── out ─────────────────────────────────────────────────────────────────

    def send(self, message: Message) -> None:
        """Publish now, or drop the message when there is no connection or too many wait."""
        if self._client is None:
            return
        places = (
            MAX_PENDING_PUBLISHES
            if isinstance(message, CardPresented | ReaderCardPresented)
            else MAX_PENDING_PUBLISHES - RESERVED_FOR_QUESTIONS
        )
        if len(self._sending) >= places:
            logger.warning("%d messages are waiting for the broker, %s is dropped", len(self._sending), type(message).__name__)
            return
        self._start_publish(self._client, message)

    def send_state(self) -> None:
        """Publish the node's state; when too many messages wait, the then current one as soon as there is room."""
        self._state_is_due = True
        self._send_due_state()

    def _send_due_state(self) -> None:
        has_room = len(self._sending) < MAX_PENDING_PUBLISHES - RESERVED_FOR_QUESTIONS
        if self._client is not None and self._state_is_due and has_room and not self._is_leaving:
            self._state_is_due = False
            self._start_publish(self._client, self._describe(Presence.ONLINE, self._connection))

    def _start_publish(self, client: Client, message: Message) -> None:
        task = asyncio.create_task(self._publish(client, ROUTE_OF[self._path.kind, type(message)], message))
        self._sending.add(task)
        task.add_done_callback(self._publish_done)

    def _publish_done(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._send_due_state()

    async def publish_offline(self) -> None:
        """Publish that the node is offline, and no state after that: a clean disconnect sends no last will."""
        self._is_leaving = True
        if self._client is not None and self._sending:
            await asyncio.wait(self._sending, timeout=self._settings.timeout_ms / MS_PER_S)
        if self._client is not None:  # the connection may be lost meanwhile
            await self._publish(self._client, STATE, self._describe(Presence.OFFLINE, self._connection))

    async def _publish(self, client: Client, route: Route, message: Message) -> None:
        if route.qos > 0:
            self._taken_watch.sent(monotonic_ms())
        try:
            await client.publish(self._path.topic(route.leaf), encode(message), qos=route.qos, retain=route.retain)
            if route.qos > 0:
                self._taken_watch.taken()
            if route is STATE and self._state_arrived_in is None:
                self._state_arrived_in = self._connection
        except MqttError as error:
            logger.info("%s was not sent: %s", type(message).__name__, error)

    # ── the connection ──────────────────────────────────────────────────────

    async def run(self) -> None:
        """Keep a connection until cancelled."""
        while True:
            begun_ms, address, closed = monotonic_ms(), self._addresses[self._attempts.address], False
            try:
                await self._connect_once(address)
            except (MqttError, OSError) as error:  # the library lets errors of a dying socket through
                logger.warning("no connection to %s:%d: %s", address.host, address.port, error)
                closed = was_closed(error)
            held = monotonic_ms() - begun_ms >= self._settings.reconnect_stable_ms
            wait_ms = self._attempts.turn(held=held, closed=closed)
            await asyncio.sleep(wait_ms / MS_PER_S)

    async def _connect_once(self, address: BrokerAddress) -> None:
        self._connection += 1
        async with self._new_client(address) as client:
            qos = subscription_qos(COMMAND.qos, has_others=self._attempts.has_others)
            wanted = [(topic, qos) for topic in (*self._routes, core_state_topic("+"))]
            if refused := refused_filters(wanted, await client.subscribe(wanted)):
                raise MqttError(
                    f"the broker refuses a subscription to {', '.join(refused)}: check its access rules for this device"
                )
            self._client = client
            logger.info("connected to %s:%d", address.host, address.port)
            self._core_watch.connected(monotonic_ms())
            self._taken_watch.connected()
            self._post(Connected)
            self.send_state()
            try:
                leaving = (self._leave_without_core(client), self._leave_untaken()) if self._attempts.has_others else ()
                await run_together(self._receive_all(client), self._keep_beating(), *leaving)
            finally:
                self._client = None
                for task in self._sending:
                    task.cancel()
                self._post(Disconnected)

    async def _keep_beating(self) -> None:
        """Publish the state at least once a heartbeat, each time a bit earlier by chance: a site that starts at once spreads."""
        while True:
            longest_ms = self._describe(Presence.ONLINE, self._connection).heartbeat_ms or MAX_HEARTBEAT_MS
            await asyncio.sleep(self._random.randint(longest_ms * 3 // 4, longest_ms) / MS_PER_S)
            self.send_state()

    async def _receive_all(self, client: Client) -> None:
        async for delivery in client.messages:
            self._receive(delivery)

    async def _leave_without_core(self, client: Client) -> None:
        """Leave an address at which no core worker is heard, for the next one; raises `MqttError` then."""
        silence_ms = await until_some(lambda: self._core_watch.overdue_ms(monotonic_ms()), WATCH_MS / MS_PER_S)
        # a clean disconnect sends no last will; and no other state may follow this one
        self._client = None
        await self._publish(client, STATE, self._describe(Presence.OFFLINE, self._connection))
        raise MqttError(f"no core worker was heard there for {silence_ms} ms, trying the next address")

    async def _leave_untaken(self) -> None:
        """Leave an address that takes no message, for the next one; raises `MqttError` then."""
        waits_ms = await until_some(lambda: self._taken_watch.overdue_ms(monotonic_ms()), WATCH_MS / MS_PER_S)
        raise MqttError(f"no message was taken there for {waits_ms} ms, trying the next address")

    def _new_client(self, address: BrokerAddress) -> Client:
        will = encode(self._describe(Presence.OFFLINE, self._connection))
        last = Will(self._path.topic(STATE.leaf), will, qos=STATE.qos, retain=STATE.retain)
        return make_mqtt_client(self._path, address, self._settings, last, has_others=self._attempts.has_others)

    # ── in ──────────────────────────────────────────────────────────────────

    def _receive(self, delivery: Delivery) -> None:
        topic, payload = str(delivery.topic), delivery.payload
        route = self._routes.get(topic, CORE_STATE)
        if route is COMMAND and delivery.retain:
            logger.error("ALARM: a retained command was dropped: commands must not be retained")
            return
        if route is CORE_STATE and not payload:
            self._post(partial(CoreGone, instance_id=topic.split("/")[-2]))
            return
        try:
            message = decode(route, payload)
        except Malformed as error:
            self._reject_unreadable(route, topic, payload, error)
            return
        self._post_message(message, is_retained=delivery.retain)

    def _reject_unreadable(self, route: Route, topic: str, payload: bytes, error: Malformed) -> None:
        if route is CONFIG and payload:
            self._post(partial(ConfigUnreadable, text=str(error)))
        else:
            logger.warning("a message on %s can't be decoded: %s", topic, error)

    def _post_message(self, message: Message, *, is_retained: bool) -> None:
        match message:
            case NodeState():
                self._notice_other_node(message, is_retained=is_retained)
                self._restore_own_state(message)
            case PourAuthorized():
                self._post(partial(GrantReceived, grant=message))
            case PourDenied():
                self._post(partial(DenialReceived, denial=message))
            case PourSettled():
                self._post(partial(VerdictReceived, verdict=message))
            case FlowRecorded():
                self._post(partial(FlowVerdictReceived, verdict=message))
            case StopPour():
                self._post(partial(StopReceived, stop=message))
            case ReportPour():
                self._post(partial(ReportRequested, ask=message))
            case RenewJournal():
                self._post(partial(RenewalRequested, renew=message))
            case TapConfig():
                self._post(partial(ConfigReceived, config=message))
            case CoreState():
                self._core_watch.heard(monotonic_ms(), message.heartbeat_ms)
                self._post(partial(CoreSeen, core=message))

    def _notice_other_node(self, seen: NodeState, *, is_retained: bool) -> None:
        """Report another node with our login.

        Two nodes throw each other off, so that each finds the other's last will when it comes back. One such state may be left of
        our last boot, or be what a killed broker remembers; a second one, after ours had arrived, is another node's.
        """
        if seen.boot_id == self._describe(Presence.ONLINE, self._connection).boot_id:
            return
        if self._state_arrived_in is not None and self._state_arrived_in < self._connection:
            self._strange_in.add(self._connection)
        if (seen.status is Presence.ONLINE and not is_retained) or len(self._strange_in) >= STRANGE_STATES:
            self._post(partial(OtherNodeSeen, boot_id=seen.boot_id, software=seen.software))

    def _restore_own_state(self, seen: NodeState) -> None:
        """Publish our state again when a late will or another client has overwritten it."""
        ours = self._describe(Presence.ONLINE, self._connection)
        if (seen.status, seen.boot_id, seen.connection) == (ours.status, ours.boot_id, ours.connection):
            return
        if self._correction is None or self._correction.when() <= asyncio.get_running_loop().time():
            self._correction = asyncio.get_running_loop().call_later(self._settings.correct_state_ms / MS_PER_S, self.send_state)
