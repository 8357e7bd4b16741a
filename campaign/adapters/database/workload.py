"""What the server had to do for the app's database: watched by people, judged by nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from campaign.adapters.database.odometer import Odometer

#: one row as JSON, or NULL where there is no such database; $1 is the app's role, $3 its database
WORKLOAD = """
(SELECT row_to_json(told) FROM (
    SELECT xact_commit AS committed, xact_rollback AS rolled_back,
           tup_returned AS rows_read, tup_inserted + tup_updated + tup_deleted AS rows_written,
           blks_hit AS blocks_cached, blks_read AS blocks_fetched, temp_bytes, deadlocks,
           (SELECT count(*) FROM pg_stat_activity
            WHERE usename = $1 AND wait_event_type = 'Lock') AS waiting,
           (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)
            FROM pg_stat_activity
            WHERE usename = $1 AND backend_type = 'client backend') AS longest_s
    FROM pg_stat_database WHERE datname = $3) AS told)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Counters count since the first look, across restarts and fresh databases."""

    committed: int
    rolled_back: int
    #: by scans and look-ups in indexes; what clients got may be far less
    rows_read: int
    rows_written: int
    #: found in the server's own cache, and asked of the operating system
    blocks_cached: int
    blocks_fetched: int
    #: of sorts and hashes that did not fit in memory
    temp_bytes: int
    deadlocks: int
    #: the app role's sessions that wait for a lock right now
    waiting: int
    #: the age of its oldest transaction, seconds; 0: it has none
    longest_s: float


class WorkloadMeter:
    """Makes a `Workload` of each row: the server's own counters start anew with each database."""

    _COUNTED = (
        *("committed", "rolled_back", "rows_read", "rows_written"),
        *("blocks_cached", "blocks_fetched", "temp_bytes", "deadlocks"),
    )

    def __init__(self) -> None:
        self._counters = {name: Odometer() for name in self._COUNTED}

    def lift(self) -> None:
        """Another server may be behind the next row."""
        for counter in self._counters.values():
            counter.lift()

    def read(self, row: str | None) -> Workload | None:
        """None: there is no such database."""
        if row is None:
            return None
        told: Mapping[str, Any] = json.loads(row)
        counted = {name: each.at(told[name]) for name, each in self._counters.items()}
        return Workload(**counted, waiting=told["waiting"], longest_s=float(told["longest_s"]))


def exposed(found: Workload) -> Iterator[Metric]:
    transactions = CounterMetricFamily(
        "ratchet_database_transactions",
        "Transactions of the app's database that ended, by outcome: committed, rolled_back.",
        labels=["outcome"],
    )
    transactions.add_metric(["committed"], found.committed)
    transactions.add_metric(["rolled_back"], found.rolled_back)
    yield transactions
    rows = CounterMetricFamily(
        "ratchet_database_rows",
        "Rows of the app's database that were gone through or changed, by access: read, written.",
        labels=["access"],
    )
    rows.add_metric(["read"], found.rows_read)
    rows.add_metric(["written"], found.rows_written)
    yield rows
    blocks = CounterMetricFamily(
        "ratchet_database_blocks",
        "Blocks of the app's database that were needed, by source: cache, system.",
        labels=["source"],
    )
    blocks.add_metric(["cache"], found.blocks_cached)
    blocks.add_metric(["system"], found.blocks_fetched)
    yield blocks
    yield CounterMetricFamily(
        "ratchet_database_temporary_bytes",
        "Bytes that queries wrote to temporary files because memory was too small.",
        value=found.temp_bytes,
    )
    yield CounterMetricFamily(
        "ratchet_database_deadlocks",
        "Deadlocks that the server broke up.",
        value=found.deadlocks,
    )
    yield GaugeMetricFamily(
        "ratchet_database_waiting_sessions",
        "Sessions of the app's role that wait for a lock.",
        value=found.waiting,
    )
    yield GaugeMetricFamily(
        "ratchet_database_longest_transaction_seconds",
        "Age of the oldest open transaction of the app's role; 0 when there is none.",
        value=found.longest_s,
    )
