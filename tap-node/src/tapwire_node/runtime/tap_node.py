"""The tap node: hardware, journal and broker connection around the controller, on one event loop.

Everything that happens becomes an event, the controller's step returns effects, and the effect runner carries them out. Nothing
else touches the valve, except its watchdog and the shutdown: on an error, a signal and every other exit the valve closes first.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Final
from uuid import UUID, uuid4

from tapwire_contracts.messages import NodeState
from tapwire_contracts.reasons import Presence
from tapwire_contracts.tasks import end_tasks
from tapwire_contracts.topics import DeviceKind
from tapwire_node import SOFTWARE
from tapwire_node.clock import monotonic_ms, wall_clock
from tapwire_node.control import ControlServer, control_file
from tapwire_node.controller import Identity, State, initial_state, last_checkpoint, step
from tapwire_node.controller.events import (
    EventFactory,
    HardwareFailed,
    HardwareRecovered,
    JournalOpened,
    Moment,
    Part,
    ShutdownRequested,
    Ticked,
    ValveTripped,
)
from tapwire_node.controller.node_state import node_state_message
from tapwire_node.hardware.drivers import Hardware, open_hardware
from tapwire_node.hardware.valve import ValveStuck
from tapwire_node.journal import DiskReserve, Journal, JournalWriter
from tapwire_node.mqtt.broker_connection import BrokerConnection
from tapwire_node.mqtt.resend_queue import RESEND_QUEUE_LIMIT, ResendQueue
from tapwire_node.runtime.desk_node import DeskNode
from tapwire_node.runtime.effect_runner import EffectRunner
from tapwire_node.runtime.reader_watch import ReaderWatch
from tapwire_node.runtime.systemd_notify import SystemdNotifier
from tapwire_node.settings import Settings, broker_addresses, device_path, tap_hardware

MS_PER_S: Final = 1_000
logger: Final = logging.getLogger(__name__)


class TapNode:
    """One tap. Programs that play guests use `hardware.simulated`; observers read `state`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._boot_id = uuid4()
        self._started_ms = monotonic_ms()
        self._failed: asyncio.Future[None] = self._loop.create_future()
        self._at_rest = asyncio.Event()
        self._refilling: asyncio.Task[None] | None = None
        path, random = device_path(settings), SystemRandom()
        self._journal = JournalWriter(
            partial(open_journal, settings, self._boot_id),
            post=self.post,
            fail=self.fail,
            retry_ms=settings.journal.retry_ms,
            keep_days=settings.journal.keep_days,
        )
        self._resend_queue = ResendQueue(settings.broker, random)
        self._broker = BrokerConnection(path, broker_addresses(settings), settings.broker, self._describe, self.post, random)
        self.hardware: Hardware = open_hardware(tap_hardware(settings), settings.process.valve_watchdog_ms, self, settings.tap.path)
        self._reader_watch = ReaderWatch(self.hardware.reader, settings.process.reader_stall_ms, self.post, self._post_from_thread)
        self._control = ControlServer(control_file(Path(settings.journal.file)), self.post, lambda: self.state)
        self._systemd = SystemdNotifier()
        self._effect_runner = EffectRunner(
            self.hardware.valve, self._journal, self._broker, self._resend_queue, self._boot_id, self._control.report_outcome
        )
        self.state: State = initial_state(
            Identity(self._boot_id, settings.tap.reader_id),
            settings.limits,
            settings.tap.pulses_per_liter,
            self.hardware.meter.pulses,
            self._started_ms,
        )

    # ── events ──────────────────────────────────────────────────────────────

    def post(self, make_event: EventFactory) -> None:
        """Step the controller and carry out its effects. Any exception closes the valve and ends the node."""
        if self._failed.done():
            return
        try:
            event = make_event(self._now())
            phase = self.state.phase
            self.state, effects = step(self.state, event)
            for effect in effects:
                self._effect_runner.run_effect(effect)
        except Exception as error:
            self.fail(error)
            return
        if self.state.phase is not phase:
            logger.info("%s → %s", phase.value, self.state.phase.value)
            self._systemd.notify_status(self.state.phase.value)
        if self.state.is_at_rest:
            self._at_rest.set()
        else:
            self._at_rest.clear()
        if isinstance(event, JournalOpened):
            self._refill()

    def fail(self, error: BaseException) -> None:
        """Close the valve and end the node with this error."""
        if not self._failed.done():
            self._failed.set_exception(error)
            self.hardware.valve.close()

    def valve_tripped(self) -> None:
        """The valve's watchdog closed it; called on the watchdog's thread."""
        self._post_from_thread(ValveTripped)

    def valve_failed(self, text: str) -> None:
        """The valve's pin can't be written; called on any thread."""
        self._post_from_thread(partial(HardwareFailed, part=Part.VALVE, text=text))

    def valve_recovered(self) -> None:
        """The valve's pin can be written again; called on any thread."""
        self._post_from_thread(partial(HardwareRecovered, part=Part.VALVE))

    def _post_from_thread(self, make_event: EventFactory) -> None:
        self._loop.call_soon_threadsafe(self.post, make_event)

    # ── start and end ────────────────────────────────────────────────────────────────

    async def serve(self) -> None:
        """Run until cancelled; raises the error that broke the node."""
        try:
            await self._journal.open()
        except asyncio.CancelledError:
            await self._journal.close(self._settings.process.shutdown_ms)
            raise
        self.hardware.start()
        self.hardware.reader.start(self._reader_watch)
        tasks = [asyncio.create_task(self._keep_ticking()), asyncio.create_task(self._broker.run())]
        try:
            if not self._failed.done():
                await self._control.start()
                self._systemd.notify_ready()
            done, _ = await asyncio.wait([*tasks, self._failed], return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                ended.result()
        finally:
            await self._end(tasks)

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        """Close the valve first; then let a running pour write its report, unless the node is broken."""
        self.hardware.valve.close()
        self._systemd.notify_stopping()
        if not self._failed.done():
            self.post(ShutdownRequested)
            await self._wait_for_rest()
        await self._control.end()
        await self._broker.publish_offline()
        await end_tasks(*tasks)
        self._write_last_checkpoint()
        await self._journal.close(self._settings.process.shutdown_ms)
        if self._failed.done():
            self._failed.result()

    def _write_last_checkpoint(self) -> None:
        """Write what has flowed, with the fact that a broken node leaves running."""
        write = last_checkpoint(self.state, self._now())
        if self.state.journal.opened:
            self._journal.write(write)
        elif write.odometer.ml:
            logger.critical(
                "%d ml have flowed and are not in the journal, which could never be opened: book them by hand", write.odometer.ml
            )

    def _now(self) -> Moment:
        return Moment(monotonic_ms(), wall_clock(), self.hardware.meter.pulses, uuid4())

    async def _wait_for_rest(self) -> None:
        try:
            await asyncio.wait_for(self._at_rest.wait(), self._settings.process.shutdown_ms / MS_PER_S)
        except TimeoutError:
            logger.error("the pour did not end in time; the next start will report it from the journal")

    async def _keep_ticking(self) -> None:
        process = self._settings.process
        while True:
            self._feed_valve_watchdog()
            self._systemd.ping_watchdog()
            self._reader_watch.check_stall()
            self.post(Ticked)
            self._control.send_progress()
            self._effect_runner.send_due()
            if self._resend_queue.needs_refill:
                self._refill()
            await asyncio.sleep((process.idle_tick_ms if self._at_rest.is_set() else process.tick_ms) / MS_PER_S)

    def _feed_valve_watchdog(self) -> None:
        try:
            self.hardware.valve.feed_watchdog()
        except ValveStuck as error:
            self.fail(error)

    def _refill(self) -> None:
        """Load facts without a verdict from the journal into the resend queue, one load at a time."""
        if self._refilling is None or self._refilling.done():
            self._refilling = self._loop.create_task(self._fill_resend_queue())
            self._refilling.add_done_callback(self._check_refill)

    def _check_refill(self, refilled: asyncio.Task[None]) -> None:
        error = None if refilled.cancelled() else refilled.exception()
        if error is not None:
            self.fail(error)

    async def _fill_resend_queue(self) -> None:
        facts = await self._journal.open_facts(RESEND_QUEUE_LIMIT)
        open_ids = {*self.state.journal.unsettled, *self.state.journal.open_flows}
        self._resend_queue.refill([fact for fact in facts if fact.fact_id in open_ids], monotonic_ms())

    def _describe(self, presence: Presence, connection: int) -> NodeState:
        uptime_ms = monotonic_ms() - self._started_ms
        return node_state_message(self.state, presence, connection, software=SOFTWARE, uptime_ms=uptime_ms)


def open_journal(settings: Settings, boot_id: UUID) -> Journal:
    """Open the tap's journal with its reserve; raises `JournalBroken` and `JournalInUse`."""
    file = Path(settings.journal.file)
    return Journal.open(file, settings.tap.path, boot_id, DiskReserve(file, settings.journal.reserve_kib))


@asynccontextmanager
async def running_node(settings: Settings) -> AsyncIterator[TapNode]:
    """Run a node while the block runs; raises the error that broke it."""
    node = TapNode(settings)
    serving = asyncio.create_task(node.serve())
    try:
        yield node
    finally:
        await end_node(node, serving)


async def run_node(settings: Settings) -> None:
    """Run a tap node or a desk reader until SIGTERM or SIGINT; raises the error that broke it."""
    stop_requested = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop_requested.set)
    is_desk = device_path(settings).kind is DeviceKind.READER
    node: TapNode | DeskNode = DeskNode(settings) if is_desk else TapNode(settings)
    serving, waiting = asyncio.create_task(node.serve()), asyncio.create_task(stop_requested.wait())
    try:
        await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        await end_node(node, serving)


async def end_node(node: TapNode | DeskNode, serving: asyncio.Task[None]) -> None:
    """End the node, with the valve closed first; raises the error that broke it."""
    serving.cancel()
    try:
        await asyncio.wait([serving])
    finally:
        node.hardware.end()
    if not serving.cancelled():
        serving.result()
