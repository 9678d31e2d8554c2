"""Does what the controller wants, effect by effect, in its order."""

import logging
from collections.abc import Callable
from typing import Final, assert_never
from uuid import UUID

from tapwire_contracts.messages import PourCompleted, UnattributedFlow
from tapwire_node.clock import monotonic_ms
from tapwire_node.controller.effects import (
    Alarm,
    CloseValve,
    Effect,
    Note,
    OpenValve,
    OpenValveForService,
    Publish,
    PublishState,
    ResendFacts,
    RunBegun,
    RunEnded,
    RunRefused,
    SendFact,
    ServiceEffect,
    Show,
    TalkEffect,
    WarnOperator,
    WireEffect,
    WriteVerdict,
)
from tapwire_node.controller.flow_facts import Fact
from tapwire_node.hardware.valve import Valve
from tapwire_node.journal import JournalWorker
from tapwire_node.mqtt.broker_connection import Uplink
from tapwire_node.mqtt.resend_queue import Outbox

logger: Final = logging.getLogger(__name__)


class Performer:
    """Valve, journal, wire and log, as the controller's hands; `tell_technician` reaches whoever asked for a service run."""

    def __init__(
        self,
        valve: Valve,
        journal: JournalWorker,
        uplink: Uplink,
        outbox: Outbox,
        boot_id: UUID,
        tell_technician: Callable[[ServiceEffect], None],
    ) -> None:
        self._valve = valve
        self._journal = journal
        self._uplink = uplink
        self._outbox = outbox
        self._boot_id = boot_id
        self._tell_technician = tell_technician

    def perform(self, effect: Effect) -> None:
        """Do one thing."""
        match effect:
            case OpenValve():
                self._valve.open()
                logger.info("valve open for pour %s", effect.pour_id)
            case OpenValveForService():
                self._valve.open()
                logger.info("valve open for service run %s", effect.run_id)
            case RunRefused() | RunBegun() | RunEnded():
                self._tell_technician(effect)
            case CloseValve():
                self._valve.close()
                logger.info("valve closed: %s", effect.reason.value)
            case Publish() | PublishState() | SendFact() | ResendFacts():
                self._send(effect)
            case Alarm():
                talk(effect)
                self._journal.note_alarm(effect.text)
            case Show() | WarnOperator() | Note():
                talk(effect)
            case WriteVerdict():
                self._outbox.settle(effect.fact_id)
                self._journal.write(effect)
            case _:
                self._journal.write(effect)

    def send_due(self) -> None:
        """Send the facts that are due, while there is a connection."""
        if not self._uplink.is_connected:
            return
        for fact in self._outbox.take_due(monotonic_ms()):
            self._send_once(fact)

    def _send(self, effect: WireEffect) -> None:
        match effect:
            case Publish():
                self._uplink.send(effect.message)
            case PublishState():
                self._uplink.send_state()
            case SendFact(settled=True):
                self._send_once(effect.fact)
            case SendFact():
                self._outbox.add(effect.fact, monotonic_ms())
                self.send_due()
            case ResendFacts():
                self._outbox.hurry(monotonic_ms())
            case _:
                assert_never(effect)

    def _send_once(self, fact: Fact) -> None:
        self._uplink.send(fact.payload(monotonic_ms(), self._boot_id))
        logger.info("report: %s", summary(fact.message))


def talk(effect: TalkEffect) -> None:
    """Say it: to the guest on the screen, to the staff, to whoever reads the log."""
    match effect:
        case Show():
            logger.info("screen: %s", effect.text)
        case WarnOperator():
            logger.warning("operator: %s", effect.text)
        case Alarm():
            logger.error("ALARM: %s", effect.text)
        case Note():
            logger.info("%s", effect.text)
        case _:
            assert_never(effect)


def summary(message: PourCompleted | UnattributedFlow) -> str:
    """One line on what flowed."""
    match message:
        case PourCompleted():
            return f"pour {message.pour_id}, {message.volume_ml} ml, {message.end_reason.value}"
        case UnattributedFlow():
            return f"flow {message.event_id}, {message.volume_ml} ml, {message.cause.value}"
