"""A tap node: the real controller, journal and outbox, with a simulated process around them.

Power may fail between any two effects and any two writes. What waits for the disk then is lost, but for some of the first writes,
which nobody may hear of any more.
"""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Final
from uuid import UUID

import msgspec

from tapwire_contracts.messages import (
    Message,
    NodeState,
)
from tapwire_contracts.reasons import Phase, Presence
from tapwire_node.controller import Identity, State, initial_state, step
from tapwire_node.controller.effects import (
    CloseValve,
    Effect,
    JournalEffect,
    LogLine,
    OpenValve,
    OpenValveForService,
    Publish,
    PublishState,
    RaiseAlarm,
    ResendFacts,
    SendFact,
    ShowOnScreen,
    TellRunEnded,
    TellRunRefused,
    TellRunStarted,
    WarnOperator,
    WriteVerdict,
)
from tapwire_node.controller.events import (
    CardLifted,
    CardSeen,
    Connected,
    CoreGone,
    Disconnected,
    JournalOpened,
    Moment,
    Ticked,
)
from tapwire_node.controller.flow_facts import Fact
from tapwire_node.controller.limits import Limits
from tapwire_node.controller.node_state import node_state_message
from tapwire_node.controller.state import RESTING_PHASES
from tapwire_node.mqtt.resend_queue import RESEND_QUEUE_LIMIT, ResendQueue
from tapwire_node.settings import BrokerSettings
from tests.simulation.auditor import Auditor
from tests.simulation.disk import Disk, WriteQueue
from tests.simulation.node_events import EventFactory, happening_of
from tests.simulation.site import PULSES_PER_LITER
from tests.simulation.tap_physics import Plumbing
from tests.simulation.virtual import Clock

LIMITS: Final = Limits(leak_report_ms=6_000)
BROKER: Final = BrokerSettings(url="mqtt://simulated", resend_max_ms=8_000)
BUSY_TICK_MS: Final = (100, 300)
IDLE_TICK_MS: Final = (400, 900)


def lie_about_time(message: Message, lies: Random) -> Message:
    """The message with times that mean nothing; of all else it says the truth."""
    spans = [name for name in ("uptime_ms", "duration_ms", "age_ms") if hasattr(message, name)]
    clocks = [name for name in ("read_at", "removed_at", "started_at") if hasattr(message, name)]
    wrong: dict[str, object] = {name: lies.choice((0, 1, 3_600_000, 2**53 - 1)) for name in spans}
    return msgspec.structs.replace(message, **wrong, **dict.fromkeys(clocks, lies.choice(("", "1970-01-01T00:00:00Z", "noon"))))


class Node:
    """One tap's node. `publish` hands a message to the broker. With `lies` it lies about every time and duration."""

    def __init__(self, path: str, clock: Clock, auditor: Auditor, random: Random, publish: Callable[[str, Message], None]) -> None:
        self.path = path
        self.plumbing = Plumbing(path, clock, auditor)
        self.disk = Disk(self._new_id(random))
        self.powered = False
        self.connected = False
        self.card_uid: str | None = None
        self.fuse: int | None = None
        self.image: bytes | None = None
        self.lies: Random | None = None
        self.state: State
        self._clock = clock
        self._auditor = auditor
        self._random = random
        self._publish = publish
        self._connection = 0
        self._boot_id = self._new_id(random)
        self._writes = WriteQueue(clock, random)
        self._tick_due_ms: int | None = None

    @staticmethod
    def _new_id(random: Random) -> UUID:
        return UUID(int=random.getrandbits(128), version=4)

    # ── power ───────────────────────────────────────────────────────────────

    def power_on(self) -> None:
        """Start: open the journal, go on with what it holds, look at the reader."""
        if self.powered:
            return
        self.powered, self._connection, self._boot_id = True, 0, self._new_id(self._random)
        self.plumbing.set_power(on=True)
        self._journal = self.disk.journal(self._boot_id)
        self._resend_queue = ResendQueue(BROKER, self._random)
        self.state = initial_state(Identity(self._boot_id, "reader"), LIMITS, PULSES_PER_LITER, 0, self._clock.now_ms)
        self._post(partial(JournalOpened, recovered=self._journal.recover()))
        open_ids = {*self.state.journal.unsettled, *self.state.journal.open_flows}
        facts = [fact for fact in self._journal.open_facts(RESEND_QUEUE_LIMIT) if fact.fact_id in open_ids]
        self._resend_queue.refill(facts, self._clock.now_ms)
        self.see(self.card_uid)

    def power_cut(self) -> None:
        """Everything but the disk is gone; of the waiting writes, the first ones may have reached it."""
        if not self.powered:
            return
        self.powered, self.fuse, self._tick_due_ms = False, None, None
        self._writes.cut(self._journal)
        self.plumbing.set_power(on=False)
        self._auditor.power_cut(self.path, self.disk.odometer_ml)
        self.disconnect()

    def replace_disk(self) -> None:
        """The journal is gone with its disk; the node starts with a new one."""
        self.power_cut()
        self.image = None
        self._auditor.journal_lost(self.path)
        self.disk = Disk(self._new_id(self._random))

    def make_image(self) -> None:
        """A technician makes an image of the disk while nothing is asked and nothing flows; else a moment later."""
        if self.powered and (self.state.facts_open or self.state.phase not in RESTING_PHASES):
            self._clock.after(200, self.make_image)
        else:
            self.image = self.disk.image()

    def set_disk_back(self) -> None:
        """The image is written to the disk again; the node starts with what it knew then."""
        self.power_cut()
        if self.image is not None:
            before = self.disk.open_facts
            self.disk.set_back(self.image)
            self._auditor.disk_set_back(self.path, self.disk.odometer_ml, before - self.disk.open_facts)

    def _burn_fuse(self) -> None:
        """Power fails at a step that was drawn before."""
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                self.power_cut()

    # ── the wire ────────────────────────────────────────────────────────────

    def connect(self, retained: list[Message]) -> None:
        """The broker is there, with the messages that it has retained for us."""
        if not self.powered or self.connected:
            return
        self.connected = True
        self._connection += 1
        self._post(Connected)
        self._publish(self.path, self._describe(Presence.ONLINE))
        for message in retained:
            self.receive(message)

    def disconnect(self) -> None:
        """The broker is away; it publishes our last will."""
        if self.connected:
            self.connected = False
            self._publish(self.path, self._describe(Presence.OFFLINE))
            self._post(Disconnected)

    def receive(self, message: Message | str) -> None:
        """Something has come."""
        if self.powered and self.connected:
            self._post(happening_of(message))

    def core_gone(self, instance_id: str) -> None:
        """A core worker is gone."""
        if self.connected:
            self._post(partial(CoreGone, instance_id=instance_id))

    def _describe(self, presence: Presence) -> NodeState:
        return node_state_message(self.state, presence, self._connection, software="simulated", uptime_ms=self._clock.now_ms)

    # ── the reader ──────────────────────────────────────────────────────────

    def see(self, card_uid: str | None) -> None:
        """A card lies on the reader, or none does."""
        self.card_uid = card_uid
        if self.powered:
            self._post(CardLifted if card_uid is None else partial(CardSeen, card_uid=card_uid))

    # ── the controller ──────────────────────────────────────────────────────

    def _post(self, make_event: EventFactory) -> None:
        if not self.powered:
            return
        at = Moment(self._clock.now_ms, "2026-05-01T20:00:00Z", self.plumbing.flow(), UUID(int=self._random.getrandbits(128)))
        self.state, effects = step(self.state, make_event(at))
        for effect in effects:
            self._burn_fuse()
            if not self.powered:
                return
            self._perform(effect)
        self._plan_tick()

    def _perform(self, effect: Effect) -> None:
        match effect:
            case OpenValve():
                self._auditor.valve_opened(self.path, effect.pour_id, self.card_uid)
                self.plumbing.open(effect.pour_id)
            case CloseValve():
                self.plumbing.close()
            case Publish():
                self._send(effect.message)
            case PublishState():
                self._send(self._describe(Presence.ONLINE))
            case SendFact(settled=True):
                self._send_fact(effect.fact)
            case SendFact():
                self._resend_queue.add(effect.fact, self._clock.now_ms)
                self._send_due()
            case ResendFacts():
                self._resend_queue.resend_soon(self._clock.now_ms)
            case ShowOnScreen() | WarnOperator() | RaiseAlarm() | LogLine():
                pass
            case OpenValveForService() | TellRunRefused() | TellRunStarted() | TellRunEnded():
                raise AssertionError("nobody asks for a service run here")
            case WriteVerdict():
                self._resend_queue.remove(effect.fact_id)
                self._write(effect)
            case _:
                self._write(effect)

    def _send(self, message: Message) -> None:
        if self.connected:
            self._publish(self.path, message if self.lies is None else lie_about_time(message, self.lies))

    def _send_fact(self, fact: Fact) -> None:
        self._send(fact.payload(self._clock.now_ms, self._boot_id))

    def _send_due(self) -> None:
        if self.connected:
            for fact in self._resend_queue.take_due(self._clock.now_ms):
                self._send_fact(fact)

    # ── the journal's thread ────────────────────────────────────────────────

    def _write(self, effect: JournalEffect) -> None:
        self._writes.put(effect, partial(self._write_next, self._boot_id))

    def _write_next(self, boot_id: UUID) -> None:
        if not self.powered or boot_id != self._boot_id:
            return
        answers = self._writes.write_next(self._journal, partial(self._write_next, boot_id))
        self._burn_fuse()
        for answer in answers:
            self._post(answer)

    # ── time ────────────────────────────────────────────────────────────────

    def look(self) -> None:
        """Look at the meter now."""
        self._post(Ticked)

    def _plan_tick(self) -> None:
        """Ticks come as often as the phase needs, and none while nothing can follow."""
        is_busy = self.state.phase in (Phase.POURING, Phase.SETTLING)
        if not is_busy and self._is_asleep():
            return
        wait_ms = self._random.randint(*(BUSY_TICK_MS if is_busy else IDLE_TICK_MS))
        due_ms = self._clock.now_ms + wait_ms
        if self._tick_due_ms is None or due_ms < self._tick_due_ms:
            self._tick_due_ms = due_ms
            self._clock.after(wait_ms, partial(self._tick, due_ms))

    def _is_asleep(self) -> bool:
        state = self.state
        waits = (
            state.card is not None or state.card_must_be_removed or state.facts_open > 0 or state.closed_valve_flow.leak is not None
        )
        flows = self.plumbing.leak > 0 or state.odometer.pulses != state.journal.checkpoint_pulses
        return state.phase in RESTING_PHASES and not waits and not flows

    def _tick(self, due_ms: int) -> None:
        if self.powered and due_ms == self._tick_due_ms:
            self._tick_due_ms = None
            self._post(Ticked)
            self._send_due()
