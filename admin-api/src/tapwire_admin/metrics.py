"""The API's own metrics for Prometheus: request durations by status, and the HTTP door's decisions.

The core exports the metrics of the books.
"""

import time
from typing import Any, Final

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from tapwire_admin.access.auth import EVERYBODY

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


@get("/metrics", access=EVERYBODY, include_in_schema=False)
async def read_metrics(request_metrics: NamedDependency[RequestMetrics]) -> Response[bytes]:
    """Counts and durations of this process's requests, for Prometheus."""
    return Response(generate_latest(request_metrics.registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
