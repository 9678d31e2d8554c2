"""The core's only subscriber: it receives devices' messages, hands each to its handler, and survives a handler's failure.

MQTT libraries acknowledge a message on receipt, before anything is committed. So nothing here relies on acknowledgements: a node
repeats a question until it is answered, and a fact until its verdict comes.
"""

import asyncio
import functools
import logging
import time
from typing import Final

from aiomqtt import MqttError

from tapwire_contracts.codec import Malformed, decode_from_device
from tapwire_contracts.messages import PROGRESS, STATE, message_type
from tapwire_contracts.tasks import end_tasks
from tapwire_contracts.topics import DevicePath, InvalidTopic, core_state_topic, parse_device_topic
from tapwire_core.db.failures import is_database_unavailable, is_lock_timeout
from tapwire_core.monitoring.metrics import UNREADABLE
from tapwire_core.mqtt.handlers import HANDLERS, HandlerContext, answer_unreadable
from tapwire_core.mqtt.intake import REPEAT_DELAY_S, Intake
from tapwire_core.mqtt.tap_shares import TapShares
from tapwire_core.services.decision_rates import DecisionRates
from tapwire_core.services.pours import RawMessage

MAX_CONCURRENT: Final = 64
"""Messages in progress at once; the next waits until one is done."""
CORE_STATES: Final = core_state_topic("+").partition("+")[0]
"""How the topics of workers' presences begin."""

log: Final = logging.getLogger(__name__)


class Gate:
    """The listener's entrance: queues messages for their devices, and keeps those of a device beyond its rate out.

    The newest state of each device waits here until the rate allows it, since a node does not repeat an unchanged state. Progress
    makes no decision. Topics that name no device share one rate. With `shares`, what other workers decide is left to them; states
    are every worker's.
    """

    def __init__(self, rates: DecisionRates, shares: TapShares | None = None) -> None:
        self.rates: Final = rates
        self.shares: Final = shares
        self._held_states: Final[dict[str, RawMessage]] = {}

    def receive(self, intake: Intake[RawMessage], topic: str, payload: bytes) -> None:
        """Queue a message, hold a state, or count a message that gets no decision."""
        if topic.startswith(CORE_STATES):
            if self.shares is not None:
                self.shares.hear_presence(topic, payload)
            return
        path, leaf = _parts_of(topic)
        message, device, now_s = RawMessage(topic, payload), str(path or ""), time.monotonic()
        if leaf == STATE.leaf:
            if device in self._held_states or not self.rates.admit(_states_of(device), now_s):
                self._hold(device, message)
                return
        elif leaf == PROGRESS.leaf:
            if self.shares is not None and not self.shares.owns(device):
                return
        elif self.shares is not None and not self.shares.takes(device, payload, now_s):
            return
        elif not self.rates.admit(device, now_s):
            self.rates.count(device, topic, payload)
            return
        intake.put(str(path), message)

    def release(self, intake: Intake[RawMessage]) -> None:
        """Queue the held states of devices with an allowance again."""
        now_s = time.monotonic()
        for device in [device for device in self._held_states if self.rates.admit(_states_of(device), now_s)]:
            intake.put(device, self._held_states.pop(device))

    def _hold(self, device: str, message: RawMessage) -> None:
        if (replaced := self._held_states.pop(device, None)) is not None:
            self.rates.count(device, replaced.topic, replaced.payload)
        self._held_states[device] = message


def _states_of(device: str) -> str:
    """The key of the rate of a device's states: they don't use up what its guests need."""
    return f"{device} {STATE.leaf}"


async def work(context: HandlerContext, intake: Intake[RawMessage]) -> None:
    """Process every received message, until cancelled."""
    free, in_progress = asyncio.Semaphore(MAX_CONCURRENT), set[asyncio.Task[bool]]()

    def release(device: str, task: asyncio.Task[bool]) -> None:
        in_progress.remove(task)
        free.release()
        if task.cancelled() or task.result():
            intake.done(device)
        else:
            asyncio.get_running_loop().call_later(REPEAT_DELAY_S, intake.done, device)

    try:
        while True:
            await free.acquire()
            device, message = await intake.take()
            task = asyncio.create_task(_work_on(context, message))
            in_progress.add(task)
            task.add_done_callback(functools.partial(release, device))
    finally:
        await end_tasks(*in_progress)


async def _work_on(context: HandlerContext, raw: RawMessage) -> bool:
    """Process a message, and survive any failure; False when it was unusable or nothing new."""
    began_s = time.monotonic()
    try:
        kind, is_new = await _handle(context, raw)
    except MqttError as error:
        context.metrics.count_failure()
        log.warning("could not answer on %s, the node will ask again: %s", raw.topic, error)
    except Exception as error:
        context.metrics.count_failure()
        if is_database_unavailable(error) or is_lock_timeout(error):
            log.warning("database: %s; not answered on %s, the node will ask again", error, raw.topic)
        else:
            log.exception("could not process a message on %s; the node repeats it until it is answered", raw.topic)
    else:
        context.metrics.observe(kind, time.monotonic() - began_s)
        return is_new
    return True


async def _handle(context: HandlerContext, raw: RawMessage) -> tuple[str, bool]:
    """Decode a message and call its handler; returns its type, and whether it was new."""
    try:
        path, message = decode_from_device(raw.topic, raw.payload)
    except Malformed as error:
        await _answer_malformed(context, raw, error)
        return UNREADABLE, False
    is_new = await HANDLERS[type(message)](context, path, message, raw)
    return message_type(type(message)), is_new


async def _answer_malformed(context: HandlerContext, raw: RawMessage, error: Malformed) -> None:
    path, _ = _parts_of(raw.topic)
    if path is None:
        await context.keep(raw, error.malformation, str(error), None)
    elif raw.payload or not raw.topic.endswith("/state"):
        # an empty retained state clears a removed device from the broker
        await answer_unreadable(context, path, raw, error.malformation, str(error))


def _parts_of(topic: str) -> tuple[DevicePath | None, str | None]:
    """A topic's device and leaf; nothing for one that names no device."""
    try:
        return parse_device_topic(topic)
    except InvalidTopic:
        return None, None
