"""The desk reader: it publishes the card on it and its own presence. It has no valve and no journal, and authorises nothing.

A card counts as removed when it has not been seen for `card_debounce_ms`. What can't be sent is dropped, but a card that is on the
reader when a connection begins is published again, with the same `event_id`.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from random import SystemRandom
from typing import Final
from uuid import UUID, uuid4

from tapwire_contracts import CONTRACT_VERSION
from tapwire_contracts.messages import CardRemoved, NodeState, PresentCard, ReaderCardPresented
from tapwire_contracts.reasons import Phase, Presence, ValveState
from tapwire_contracts.tasks import end_tasks
from tapwire_node import SOFTWARE
from tapwire_node.clock import monotonic_ms, wall_clock
from tapwire_node.controller.events import Connected, EventFactory, Moment, OtherNodeSeen
from tapwire_node.controller.observations import other_node_text
from tapwire_node.controller.state import NO_JOURNAL
from tapwire_node.hardware.drivers import DeskReaderHardware, open_desk_reader
from tapwire_node.mqtt.broker_connection import BrokerConnection
from tapwire_node.runtime.systemd_notify import SystemdNotifier
from tapwire_node.settings import Settings, broker_addresses, desk_hardware, device_path

MS_PER_S: Final = 1_000
logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeskState:
    """The card on the reader, as it was published; `empty_since_ms` is set while the reader does not see it."""

    presented: ReaderCardPresented | None = None
    empty_since_ms: int | None = None
    works: bool = True


class DeskNode:
    """One desk reader. Programs that play guests use `hardware.simulated`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self.boot_id: Final = uuid4()
        self._started_ms = monotonic_ms()
        self._others: set[UUID] = set()
        """Boots of other readers with our login that are in the log already."""
        self._broker = BrokerConnection(
            device_path(settings), broker_addresses(settings), settings.broker, self._describe, self._handle_event, SystemRandom()
        )
        self._systemd = SystemdNotifier()
        self.hardware: DeskReaderHardware = open_desk_reader(desk_hardware(settings))
        self.desk = DeskState()

    # ── from the reader's thread ────────────────────────────────────────────

    def card_seen(self, card_uid: str) -> None:
        """A card is on the reader."""
        self._post_from_thread(partial(self._observe_card, card_uid))

    def card_lifted(self) -> None:
        """Nothing is on the reader."""
        self._post_from_thread(self._observe_empty)

    def reader_failed(self, text: str) -> None:
        """The reader does not work; the card on it is no longer known."""
        self._post_from_thread(partial(self._observe_fault, text))

    def reader_recovered(self) -> None:
        """The reader works again."""
        self._post_from_thread(self._observe_recovery)

    def _post_from_thread(self, note: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(note)

    # ── on the event loop ───────────────────────────────────────────────────

    def _observe_card(self, card_uid: str) -> None:
        if self.desk.presented is not None and self.desk.presented.card_uid == card_uid:
            self.desk = replace(self.desk, empty_since_ms=None)
            return
        self._publish_removed()
        presented = ReaderCardPresented(
            event_id=uuid4(),
            card_uid=card_uid,
            reader_id=self._settings.tap.reader_id,
            read_at=wall_clock(),
            boot_id=self.boot_id,
        )
        self.desk = DeskState(presented, works=self.desk.works)
        self._broker.send(presented)
        self._broker.send_state()
        logger.info("card %s", card_uid)

    def _observe_empty(self) -> None:
        if self.desk.empty_since_ms is None:
            self.desk = replace(self.desk, empty_since_ms=monotonic_ms())

    def _observe_fault(self, text: str) -> None:
        self._observe_empty()
        if self.desk.works:
            logger.error("ALARM: reader: %s", text)
            self.desk = replace(self.desk, works=False)
            self._broker.send_state()

    def _observe_recovery(self) -> None:
        if not self.desk.works:
            logger.info("the reader works again")
            self.desk = replace(self.desk, works=True)
            self._broker.send_state()

    def _publish_removed(self) -> None:
        """Publish that the card was removed."""
        presented = self.desk.presented
        self.desk = DeskState(empty_since_ms=self.desk.empty_since_ms, works=self.desk.works)
        if presented is None:
            return
        self._broker.send(
            CardRemoved(
                event_id=uuid4(),
                card_uid=presented.card_uid,
                reader_id=presented.reader_id,
                removed_at=wall_clock(),
                boot_id=self.boot_id,
            )
        )
        self._broker.send_state()

    def _handle_event(self, make_event: EventFactory) -> None:
        """Publish the card again on a new connection, and name another reader with our login in the log."""
        event = make_event(Moment(monotonic_ms(), wall_clock(), 0, uuid4()))
        if isinstance(event, Connected) and self.desk.presented is not None:
            self._broker.send(self.desk.presented)
        elif isinstance(event, OtherNodeSeen) and event.boot_id not in self._others:
            self._others.add(event.boot_id)
            logger.error("ALARM: %s", other_node_text(event, "desk reader"))

    # ── start and end ────────────────────────────────────────────────────────────────

    async def serve(self) -> None:
        """Run until cancelled; raises the error that broke the node."""
        self.hardware.reader.start(self)
        tasks = [asyncio.create_task(self._keep_ticking()), asyncio.create_task(self._broker.run())]
        self._systemd.notify_ready()
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                ended.result()
        finally:
            self._systemd.notify_stopping()
            await self._broker.publish_offline()
            await end_tasks(*tasks)

    async def _keep_ticking(self) -> None:
        debounce_ms = self._settings.limits.card_debounce_ms
        while True:
            now_ms, empty_ms = monotonic_ms(), self.desk.empty_since_ms
            if self.desk.presented is not None and empty_ms is not None and now_ms - empty_ms >= debounce_ms:
                self._publish_removed()
            self._systemd.ping_watchdog()
            await asyncio.sleep(self._settings.process.idle_tick_ms / MS_PER_S)

    def _describe(self, presence: Presence, connection: int) -> NodeState:
        """Build the `node_state` message: that of a tap with a reader and nothing else."""
        is_online, lies = presence is Presence.ONLINE, self.desk.presented
        card = PresentCard(card_uid=lies.card_uid, reader_id=lies.reader_id, read_at=lies.read_at) if lies else None
        return NodeState(
            status=presence,
            phase=Phase.IDLE if is_online and self.desk.works else Phase.OUT_OF_SERVICE,
            valve=ValveState.CLOSED,
            card=card if is_online else None,
            pour_id=None,
            facts_open=0,
            odometer_ml=0,
            journal_id=NO_JOURNAL,
            boot_id=self.boot_id,
            connection=connection,
            config_revision=0,
            software=SOFTWARE,
            contract_version=CONTRACT_VERSION,
            uptime_ms=monotonic_ms() - self._started_ms,
            heartbeat_ms=self._settings.limits.node_heartbeat_ms,
        )
