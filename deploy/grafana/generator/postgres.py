"""Postgres: the database as the harness's own probes see it, once a second."""

from __future__ import annotations

from grafana_foundation_sdk.models import units

from deploy.grafana.generator.looks import BAD, WARNING, Step, Word, thresholds
from deploy.grafana.generator.page import Page, Section
from deploy.grafana.generator.panels import LIMIT, Panel, graph, number, timeline
from deploy.grafana.generator.queries import Query

_NOW = Section(
    title="How it is",
    panels=(
        timeline(
            Panel(
                title="Probe",
                description=(
                    "Whether the last look at the database succeeded. What rests on a look that "
                    "failed is unknown, and blank here."
                ),
                unit=units.String,
                queries=(Query(promql="min(ratchet_database_probe_success)", legend="probe"),),
                width=12,
                height=4,
            ),
            meanings={0: Word(text="failed", color=BAD), 1: Word(text="fine", color="green")},
        ),
        number(
            Panel(
                title="Lost tokens",
                description="Tokens of acknowledged messages that accounts do not show.",
                unit=units.Short,
                queries=(Query(promql="max(ratchet_ledger_lost_tokens)", newest=True),),
                width=4,
                height=4,
                more="ratchet-slos",
            ),
            limits=thresholds(Step(value=1, color=BAD)),
        ),
        number(
            Panel(
                title="Missing messages",
                description="Acknowledged messages that are not stored as they were acknowledged.",
                unit=units.Short,
                queries=(Query(promql="max(ratchet_ledger_missing_messages)", newest=True),),
                width=4,
                height=4,
                more="ratchet-slos",
            ),
            limits=thresholds(Step(value=1, color=BAD)),
        ),
        number(
            Panel(
                title="Deadlocks",
                description="That the server broke up in the time shown.",
                unit=units.Short,
                queries=(
                    Query(
                        promql="sum(increase(ratchet_database_deadlocks_total[$__range]))",
                        newest=True,
                    ),
                ),
                width=4,
                height=4,
            ),
            limits=thresholds(Step(value=1, color=WARNING)),
            decimals=0,
        ),
    ),
)

_SESSIONS = Section(
    title="Sessions of the app",
    panels=(
        graph(
            Panel(
                title="Connections",
                description="By state, and how many the server accepts in all.",
                unit=units.Short,
                queries=(
                    Query(
                        promql="sum by (state) (ratchet_database_connections)", legend="{{state}}"
                    ),
                    Query(promql="max(ratchet_database_max_connections)", legend=LIMIT),
                ),
                colors={"active": "green", "idle": "blue", "idle in transaction": WARNING},
            ),
            stacked=True,
        ),
        graph(
            Panel(
                title="Idle in a transaction, or waiting",
                description=(
                    "Sessions that have sat idle inside an open transaction for half a second, "
                    "and sessions that wait for somebody else's lock."
                ),
                unit=units.Short,
                queries=(
                    Query(
                        promql="max(ratchet_database_idle_in_transaction_sessions)",
                        legend="idle in transaction",
                    ),
                    Query(
                        promql="max(ratchet_database_waiting_sessions)", legend="waiting for a lock"
                    ),
                    Query(
                        promql='max(ratchet:invariant_limit{invariant="idle_in_transaction"})',
                        legend=LIMIT,
                    ),
                ),
                more="ratchet-slos",
            ),
        ),
        graph(
            Panel(
                title="Oldest transaction",
                description="Age of the app's oldest open transaction; 0 when there is none.",
                unit=units.Seconds,
                queries=(
                    Query(promql="max(ratchet_database_longest_transaction_seconds)", legend="age"),
                ),
            ),
        ),
    ),
)

_WORK = Section(
    title="Work",
    panels=(
        graph(
            Panel(
                title="Statements and transactions",
                description=(
                    "Statements of the app's role, and transactions of its database by how they "
                    "ended. Postgres tells of transactions up to ten seconds late."
                ),
                unit=units.OpsPerSecond,
                queries=(
                    Query(
                        promql="sum(rate(ratchet_database_statements_total[$__rate_interval]))",
                        legend="statements",
                    ),
                    Query(
                        promql=(
                            "sum by (outcome) "
                            "(rate(ratchet_database_transactions_total[$__rate_interval]))"
                        ),
                        legend="{{outcome}}",
                    ),
                ),
                colors={"rolled_back": BAD},
            ),
        ),
        graph(
            Panel(
                title="Statements per request",
                description="Of the app, for each request that clients got an answer to.",
                unit=units.Short,
                queries=(
                    Query(
                        promql=(
                            "sum(rate(ratchet_database_statements_total[$__rate_interval])) "
                            "/ sum(rate(loadgen_request_duration_seconds_count"
                            "[$__rate_interval]))"
                        ),
                        legend="statements",
                    ),
                    Query(
                        promql='max(ratchet:invariant_limit{invariant="statements_per_request"})',
                        legend=LIMIT,
                    ),
                ),
                more="ratchet-slos",
            ),
        ),
        graph(
            Panel(
                title="Rows",
                description=(
                    "Rows gone through, and rows changed. Far more rows read than clients get: "
                    "scans."
                ),
                unit=units.CountsPerSecond,
                queries=(
                    Query(
                        promql=(
                            "sum by (access) (rate(ratchet_database_rows_total[$__rate_interval]))"
                        ),
                        legend="{{access}}",
                    ),
                ),
            ),
        ),
    ),
)

_STORAGE = Section(
    title="Memory and disk",
    panels=(
        graph(
            Panel(
                title="Write-ahead log",
                description="Bytes that the server wrote to its log.",
                unit=units.BytesPerSecondIEC,
                queries=(
                    Query(
                        promql="sum(rate(ratchet_database_wal_bytes_total[$__rate_interval]))",
                        legend="log",
                    ),
                    Query(
                        promql=(
                            "sum(rate(ratchet_database_temporary_bytes_total[$__rate_interval]))"
                        ),
                        legend="temporary files",
                    ),
                ),
            ),
        ),
        graph(
            Panel(
                title="Log per acknowledged message",
                description="Bytes of log for each message that the app says it stored.",
                unit=units.BytesIEC,
                queries=(
                    Query(
                        promql=(
                            "sum(rate(ratchet_database_wal_bytes_total[$__rate_interval])) "
                            "/ sum(rate(loadgen_acknowledged_writes_total[$__rate_interval]))"
                        ),
                        legend="log",
                    ),
                    Query(
                        promql='max(ratchet:invariant_limit{invariant="wal_per_message"})',
                        legend=LIMIT,
                    ),
                ),
                more="ratchet-slos",
            ),
        ),
        graph(
            Panel(
                title="Found in the server's cache",
                description="Share of the needed blocks that it did not ask the system for.",
                unit=units.PercentUnit,
                queries=(
                    Query(
                        promql=(
                            'sum(rate(ratchet_database_blocks_total{source="cache"}'
                            "[$__rate_interval])) "
                            "/ sum(rate(ratchet_database_blocks_total[$__rate_interval]))"
                        ),
                        legend="from the cache",
                    ),
                ),
            ),
            highest=1.0,
        ),
    ),
)

_LEDGER = Section(
    title="What was acknowledged, and is it there?",
    panels=(
        graph(
            Panel(
                title="Lost tokens and missing messages",
                description=(
                    "Of messages that the app said it had stored. None may be missing; tokens may "
                    "not get fewer while a trial looks."
                ),
                unit=units.Short,
                queries=(
                    Query(promql="max(ratchet_ledger_lost_tokens)", legend="lost tokens"),
                    Query(promql="max(ratchet_ledger_missing_messages)", legend="missing messages"),
                ),
                width=12,
                more="ratchet-slos",
            ),
            steps=True,
        ),
        graph(
            Panel(
                title="Looks and comparisons",
                description="How often the harness looked; one a second of each is due.",
                unit=units.CountsPerSecond,
                queries=(
                    Query(
                        promql="sum(rate(ratchet_database_probes_total[$__rate_interval]))",
                        legend="looks at the server",
                    ),
                    Query(
                        promql="sum(rate(ratchet_ledger_checks_total[$__rate_interval]))",
                        legend="comparisons with the ledger",
                    ),
                    Query(
                        promql=(
                            "sum(rate(ratchet_ledger_acknowledged_writes_total[$__rate_interval]))"
                        ),
                        legend="acknowledged messages",
                    ),
                ),
                width=12,
            ),
        ),
    ),
)

POSTGRES = Page(
    uid="ratchet-postgres",
    title="Postgres",
    description="What does the app ask of its database, and is all there that was acknowledged?",
    sections=(_NOW, _SESSIONS, _WORK, _STORAGE, _LEDGER),
)
