"""What the service tells Prometheus about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

if TYPE_CHECKING:
    import asyncpg

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The metrics of one application, in a registry of their own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._requests = Counter(
            "http_requests_total",
            "Requests answered.",
            ["route", "method", "status"],
            registry=self._registry,
        )
        self._durations = Histogram(
            "http_request_duration_seconds",
            "From the request's headers to the end of the response.",
            ["route", "method"],
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "http_requests_in_flight", "Requests being served.", registry=self._registry
        )
        self._pool_size = self._gauge("db_pool_size", "Open database connections.")
        self._pool_idle = self._gauge("db_pool_idle", "Open connections that nobody uses.")

    def observe(self, route: str, method: str, status: int, duration_s: float) -> None:
        self._requests.labels(route, method, status).inc()
        self._durations.labels(route, method).observe(duration_s)

    def watch(self, pool: asyncpg.Pool) -> None:
        """Reads the pool's figures whenever the metrics are asked for."""
        self._pool_size.set_function(pool.get_size)
        self._pool_idle.set_function(pool.get_idle_size)

    def render(self) -> bytes:
        return generate_latest(self._registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self._registry)
