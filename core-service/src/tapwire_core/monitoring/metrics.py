"""Metrics of a core worker: decisions and their speed, queues, and the state of the books.

Counters and durations are those of this process since its start, repetitions included; gauges of the books are those of the whole
installation, the same in every worker. Served with the health of the worker on `TAPWIRE_METRICS_PORT`.
"""

from collections import Counter as Tally
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily

from tapwire_contracts import CONTRACT_VERSION
from tapwire_contracts.messages import ROUTES, Sender, message_type
from tapwire_contracts.reasons import DenyReason, IncidentKind, Outcome
from tapwire_core import SOFTWARE
from tapwire_core.db.engine import Database
from tapwire_core.db.views.monitoring import PENDING_AGES_S, InstallationGauges, read_gauges
from tapwire_core.services.books import BOOK_RULES, check_books, count_backlog

GRANTED: Final = "granted"
UNREADABLE: Final = "unreadable"
ARRIVED: Final = "arrived"
FAILED: Final = "failed"
MESSAGE_TYPES: Final = sorted({message_type(kind) for route in ROUTES if route.sender is Sender.NODE for kind in route.payloads})
SECONDS: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
"""A node waits 5 s for an answer and asks again each second; a local database decides in some milliseconds."""


class _Verdict(Struct):
    outcome: str


_verdict: Final = msgspec.json.Decoder(_Verdict)


class DecisionMetrics:
    """Answers to cards and verdicts on reports, by MQTT or HTTP."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._decisions: Final = Counter(
            "tapwire_decisions", "Answers to cards, by deny reason; 'granted' allows a pour", ["reason"], registry=registry
        )
        self._settlements: Final = Counter("tapwire_settlements", "Verdicts on reports, by outcome", ["outcome"], registry=registry)
        for reason in (GRANTED, *DenyReason):
            self._decisions.labels(str(reason))
        for outcome in Outcome:
            self._settlements.labels(outcome.value)

    def count_answer(self, reason: str) -> None:
        """Count an answer by its deny reason, or as `GRANTED`."""
        self._decisions.labels(reason).inc()

    def count_verdict(self, payload: str) -> str:
        """Count a verdict by its payload; returns its outcome."""
        outcome = _verdict.decode(payload).outcome
        self.count_outcome(outcome)
        return outcome

    def count_outcome(self, outcome: str) -> None:
        """Count a verdict by its outcome."""
        self._settlements.labels(outcome).inc()


class WorkerMetrics:
    """Counters and timings of one worker."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry: Final = registry or CollectorRegistry()
        self.decisions: Final = DecisionMetrics(self.registry)
        self._seconds: Final = Histogram(
            "tapwire_message_seconds",
            "Time from receiving a device's message to sending its answer",
            ["type"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._failures: Final = Counter("tapwire_message_failures", "Messages whose processing failed", registry=self.registry)
        self._dead_letters: Final = Counter("tapwire_dead_letters_kept", "Messages that could not be used", registry=self.registry)
        self._undecided: Final = Counter(
            "tapwire_messages_undecided", "Messages beyond their device's rate, which got no decision", registry=self.registry
        )
        self._connects: Final = Counter("tapwire_broker_connects", "Connections made to the broker", registry=self.registry)
        self.ready: Final = Gauge("tapwire_worker_ready", "1 while broker and database are both available", registry=self.registry)
        software = Gauge("tapwire_build_info", "Always 1", ["software", "contract_version"], registry=self.registry)
        software.labels(SOFTWARE, CONTRACT_VERSION).set(1)
        for kind in (*MESSAGE_TYPES, UNREADABLE):
            self._seconds.labels(kind)

    def observe(self, kind: str, seconds: float) -> None:
        """Record the duration of processing a message of this type."""
        self._seconds.labels(kind).observe(seconds)

    def count_failure(self) -> None:
        """Count a message whose processing failed; its node repeats it."""
        self._failures.inc()

    def count_dead_letter(self) -> None:
        """Count a stored message that can't be used."""
        self._dead_letters.inc()

    def count_undecided(self, messages: int) -> None:
        """Count messages of a device beyond its rate."""
        self._undecided.inc(messages)

    def count_connect(self) -> None:
        """Count a connection to the broker."""
        self._connects.inc()


class WebhookMetrics:
    """Counters of one worker's webhook deliveries."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._attempts: Final = Counter(
            "tapwire_webhook_attempts",
            "Delivery attempts, by whether the receiver accepted them",
            ["result"],
            registry=registry or CollectorRegistry(),
        )
        for result in (ARRIVED, FAILED):
            self._attempts.labels(result)

    def count(self, *, arrived: bool) -> None:
        """Count an attempt."""
        self._attempts.labels(ARRIVED if arrived else FAILED).inc()


class BooksMetrics:
    """Gauges of the books: the backlog, and the differences, whose check takes longer as the books grow."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._differences: Final = Gauge(
            "tapwire_books_differences", "Places where the books do not balance; 0 proves that they do", ["rule"], registry=registry
        )
        self._checked: Final = Gauge(
            "tapwire_books_checked_timestamp_seconds", "Time of the last check of the books", registry=registry
        )
        self._pending: Final = Gauge("tapwire_pending_pours", "Pours that wait for their report", registry=registry)
        self._oldest: Final = Gauge("tapwire_oldest_pending_pour_seconds", "Age of the oldest pending pour", registry=registry)
        self._held: Final = Gauge("tapwire_held_minor", "Money held for pending pours, in minor units", registry=registry)
        self._incidents: Final = Gauge("tapwire_unresolved_incidents", "Incidents that a person must resolve", registry=registry)
        self._outbox: Final = Gauge("tapwire_outbox_commands", "Commands that wait to be published", registry=registry)
        self._gauges: Final = InstallationCollector(registry)

    async def update_differences(self, db: Database) -> None:
        """Check the books and set the gauges of differences."""
        found = Tally(difference.rule for difference in await check_books(db))
        for rule in BOOK_RULES:
            self._differences.labels(rule).set(found[rule])
        self._checked.set_to_current_time()

    async def update_backlog(self, db: Database) -> None:
        """Set the gauges of everything that waits."""
        waiting = await count_backlog(db)
        self._pending.set(waiting.pending_pours)
        self._oldest.set(waiting.oldest_pending_ms / 1000)
        self._held.set(waiting.held_minor)
        self._incidents.set(waiting.unresolved_incidents)
        self._outbox.set(waiting.outbox_commands)
        self._gauges.latest = await read_gauges(db)


class InstallationCollector:
    """Gauges of the installation at one moment; a revoked device disappears from them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.latest: InstallationGauges | None = None
        registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield every family, without samples before the first update."""
        latest = self.latest
        ages = _family("tapwire_pending_pours_older_than", "Pending pours older than this many seconds", "seconds")
        incidents = _family("tapwire_unresolved_incidents_of", "Incidents that a person must resolve, by kind", "kind")
        online = _family("tapwire_device_online", "1 while the device is online; 0: offline or never seen", "path")
        unsettled = _family("tapwire_device_unsettled_facts", "Facts of a device without a verdict, from its last state", "path")
        outdated = _family("tapwire_device_contract_differs", "1: the device has another contract version than the core", "path")
        lag = GaugeMetricFamily("tapwire_oldest_outbox_command_seconds", "Age of the oldest command that waits to be published")
        letters = GaugeMetricFamily("tapwire_dead_letters", "Distinct unusable messages in the database")
        backlog = _family("tapwire_webhook_backlog", "Waiting deliveries of each enabled webhook", "webhook_id")
        oldest = _family("tapwire_oldest_webhook_delivery_seconds", "Age of a webhook's oldest waiting delivery", "webhook_id")
        failures = _family("tapwire_webhook_failures", "Failures since the last success", "webhook_id")
        failing = _family(
            "tapwire_webhook_failing_seconds", "Time since the webhook's first failure after its last success", "webhook_id"
        )
        heartbeats = _family("tapwire_program_heartbeat_age_seconds", "Age of a program's latest heartbeat", "program")
        if latest is not None:
            for program in latest.programs:
                heartbeats.add_metric([program.program], program.heartbeat_ms / 1000)
            for age_s, count in zip(PENDING_AGES_S, latest.pending_older_than, strict=True):
                ages.add_metric([str(age_s)], count)
            for kind in IncidentKind:
                incidents.add_metric([kind.value], latest.incidents.get(kind.value, 0))
            for device in latest.devices:
                online.add_metric([device.path], device.online)
                unsettled.add_metric([device.path], device.facts_open)
                outdated.add_metric([device.path], device.contract_version not in (None, CONTRACT_VERSION))
            for webhook in latest.webhooks:
                backlog.add_metric([webhook.webhook_id], webhook.waiting)
                oldest.add_metric([webhook.webhook_id], webhook.oldest_waiting_ms / 1000)
                failures.add_metric([webhook.webhook_id], webhook.failures)
                failing.add_metric([webhook.webhook_id], webhook.failing_ms / 1000)
            lag.add_metric([], latest.oldest_command_ms / 1000)
            letters.add_metric([], latest.dead_letters)
        yield from (ages, incidents, online, unsettled, outdated, lag, letters, backlog, oldest, failures, failing, heartbeats)


def _family(name: str, explanation: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, explanation, labels=[label])
