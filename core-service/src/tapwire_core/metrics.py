"""What a core worker tells Prometheus of the books: whether they balance, and what waits. Served on `TAPWIRE_METRICS_PORT`."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, start_http_server

from tapwire_core.db.engine import Database
from tapwire_core.services.books import BOOK_RULES, check_books, what_waits
from tapwire_core.settings import LOOPBACK


class BooksMetrics:
    """Gauges of the books, set anew at each look."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._differences: Final = Gauge(
            "tapwire_books_differences", "Places where the books do not balance; 0 proves that they do", ["rule"], registry=registry
        )
        self._pending: Final = Gauge("tapwire_pending_pours", "Pours that wait for their report", registry=registry)
        self._oldest: Final = Gauge("tapwire_oldest_pending_pour_seconds", "Age of the oldest of them", registry=registry)
        self._held: Final = Gauge("tapwire_held_minor", "Money held for pending pours, in minor units", registry=registry)
        self._incidents: Final = Gauge("tapwire_unresolved_incidents", "Incidents that a person must end", registry=registry)
        self._outbox: Final = Gauge("tapwire_outbox_commands", "Commands that wait to be published", registry=registry)

    async def look(self, db: Database) -> None:
        """Check the books and count what waits."""
        found = Counter(difference.rule for difference in await check_books(db))
        for rule in BOOK_RULES:
            self._differences.labels(rule).set(found[rule])
        waiting = await what_waits(db)
        self._pending.set(waiting.pending_pours)
        self._oldest.set(waiting.oldest_pending_ms / 1000)
        self._held.set(waiting.held_minor)
        self._incidents.set(waiting.unresolved_incidents)
        self._outbox.set(waiting.outbox_commands)


@contextmanager
def serve_metrics(port: int, host: str = LOOPBACK) -> Iterator[BooksMetrics]:
    """Serve `/metrics` on this address while the block runs."""
    registry = CollectorRegistry()
    server, thread = start_http_server(port, host, registry=registry)
    try:
        yield BooksMetrics(registry)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
