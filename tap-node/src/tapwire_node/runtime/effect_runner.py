"""Carries out the controller's effects, in their order."""

import logging
from collections.abc import Callable
from typing import Final, assert_never
from uuid import UUID

from tapwire_contracts.messages import PourCompleted, UnattributedFlow
from tapwire_node.clock import monotonic_ms
from tapwire_node.controller.effects import (
    CloseValve,
    Effect,
    LogLine,
    MessageEffect,
    MqttEffect,
    OpenValve,
    OpenValveForService,
    Publish,
    PublishState,
    RaiseAlarm,
    ResendFacts,
    SendFact,
    ServiceRunEffect,
    ShowOnScreen,
    TellRunEnded,
    TellRunRefused,
    TellRunStarted,
    WarnOperator,
    WriteVerdict,
)
from tapwire_node.controller.flow_facts import Fact
from tapwire_node.hardware.valve import Valve
from tapwire_node.journal import JournalWriter
from tapwire_node.mqtt.broker_connection import BrokerConnection
from tapwire_node.mqtt.resend_queue import ResendQueue

logger: Final = logging.getLogger(__name__)


class EffectRunner:
    """Passes effects to valve, journal, broker and log; `tell_service_run` reaches the person who requested a service run."""

    def __init__(
        self,
        valve: Valve,
        journal: JournalWriter,
        broker: BrokerConnection,
        resend_queue: ResendQueue,
        boot_id: UUID,
        tell_service_run: Callable[[ServiceRunEffect], None],
    ) -> None:
        self._valve = valve
        self._journal = journal
        self._broker = broker
        self._resend_queue = resend_queue
        self._boot_id = boot_id
        self._tell_service_run = tell_service_run

    def run_effect(self, effect: Effect) -> None:
        """Carry out one effect."""
        match effect:
            case OpenValve():
                self._valve.open()
                logger.info("valve open for pour %s", effect.pour_id)
            case OpenValveForService():
                self._valve.open()
                logger.info("valve open for service run %s", effect.run_id)
            case TellRunRefused() | TellRunStarted() | TellRunEnded():
                self._tell_service_run(effect)
            case CloseValve():
                self._valve.close()
                logger.info("valve closed: %s", effect.reason.value)
            case Publish() | PublishState() | SendFact() | ResendFacts():
                self._send(effect)
            case RaiseAlarm():
                log_message(effect)
                self._journal.record_alarm(effect.text)
            case ShowOnScreen() | WarnOperator() | LogLine():
                log_message(effect)
            case WriteVerdict():
                self._resend_queue.remove(effect.fact_id)
                self._journal.write(effect)
            case _:
                self._journal.write(effect)

    def send_due(self) -> None:
        """Send the facts that are due, if connected."""
        if not self._broker.is_connected:
            return
        for fact in self._resend_queue.take_due(monotonic_ms()):
            self._send_once(fact)

    def _send(self, effect: MqttEffect) -> None:
        match effect:
            case Publish():
                self._broker.send(effect.message)
            case PublishState():
                self._broker.send_state()
            case SendFact(settled=True):
                self._send_once(effect.fact)
            case SendFact():
                self._resend_queue.add(effect.fact, monotonic_ms())
                self.send_due()
            case ResendFacts():
                self._resend_queue.resend_soon(monotonic_ms())
            case _:
                assert_never(effect)

    def _send_once(self, fact: Fact) -> None:
        self._broker.send(fact.payload(monotonic_ms(), self._boot_id))
        logger.info("report: %s", fact_summary(fact.message))


def log_message(effect: MessageEffect) -> None:
    """Log a message for the guest's screen, the staff or the technician."""
    match effect:
        case ShowOnScreen():
            logger.info("screen: %s", effect.text)
        case WarnOperator():
            logger.warning("operator: %s", effect.text)
        case RaiseAlarm():
            logger.error("ALARM: %s", effect.text)
        case LogLine():
            logger.info("%s", effect.text)
        case _:
            assert_never(effect)


def fact_summary(message: PourCompleted | UnattributedFlow) -> str:
    """A fact as one line for the log."""
    match message:
        case PourCompleted():
            return f"pour {message.pour_id}, {message.volume_ml} ml, {message.end_reason.value}"
        case UnattributedFlow():
            return f"flow {message.event_id}, {message.volume_ml} ml, {message.cause.value}"
