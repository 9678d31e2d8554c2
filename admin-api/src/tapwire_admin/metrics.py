"""The API's own metrics for Prometheus: request durations by status, and the HTTP door's decisions.

They have a port of their own (`TAPWIRE_ADMIN_METRICS_PORT`). The core exports the metrics of the books.
"""

import time
from typing import Any, Final

from litestar.enums import HttpMethod
from prometheus_client import CollectorRegistry, Histogram

NO_ROUTE: Final = "none"
NO_METHOD: Final = "other"
METHODS: Final = frozenset(method.value for method in HttpMethod)


class RequestMetrics:
    """Counts and durations, by method, route and status; requests without a route share one label."""

    def __init__(self) -> None:
        self.registry: Final = CollectorRegistry()
        self._seconds: Final = Histogram(
            "tapwire_admin_request_seconds",
            "Time from reading a request to the start of its answer",
            ["method", "route", "status"],
            registry=self.registry,
        )

    async def observe(self, message: Any, scope: Any) -> None:
        """Count an answer that begins; runs after the request has its id and start time."""
        if message["type"] == "http.response.start" and "began" in scope["state"]:
            route = scope.get("path_template") or NO_ROUTE
            took_s = time.monotonic() - scope["state"]["began"]
            method = scope["method"] if scope["method"] in METHODS else NO_METHOD
            self._seconds.labels(method, route, message["status"]).observe(took_s)
