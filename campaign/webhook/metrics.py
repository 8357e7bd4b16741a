"""How a campaign's webhook fares, for Prometheus; there while a campaign has one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge

from campaign.webhook.patience import Failure
from campaign.webhook.payload import TYPES


class WebhookMetrics:
    """Counts of one campaign, in this process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._deliveries = Counter(
            "ratchet_webhook_deliveries",
            f"Notices that the webhook's receiver acknowledged, by type: {', '.join(TYPES)}.",
            ["type"],
            registry=registry,
        )
        self._failures = Counter(
            "ratchet_webhook_failures",
            "Attempts to deliver a notice that the webhook's receiver did not acknowledge, by "
            f"reason: {', '.join(Failure)}.",
            ["reason"],
            registry=registry,
        )
        self._backlog = Gauge(
            "ratchet_webhook_backlog",
            "Notices that the webhook's receiver has not acknowledged yet.",
            registry=registry,
        )
        for kind in TYPES:
            self._deliveries.labels(type=kind)
        for reason in Failure:
            self._failures.labels(reason=reason)
        self._all = (self._deliveries, self._failures, self._backlog)

    def delivered(self, kind: str) -> None:
        self._deliveries.labels(type=kind).inc()

    def failed(self, reason: Failure) -> None:
        self._failures.labels(reason=reason).inc()

    def left(self, count: int) -> None:
        self._backlog.set(count)

    def leave(self, registry: CollectorRegistry) -> None:
        for metric in self._all:
            registry.unregister(metric)


@contextmanager
def webhook_metrics(registry: CollectorRegistry) -> Iterator[WebhookMetrics]:
    """In the registry within the block: the next campaign counts from 0."""
    metrics = WebhookMetrics(registry)
    try:
        yield metrics
    finally:
        metrics.leave(registry)
