"""`/metrics`, `/health/live` and `/health/ready` of a core worker, and the admin API's `/metrics`, each served from a thread.

Live: the worker's event loop runs; when it doesn't, only a restart helps. Ready: broker and database are both available, so cards
are answered; otherwise the worker waits for them, and a restart would not help.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from tapwire_core.settings import LOOPBACK

STUCK_AFTER_S: Final = 30.0
"""Time without a heartbeat after which the event loop counts as stuck."""

REQUEST_TIMEOUT_S: Final = 10.0
"""Longest wait for a part of a request."""

Respond = Callable[[str, list[tuple[str, str]]], Any]
Application = Callable[[dict[str, Any], Respond], Iterable[bytes]]


@dataclass(slots=True)
class WorkerHealth:
    """The worker's health, set by the worker and read by the server's thread."""

    beat_at: float = field(default_factory=time.monotonic)
    is_ready: bool = False

    def beat(self) -> None:
        """Record a heartbeat of the event loop."""
        self.beat_at = time.monotonic()

    @property
    def is_live(self) -> bool:
        """True if the event loop has run recently."""
        return time.monotonic() - self.beat_at < STUCK_AFTER_S


@contextmanager
def serve_health(registry: CollectorRegistry, health: WorkerHealth, port: int, host: str = LOOPBACK) -> Iterator[None]:
    """Serve on this address while the block runs."""
    with _serving(_application(registry, health), port, host):
        yield


@contextmanager
def serve_metrics(registry: CollectorRegistry, port: int, host: str = LOOPBACK) -> Iterator[None]:
    """Serve `/metrics` alone on this address while the block runs."""
    with _serving(_application(registry, None), port, host):
        yield


@contextmanager
def _serving(application: Application, port: int, host: str) -> Iterator[None]:
    server = make_server(host, port, application, server_class=_Server, handler_class=_QuietHandler)
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _application(registry: CollectorRegistry, health: WorkerHealth | None) -> Application:
    metrics = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], respond: Respond) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                page: Iterable[bytes] = metrics(environ, respond)
                return page
            case "/health/live" if health is not None:
                return _say(respond, health.is_live, "the event loop is stuck")
            case "/health/ready" if health is not None:
                return _say(respond, health.is_live and health.is_ready, "waiting for the broker or the database")
            case _:
                respond(_status(HTTPStatus.NOT_FOUND), [("Content-Type", "text/plain")])
                return [b"/metrics, /health/live, /health/ready\n" if health is not None else b"/metrics\n"]

    return answer


def _say(respond: Respond, is_so: bool, why_not: str) -> list[bytes]:
    respond(_status(HTTPStatus.OK if is_so else HTTPStatus.SERVICE_UNAVAILABLE), [("Content-Type", "application/json")])
    return [json.dumps({"status": "ok"} if is_so else {"status": "unavailable", "detail": why_not}).encode()]


def _status(status: HTTPStatus) -> str:
    return f"{status.value} {status.phrase}"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    timeout = REQUEST_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the library's name
        """Log nothing: there is a scrape every few seconds."""
