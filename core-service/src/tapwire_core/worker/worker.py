"""A core worker: a database, a connection to the broker, and the tasks that run while both are available.

A worker keeps no state that matters in memory. Any number run side by side on one database, and any may die at any moment.
"""

import asyncio
import contextlib
import functools
import logging
import secrets
import signal
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Final, Never

from aiomqtt import MqttError

from tapwire_contracts.broker_addresses import Attempts, host_of
from tapwire_contracts.codec import encode
from tapwire_contracts.messages import MISSED_HEARTBEATS, ReportPour
from tapwire_contracts.mqtt_clients import was_closed
from tapwire_contracts.taken_watch import UNTAKEN_MS, TakenWatch
from tapwire_contracts.tasks import end_tasks, run_together, until_some
from tapwire_core import SOFTWARE
from tapwire_core.broker.client import new_client_id, now_ms, subscribe, until_lost
from tapwire_core.commands.backup_folder import BackupCollector
from tapwire_core.commands.erasures_file import keep_erasures_file
from tapwire_core.db.connections import connect
from tapwire_core.db.engine import Database
from tapwire_core.db.installation import require_installation
from tapwire_core.db.store import OUTBOX_CHANNEL
from tapwire_core.domain.closed_sets import Program
from tapwire_core.domain.retention import DEFAULT_RETENTION, RetentionPeriods
from tapwire_core.monitoring.health_server import WorkerHealth, serve_health
from tapwire_core.monitoring.metrics import BooksMetrics, WebhookMetrics, WorkerMetrics
from tapwire_core.mqtt.connection import BrokerAddress, Publisher
from tapwire_core.mqtt.handlers import HandlerContext
from tapwire_core.mqtt.home_assistant import HomeAssistant
from tapwire_core.mqtt.intake import Intake
from tapwire_core.mqtt.listener import Gate, work
from tapwire_core.mqtt.tap_shares import TapShares
from tapwire_core.payment_providers.configured import open_provider
from tapwire_core.services.cleanings import raise_due_cleanings
from tapwire_core.services.decision_rates import DecisionRates, write_undecided
from tapwire_core.services.guest_erasures import erase_unseen_guests
from tapwire_core.services.heartbeats import announce_worker, withdraw_worker
from tapwire_core.services.identities import watch_identities
from tapwire_core.services.keg_warnings import watch_kegs
from tapwire_core.services.nodes import ask_for_reports, keep_progress
from tapwire_core.services.outbox import all_configs, publish_waiting
from tapwire_core.services.pour_batches import Batches
from tapwire_core.services.pours import RawMessage
from tapwire_core.services.price_rules import publish_new_prices
from tapwire_core.services.retention import delete_expired
from tapwire_core.settings import InvalidSettings, Settings
from tapwire_core.worker.heartbeats import keep_heartbeat
from tapwire_core.worker.payment_watch import PaymentWatch
from tapwire_core.worker.periodic import DATABASE_ERRORS, repeat, survive
from tapwire_core.worker.webhook_sender import WebhookSender

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """Intervals of a worker's periodic tasks."""

    sweep_s: float = 2.0
    """Search for pours whose report is overdue."""
    ask_again_s: float = 10.0
    """Repetition of `report_pour` for the same pour."""
    outbox_s: float = 2.0
    """Poll of the command outbox when no notification comes."""
    progress_s: float = 1.0
    """Write of the latest progress, and of the counts of messages without a decision."""
    database_check_s: float = 1.0
    """Check of the database connection, and heartbeat of the event loop."""
    prices_s: float = 1.0
    """Look for prices that changed with time: screens show them within 5 s."""
    kegs_s: float = 5.0
    """Look for kegs that run low or are past their best-before date."""
    cleanings_s: float = 30.0
    """Look for cleanings that have become due."""
    beats_s: float = 2.0
    """Write of the nodes' heartbeats, and search for nodes that missed theirs."""
    backlog_s: float = 60.0
    """Metrics: update of the backlog, and at least the interval between two checks of the books."""
    books_check_rests: float = 20.0
    """Pause after a check of the books, as a multiple of its duration: a check reads everything."""
    retention_s: float = 3_600.0
    """Retention sweep."""
    reconnect_max_s: float = 10.0
    """Longest wait before reconnecting to the broker."""


@dataclass(frozen=True)
class Worker:
    """A core worker; `instance_id` is its published name, `client_id` its secret one at the broker."""

    db: Database
    address: BrokerAddress
    intervals: Intervals
    instance_id: str
    retention: RetentionPeriods = DEFAULT_RETENTION
    client_id: str = field(default_factory=new_client_id, repr=False)
    metrics: WorkerMetrics = field(default_factory=WorkerMetrics)
    health: WorkerHealth = field(default_factory=WorkerHealth)

    @functools.cached_property
    def rates(self) -> DecisionRates:
        """The rates of all devices at this worker, over all its connections."""
        return DecisionRates(self.db.policy.device_decisions_per_hour)

    async def run(self) -> None:
        """Connect, work, and reconnect when the connection is lost; ends only by cancellation."""
        longest_s, clock = self.intervals.reconnect_max_s, asyncio.get_running_loop().time
        attempts = self.address.attempts(RECONNECT_FIRST_MS, round(longest_s * 1000))
        while True:
            began, closed = clock(), False
            try:
                await run_together(self._connect_and_work(attempts))
            except MqttError as error:
                self._set_ready(is_ready=False)
                log.warning("broker %s: %s; reconnecting", host_of(self.address.urls[attempts.address]), error)
                closed = was_closed(error)
            await asyncio.sleep(attempts.turn(held=clock() - began > longest_s, closed=closed) / 1000)

    async def _connect_and_work(self, attempts: Attempts) -> None:
        shares = None if self.address.shared else TapShares(self.instance_id, self.db.policy.takeover_ms / 1000)
        intake, gate = Intake[RawMessage](), Gate(self.rates, shares)
        receive = functools.partial(gate.receive, intake)
        async with self.address.client(self.instance_id, self.client_id, receive, attempts) as client:
            self.metrics.count_connect()
            taken = TakenWatch(len(self.address.urls), UNTAKEN_MS)
            publisher = Publisher(client, self.address, self.instance_id, taken)
            await self._work(HandlerContext(self.db, publisher, Batches(self.db), self.metrics), intake, gate)

    async def keep_heartbeat(self) -> None:
        """Record that the event loop runs."""
        while True:
            self.health.beat()
            await asyncio.sleep(self.intervals.database_check_s)

    def _set_ready(self, *, is_ready: bool) -> None:
        self.health.is_ready = is_ready
        self.metrics.ready.set(is_ready)

    async def _work(self, context: HandlerContext, intake: Intake[RawMessage], gate: Gate) -> None:
        client, publisher = context.publisher.client, context.publisher
        woken = asyncio.Event()
        await subscribe(client, list(self.address.subscriptions()))
        try:
            await run_together(
                until_lost(client),
                *([_leave_untaken(publisher.taken)] if len(self.address.urls) > 1 else []),
                work(context, intake),
                context.batches.run(),
                self._keep_presence(publisher),
                self._listen_to_outbox(woken),
                self._publish_outbox(publisher, woken),
                repeat(self.intervals.sweep_s, lambda: self._ask_for_reports(publisher)),
                repeat(self.intervals.progress_s, lambda: self._write_progress(context)),
                repeat(self.intervals.progress_s, lambda: self._write_undecided(gate, intake)),
                repeat(self.intervals.beats_s, lambda: context.beats.write(self.db)),
                *self._share_taps(gate.shares),
                repeat(self.intervals.prices_s, lambda: publish_new_prices(self.db)),
                repeat(self.intervals.kegs_s, lambda: watch_kegs(self.db)),
                repeat(self.intervals.cleanings_s, lambda: raise_due_cleanings(self.db)),
                repeat(self.intervals.retention_s, self._sweep),
            )
        finally:
            # a broker publishes the will of a lost connection only, not of a closed one
            with contextlib.suppress(MqttError):
                await publisher.withdraw_presence()
            with contextlib.suppress(*DATABASE_ERRORS):
                async with asyncio.timeout(WITHDRAW_TIMEOUT_S):
                    await withdraw_worker(self.db, self.instance_id)

    def _share_taps(self, shares: TapShares | None) -> Iterator[Coroutine[None, None, None]]:
        """Tell the other workers again and again that this one hears devices, and learn which others do, if they share the taps."""
        if shares is not None:
            pause_s = self.db.policy.takeover_ms / ANNOUNCED_PER_TAKEOVER / 1000
            yield repeat(pause_s, functools.partial(self._announce, shares))

    async def _announce(self, shares: TapShares) -> None:
        shares.set_announced(await announce_worker(self.db, self.instance_id))

    async def _keep_presence(self, publisher: Publisher) -> None:
        """Publish presence each `core_heartbeat_ms` while the database answers: no broker is trusted to retain it, or to clear it.

        Publishes every tap's config each time the database comes back. Raises `MqttError` when the broker takes nothing for as
        long as it would take nodes to miss this worker.
        """
        shown_at: float | None = None
        clock, heartbeat_ms = asyncio.get_running_loop().time, self.db.policy.core_heartbeat_ms
        taken_at = clock()
        while True:
            try:
                await self.db.check_connection(DATABASE_CHECK_TIMEOUT_S)
                if shown_at is None:
                    for tap_path, config in (await all_configs(self.db)).items():
                        await publisher.send_config(tap_path, config)
                    log.info("%s is ready", self.instance_id)
                if shown_at is None or clock() - shown_at >= heartbeat_ms / 1000:
                    await publisher.show_presence(heartbeat_ms)
                    shown_at = taken_at = clock()
                    self._set_ready(is_ready=True)
            except MqttError as error:
                if clock() - taken_at >= MISSED_HEARTBEATS * heartbeat_ms / 1000:
                    raise
                log.warning("broker: %s", error)
            except DATABASE_ERRORS as error:
                if shown_at is not None:
                    self._set_ready(is_ready=False)
                    await publisher.withdraw_presence()
                    log.error("database: %s; nodes refuse cards until it is back", error)
                    shown_at = None
            due_s = 0.0 if shown_at is None else shown_at + heartbeat_ms / 1000 - clock()
            await asyncio.sleep(min(due_s, self.intervals.database_check_s) if due_s > 0 else self.intervals.database_check_s)

    async def _listen_to_outbox(self, woken: asyncio.Event) -> None:
        while True:
            try:
                connection, lost = await connect(self.db.url), asyncio.Event()
                try:
                    connection.add_termination_listener(lambda _, lost=lost: lost.set())
                    await connection.add_listener(OUTBOX_CHANNEL, lambda *_: woken.set())
                    # commands queued before this moment notified nobody
                    woken.set()
                    await lost.wait()
                finally:
                    # without waiting: an error of a graceful close would replace a cancellation
                    connection.terminate()
            except DATABASE_ERRORS as error:
                log.debug("outbox notifications: %s; polling instead", error)
            await asyncio.sleep(self.intervals.database_check_s)

    async def _publish_outbox(self, publisher: Publisher, woken: asyncio.Event) -> None:
        while True:
            woken.clear()
            if not await survive(lambda: publish_waiting(self.db, publisher.send_command, publisher.send_config)):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.intervals.outbox_s):
                        await woken.wait()

    async def _ask_for_reports(self, publisher: Publisher) -> None:
        await watch_identities(self.db)
        for asked in await ask_for_reports(self.db, round(self.intervals.ask_again_s * 1000)):
            report = ReportPour(pour_id=asked.pour_id, journal_id=asked.journal_id)
            await publisher.send_command(asked.tap_path, encode(report).decode())

    async def _write_progress(self, context: HandlerContext) -> None:
        latest = dict(context.progress)
        context.progress.clear()
        if latest:
            await keep_progress(self.db, latest)

    async def _write_undecided(self, gate: Gate, intake: Intake[RawMessage]) -> None:
        gate.release(intake)
        self.metrics.count_undecided(await write_undecided(self.db, self.rates, time.monotonic()))

    async def _sweep(self) -> None:
        if erased := await erase_unseen_guests(self.db, self.retention.guests_days):
            log.info("retention: erased %d guests", erased)
        deleted = await delete_expired(self.db, self.retention)
        if any(deleted.values()):
            log.info("retention: deleted %s", ", ".join(f"{count} {table}" for table, count in deleted.items() if count))


RECONNECT_FIRST_MS: Final = 200
DATABASE_CHECK_TIMEOUT_S: Final = 2.0
ANNOUNCED_PER_TAKEOVER: Final = 3
"""How often a worker announces itself within the time after which it counts as gone."""
WITHDRAW_TIMEOUT_S: Final = 1.0
TAKEN_LOOK_S: Final = 0.2


async def _leave_untaken(taken: TakenWatch) -> None:
    """Leave an address that takes no message, for the next one; raises `MqttError` then."""
    waits_ms = await until_some(lambda: taken.overdue_ms(now_ms()), TAKEN_LOOK_S)
    raise MqttError(f"no message was taken there for {waits_ms} ms, trying the next address")


async def run_core(settings: Settings) -> None:
    """Run one core worker until SIGINT or SIGTERM; raises `NotMigrated`, `CurrencyDiffers` and `InvalidSettings`."""
    if settings.broker_url is None:
        raise InvalidSettings("TAPWIRE_BROKER_URL: set the broker's URL, mqtt://user:secret@host:port")
    await require_installation(settings.database_url, settings.currency)
    address = BrokerAddress(
        url=settings.broker_url,
        protocol=settings.broker_protocol,
        shared=settings.shared_subscriptions,
        share_group=settings.share_group,
        ca_file=settings.broker_ca_file,
    )
    async with Database.open(settings.database_url, settings.policy) as db:
        worker = Worker(db, address, Intervals(), f"core-{secrets.token_hex(4)}", settings.retention)
        home = HomeAssistant(db=db, address=address, prefix=settings.home_assistant_prefix)
        log.info("%s starts as %s", SOFTWARE, worker.instance_id)
        sender = WebhookSender(db, WebhookMetrics(worker.metrics.registry))
        provider = open_provider(settings, db)
        payments = [PaymentWatch(db, provider).run()] if provider is not None else []
        heartbeat = keep_heartbeat(db, Program.CORE, worker.instance_id)
        served = run_together(
            _run_with_metrics(worker, settings), sender.run(), heartbeat, *payments, *_erasures_file(db, settings)
        )
        await run_until_signalled(_run_with_home(served, home, is_on=settings.home_assistant))
        if provider is not None:
            await provider.close()
        log.info("%s ends", worker.instance_id)


def _erasures_file(db: Database, settings: Settings) -> list[Coroutine[None, None, Never]]:
    """Keep the file of erasures in the folder of backups, where this worker may write it."""
    return [keep_erasures_file(db, settings.backup_folder)] if settings.backup_folder is not None else []


async def run_until_signalled(work: Coroutine[None, None, None]) -> None:
    """Run until SIGINT or SIGTERM."""
    running = asyncio.create_task(work)
    for ending in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(ending, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def _run_with_home(work: Coroutine[None, None, None], home: HomeAssistant, *, is_on: bool) -> None:
    """Run the worker, and publish for Home Assistant beside it: a failure there does not end the worker."""
    publishing = asyncio.create_task(home.run() if is_on else home.withdraw())
    publishing.add_done_callback(_log_failure)
    try:
        await work
    finally:
        await end_tasks(publishing)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("publishing for Home Assistant has stopped until this worker restarts", exc_info=task.exception())


async def _run_with_metrics(worker: Worker, settings: Settings) -> None:
    if settings.metrics_port is None:
        await worker.run()
        return
    books = BooksMetrics(worker.metrics.registry)
    if settings.backup_folder is not None:
        worker.metrics.registry.register(BackupCollector(settings.backup_folder))
    with serve_health(worker.metrics.registry, worker.health, settings.metrics_port, settings.metrics_host):
        intervals, db = worker.intervals, worker.db
        backlog = repeat(intervals.backlog_s, lambda: books.update_backlog(db))
        differences = repeat(intervals.backlog_s, lambda: books.update_differences(db), rests=intervals.books_check_rests)
        await run_together(worker.run(), worker.keep_heartbeat(), backlog, differences)
