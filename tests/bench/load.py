"""The load: many taps in one process, each a plain MQTT client of its own that asks, reports and asks again.

It runs as `python -m tests.bench.load`, reads a `Plan` as JSON from stdin and writes a `Measured` to stdout. paho's clients are
driven by one selector in one thread, as a loop or a thread for each would cost more than what is measured, and speak MQTT 3.1.1,
which costs them less and core and broker the same; what the generator itself takes of a processor is part of what it says.
"""

import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Literal
from uuid import UUID, uuid4

import msgspec
from msgspec import Struct
from paho.mqtt.client import Client, MQTTMessage, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import (
    CARD,
    COMMAND,
    COMPLETED,
    Message,
    PourAuthorized,
    PourDenied,
    PourSettled,
    ReportPour,
    StopPour,
)
from tapwire_contracts.topics import DevicePath
from tests.venue import SimulatedTap

KEEPALIVE_S: Final = 60
CONNECT_TIMEOUT_S: Final = 30.0
PATIENCE_S: Final = 10.0
"""A message without an answer for this long is an error."""
POUR_ML: Final = 100
LOOK_S: Final = 0.05
MAX_OPEN: Final = 20
"""Reports that a returning tap has under way at once."""
RESEND_S: Final = 5.0


class Login(Struct, frozen=True):
    """A client's place at the broker."""

    host: str
    port: int
    username: str
    password: str


class TapPlan(Struct, frozen=True):
    """A tap with the card that lies on it again and again."""

    path: str
    login: Login
    card_uid: str
    journal_id: UUID
    seq: int
    odometer_ml: int


class Plan(Struct, frozen=True):
    """The load. `cycle` is card, grant, report, verdict; `echo` a message to `echo_by` and back; `backlog` reports at once.

    `rate` is cycles a second of all taps together; without it each tap asks again as soon as it has its verdict.
    """

    kind: Literal["cycle", "echo", "backlog"]
    taps: tuple[TapPlan, ...]
    seconds: float
    rate: float | None = None
    reports: int = 0
    echo_by: Login | None = None


class Measured(Struct, frozen=True):
    """Results: latencies in milliseconds, and the processor time of the generator itself."""

    first_ms: list[float]
    """Card to grant, or message to echo."""
    second_ms: list[float]
    """Report to verdict."""
    seconds: float
    errors: int
    cpu_s: float
    odometers_ml: list[int]
    seqs: list[int]


Command = PourAuthorized | PourDenied | PourSettled | StopPour | ReportPour
commands: Final = msgspec.json.Decoder(Command)
"""Reads what the core says to a tap."""


class Connections:
    """MQTT clients on one selector."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._clients: list[Client] = []

    def open(self, login: Login, topic: str, on_message: Callable[[MQTTMessage], None]) -> Client:
        """Connect and subscribe; raises `TimeoutError`."""
        client, subscribed = Client(CallbackAPIVersion.VERSION2, login.username, protocol=MQTTv311), list[bool]()
        client.username_pw_set(login.username, login.password)
        client.on_message = lambda _client, _data, message: on_message(message)
        client.on_subscribe = lambda *_: subscribed.append(True)
        client.on_connect = lambda opened, *_: opened.subscribe(topic, qos=1)
        client.connect(login.host, login.port, KEEPALIVE_S)
        self._selector.register(_socket_of(client), selectors.EVENT_READ, client)
        self._clients.append(client)
        until = time.monotonic() + CONNECT_TIMEOUT_S
        while not subscribed:
            self.work(LOOK_S)
            if time.monotonic() > until:
                raise TimeoutError(f"{login.username} could not subscribe to {topic}")
        return client

    def work(self, wait_s: float) -> None:
        """Read and write what there is, waiting for it at most so long."""
        for key, _ in self._selector.select(wait_s):
            key.data.loop_read()
        for client in self._clients:
            if client.want_write():
                client.loop_write()

    def keep_alive(self) -> None:
        """Answer and send pings."""
        for client in self._clients:
            client.loop_misc()


def _socket_of(client: Client) -> socket.socket:
    """The client's socket, told to send small messages at once."""
    made = client.socket()
    assert isinstance(made, socket.socket)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


class Notes:
    """The results so far."""

    def __init__(self) -> None:
        self.first_s: list[float] = []
        self.second_s: list[float] = []
        self.errors = 0


class CyclingTap:
    """One tap: it asks when it may, and reports each grant at once."""

    def __init__(self, plan: TapPlan, connections: Connections, notes: Notes) -> None:
        path = DevicePath.parse(plan.path)
        self.tap = SimulatedTap(path, journal_id=plan.journal_id, seq=plan.seq, odometer_ml=plan.odometer_ml)
        self._card_uid, self._notes = plan.card_uid, notes
        self._topics = {CARD: path.topic(CARD.leaf), COMPLETED: path.topic(COMPLETED.leaf)}
        self._client = connections.open(plan.login, path.topic(COMMAND.leaf), self._hear)
        self._waits_for: UUID | None = None
        self._sent_s = 0.0
        self.is_idle = True

    def ask(self) -> None:
        """Lay the card on."""
        question = self.tap.question(self._card_uid)
        self._say(self._topics[CARD], question, question.event_id)

    def give_up_late(self, now_s: float) -> None:
        """Count an answer that does not come, and go on."""
        if not self.is_idle and now_s - self._sent_s > PATIENCE_S:
            self._notes.errors += 1
            self.is_idle = True

    def _say(self, topic: str, message: Message, awaited: UUID) -> None:
        self.is_idle, self._waits_for, self._sent_s = False, awaited, time.monotonic()
        self._client.publish(topic, encode(message), qos=1)

    def _hear(self, message: MQTTMessage) -> None:
        waited_s = time.monotonic() - self._sent_s
        match commands.decode(message.payload):
            case PourAuthorized(request_id=request_id) as grant if request_id == self._waits_for:
                self._notes.first_s.append(waited_s)
                report = self.tap.report(grant.pour_id, self._card_uid, POUR_ML)
                self._say(self._topics[COMPLETED], report, grant.pour_id)
            case PourSettled(pour_id=pour_id) if pour_id == self._waits_for:
                self._notes.second_s.append(waited_s)
                self.is_idle = True
            case PourDenied(request_id=request_id) if request_id == self._waits_for:
                self._notes.errors += 1
                self.is_idle = True
            case _:
                pass


def cycle(plan: Plan) -> Measured:
    """Let the taps pour for a time."""
    connections, notes = Connections(), Notes()
    taps = [CyclingTap(tap, connections, notes) for tap in plan.taps]
    began_s, cpu_s = time.monotonic(), time.process_time()
    due_s, resting, looked_s = began_s, deque(taps), began_s
    while (now_s := time.monotonic()) < began_s + plan.seconds:
        if plan.rate is None:
            for tap in taps:
                if tap.is_idle:
                    tap.ask()
        while plan.rate is not None and due_s <= now_s:
            due_s += 1 / plan.rate
            for _ in range(len(resting)):
                resting.rotate(-1)
                if resting[0].is_idle:
                    resting[0].ask()
                    break
        connections.work(min(LOOK_S, max(due_s - now_s, 0)) if plan.rate is not None else LOOK_S)
        if now_s - looked_s > 1:
            looked_s = now_s
            connections.keep_alive()
            for tap in taps:
                tap.give_up_late(now_s)
    while not all(tap.is_idle for tap in taps) and time.monotonic() < began_s + plan.seconds + PATIENCE_S:
        connections.work(LOOK_S)
    return _measured(notes, began_s, cpu_s, [tap.tap for tap in taps])


def echo(plan: Plan) -> Measured:
    """Send a message through the broker and have it sent back, again and again, one at a time."""
    assert plan.echo_by is not None
    connections, notes, (tap,) = Connections(), Notes(), plan.taps
    path = DevicePath.parse(tap.path)
    asked, answered = path.topic(CARD.leaf), path.topic(COMMAND.leaf)
    came = list[bytes | bytearray]()
    echoing = connections.open(plan.echo_by, asked, lambda message: _publish(echoing, answered, message.payload))
    asking = connections.open(tap.login, answered, lambda message: came.append(message.payload))
    payload = encode(SimulatedTap(path).question(tap.card_uid))
    began_s, cpu_s = time.monotonic(), time.process_time()
    while time.monotonic() < began_s + plan.seconds:
        sent_s = time.monotonic()
        asking.publish(asked, payload, qos=1)
        while not came:
            connections.work(LOOK_S)
        came.clear()
        notes.first_s.append(time.monotonic() - sent_s)
    return _measured(notes, began_s, cpu_s, [])


def _publish(client: Client, topic: str, payload: bytes | bytearray) -> None:
    client.publish(topic, payload, qos=1)


class ReturningTap:
    """A tap that was offline and has reports of pours that nobody authorised; it sends some at a time, as a node does."""

    def __init__(self, plan: TapPlan, reports: int, connections: Connections, notes: Notes) -> None:
        path = DevicePath.parse(plan.path)
        self.tap = SimulatedTap(path, journal_id=plan.journal_id, seq=plan.seq, odometer_ml=plan.odometer_ml)
        made = [self.tap.report(uuid4(), plan.card_uid, POUR_ML) for _ in range(reports)]
        self._notes, self._topic = notes, path.topic(COMPLETED.leaf)
        self._kept = deque((report.pour_id, encode(report)) for report in made)
        self._open: dict[UUID, tuple[float, bytes]] = {}
        self._client = connections.open(plan.login, path.topic(COMMAND.leaf), self._hear)

    @property
    def left(self) -> int:
        """Reports without a verdict."""
        return len(self._kept) + len(self._open)

    def send(self) -> None:
        """Send what may be sent, and again what was not answered."""
        now_s = time.monotonic()
        for pour_id, (sent_s, payload) in self._open.items():
            if now_s - sent_s > RESEND_S:
                self._publish(pour_id, payload)
        while self._kept and len(self._open) < MAX_OPEN:
            self._publish(*self._kept.popleft())

    def _publish(self, pour_id: UUID, payload: bytes) -> None:
        self._open[pour_id] = (time.monotonic(), payload)
        self._client.publish(self._topic, payload, qos=1)

    def _hear(self, message: MQTTMessage) -> None:
        match commands.decode(message.payload):
            case PourSettled(pour_id=pour_id) if pour_id in self._open:
                self._notes.second_s.append(time.monotonic() - self._open.pop(pour_id)[0])
            case _:
                pass


def backlog(plan: Plan) -> Measured:
    """Let all taps send what they have kept, until the last verdict."""
    connections, notes = Connections(), Notes()
    taps = [ReturningTap(tap, plan.reports // len(plan.taps), connections, notes) for tap in plan.taps]
    began_s, cpu_s = time.monotonic(), time.process_time()
    while any(tap.left for tap in taps) and time.monotonic() < began_s + plan.seconds:
        for tap in taps:
            tap.send()
        connections.work(LOOK_S)
    notes.errors = sum(tap.left for tap in taps)
    return _measured(notes, began_s, cpu_s, [tap.tap for tap in taps])


def _measured(notes: Notes, began_s: float, cpu_s: float, taps: list[SimulatedTap]) -> Measured:
    return Measured(
        first_ms=[round(one * 1_000, 3) for one in notes.first_s],
        second_ms=[round(one * 1_000, 3) for one in notes.second_s],
        seconds=time.monotonic() - began_s,
        errors=notes.errors,
        cpu_s=time.process_time() - cpu_s,
        odometers_ml=[tap.odometer_ml for tap in taps],
        seqs=[tap.seq for tap in taps],
    )


if __name__ == "__main__":
    given = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    measured = {"cycle": cycle, "echo": echo, "backlog": backlog}[given.kind](given)
    sys.stdout.buffer.write(msgspec.json.encode(measured))
