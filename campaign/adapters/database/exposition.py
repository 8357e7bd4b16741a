"""The probes' findings as Prometheus series.

Counters are there as long as the process is. What was measured is there only while it is fresh:
a look that failed leaves a gap, never an old value.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from campaign.adapters.database.workload import Workload, exposed

FindingsT = TypeVar("FindingsT")

#: older findings are not shown, seconds; a look is due every second
FRESH_S = 2.5
#: what pg_stat_activity can say; always shown, so that sums are right
STATES = ("active", "idle", "idle in transaction", "idle in transaction (aborted)", "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFindings:
    """One look at the server, from outside the app."""

    #: the app role's connections by state
    connections: Mapping[str, int]
    #: of those, how many have sat idle in a transaction for half a second
    stuck: int
    max_connections: int
    #: written since the first look, across restarts and fresh databases
    wal_bytes: int
    #: executed by the app's role since the first look, likewise
    statements: int
    #: None: nothing is known of it
    workload: Workload | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFindings:
    """One comparison of what was acknowledged with what is stored."""

    lost_tokens: int
    missing_messages: int
    acknowledged_writes: int


class Findings(Collector):
    """The newest findings; a collector for the caller's registry."""

    def __init__(self) -> None:
        self._probes = 0
        self._checks = 0
        self._database: DatabaseFindings | None = None
        self._ledger: LedgerFindings | None = None
        self._database_at = self._ledger_at = 0.0

    @property
    def database(self) -> DatabaseFindings | None:
        return _if_fresh(self._database, self._database_at)

    @property
    def ledger(self) -> LedgerFindings | None:
        return _if_fresh(self._ledger, self._ledger_at)

    def probed(self, findings: DatabaseFindings | None) -> None:
        """A look at the server ended; None: it failed."""
        self._database, self._database_at = findings, time.monotonic()
        self._probes += findings is not None

    def checked(self, findings: LedgerFindings | None) -> None:
        """A comparison ended; None: it failed."""
        self._ledger, self._ledger_at = findings, time.monotonic()
        self._checks += findings is not None

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "ratchet_database_probes",
            "Looks at the database that succeeded.",
            value=self._probes,
        )
        yield CounterMetricFamily(
            "ratchet_ledger_checks",
            "Comparisons of what was acknowledged with what is stored that succeeded.",
            value=self._checks,
        )
        yield GaugeMetricFamily(
            "ratchet_database_probe_success",
            "1 when the last look at the database succeeded, else 0.",
            value=self.database is not None,
        )
        if self.database is not None:
            yield from _of_database(self.database)
        if self.ledger is not None:
            yield from _of_ledger(self.ledger)


def _if_fresh(findings: FindingsT | None, at: float) -> FindingsT | None:
    return findings if time.monotonic() - at <= FRESH_S else None


def _of_database(found: DatabaseFindings) -> Iterator[Metric]:
    connections = GaugeMetricFamily(
        "ratchet_database_connections",
        f"Connections of the app's role, by state: {', '.join(STATES)}.",
        labels=["state"],
    )
    for state in STATES:
        connections.add_metric([state], found.connections.get(state, 0))
    yield connections
    yield GaugeMetricFamily(
        "ratchet_database_idle_in_transaction_sessions",
        "Sessions of the app's role that have sat idle in a transaction for half a second.",
        value=found.stuck,
    )
    yield GaugeMetricFamily(
        "ratchet_database_max_connections",
        "Connections that the server accepts.",
        value=found.max_connections,
    )
    yield CounterMetricFamily(
        "ratchet_database_wal_bytes",
        "Bytes of write-ahead log that the server wrote.",
        value=found.wal_bytes,
    )
    yield CounterMetricFamily(
        "ratchet_database_statements",
        "Statements that the app's role executed.",
        value=found.statements,
    )
    if found.workload is not None:
        yield from exposed(found.workload)


def _of_ledger(found: LedgerFindings) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "ratchet_ledger_lost_tokens",
        "Tokens of acknowledged messages that accounts do not show.",
        value=found.lost_tokens,
    )
    yield GaugeMetricFamily(
        "ratchet_ledger_missing_messages",
        "Acknowledged messages that are not stored as they were acknowledged.",
        value=found.missing_messages,
    )
    yield CounterMetricFamily(
        "ratchet_ledger_acknowledged_writes",
        "Messages that the app said it had stored.",
        value=found.acknowledged_writes,
    )
