"""Load: what clients do and see, and whether the load generator keeps its own schedule."""

from __future__ import annotations

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from campaign.model import GeneratorLimits
from deploy.grafana.generator.looks import BAD, Step, Word, thresholds
from deploy.grafana.generator.page import Page, Section
from deploy.grafana.generator.panels import Panel, buckets, graph, number, timeline
from deploy.grafana.generator.queries import Query
from deploy.grafana.generator.variables import Variable

_CHOSEN = 'job="loadgen",behaviour=~"$behaviour",operation=~"$operation"'
_LIMITS = GeneratorLimits()
_RATE = "[$__rate_interval]"


def _rate(counter: str, *, by: str = "") -> str:
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({counter}{{{_CHOSEN}}}{_RATE}))"


_NOW = Section(
    title="The generator itself",
    panels=(
        number(
            Panel(
                title="Workers",
                description=(
                    "As their master counts them: playing, ready to step in, lost. Blank where one "
                    "process plays all of the load."
                ),
                unit=units.Short,
                queries=(
                    Query(
                        promql="sum by (state) (loadgen_master_workers)",
                        legend="{{state}}",
                        newest=True,
                    ),
                ),
                width=16,
                height=4,
                colors={"playing": "green", "standby": "blue", "lost": BAD},
            ),
        ),
        number(
            Panel(
                title="Workers lost",
                description="In the time shown. Somebody else took their users over, or nobody.",
                unit=units.Short,
                queries=(
                    Query(
                        promql="sum(increase(loadgen_master_lost_workers_total[$__range]))",
                        newest=True,
                    ),
                ),
                height=4,
            ),
            limits=thresholds(Step(value=1, color=BAD)),
            decimals=0,
        ),
        timeline(
            Panel(
                title="Reachable",
                description="Load generators that Prometheus reaches; one that is gone is named.",
                unit=units.String,
                queries=(
                    Query(promql='min by (instance) (up{job="loadgen"})', legend="{{instance}}"),
                ),
                width=8,
                height=6,
            ),
            meanings={0: Word(text="gone", color=BAD), 1: Word(text="there", color="green")},
        ),
        graph(
            Panel(
                title="Scheduler's lag",
                description=(
                    "How much too late a generator woke up, at worst, in the last second. Above "
                    "the limit it is starved: what it measures is worth nothing."
                ),
                unit=units.Seconds,
                queries=(
                    Query(
                        promql='max by (instance) (loadgen_scheduler_lag_seconds{job="loadgen"})',
                        legend="{{instance}}",
                    ),
                ),
                width=8,
                height=6,
            ),
            limits=thresholds(Step(value=_LIMITS.max_lag_s, color=BAD)),
        ),
        graph(
            Panel(
                title="Processor",
                description=(
                    "Share of one core that each generator used. A busy core alone is no fault; a "
                    "lag is."
                ),
                unit=units.PercentUnit,
                queries=(
                    Query(
                        promql='max by (instance) (loadgen_cpu_ratio{job="loadgen"})',
                        legend="{{instance}}",
                    ),
                ),
                width=8,
                height=6,
            ),
            limits=thresholds(Step(value=_LIMITS.max_cpu_ratio, color=BAD)),
        ),
    ),
)

_OFFERED = Section(
    title="What is offered, and what comes of it",
    panels=(
        graph(
            Panel(
                title="Scheduled, sent, answered",
                description=(
                    "Scheduled: arrivals, whatever the app does. Sent below scheduled: users wait "
                    "for earlier answers. Answered below sent: the app takes longer and longer."
                ),
                unit=units.RequestsPerSecond,
                queries=(
                    Query(
                        promql=f"sum(loadgen_offered_rate_hertz{{{_CHOSEN}}})", legend="configured"
                    ),
                    Query(promql=_rate("loadgen_requests_offered_total"), legend="scheduled"),
                    Query(promql=_rate("loadgen_requests_started_total"), legend="sent"),
                    Query(
                        promql=_rate("loadgen_request_duration_seconds_count"), legend="answered"
                    ),
                ),
                colors={"configured": "text", "answered": "green"},
            ),
        ),
        graph(
            Panel(
                title="Answers by operation",
                description="Answered requests a second, by what was asked.",
                unit=units.RequestsPerSecond,
                queries=(
                    Query(
                        promql=_rate("loadgen_request_duration_seconds_count", by="operation"),
                        legend="{{operation}}",
                    ),
                ),
            ),
            stacked=True,
        ),
        graph(
            Panel(
                title="Users",
                description="Configured simulated users, by what they do.",
                unit=units.Short,
                queries=(
                    Query(
                        promql=(
                            "sum by (behaviour) "
                            '(loadgen_users{job="loadgen",behaviour=~"$behaviour"})'
                        ),
                        legend="{{behaviour}}",
                    ),
                ),
            ),
            stacked=True,
            steps=True,
        ),
        graph(
            Panel(
                title="Errors",
                description=(
                    "What went wrong, by kind, each arrival at most once. Missed: the turn came "
                    "and went while the user still waited."
                ),
                unit=units.RequestsPerSecond,
                queries=(
                    Query(
                        promql=_rate("loadgen_request_errors_total", by="kind"), legend="{{kind}}"
                    ),
                ),
            ),
            stacked=True,
        ),
        graph(
            Panel(
                title="Share of errors",
                description="Of the answered, by operation.",
                unit=units.PercentUnit,
                queries=(
                    Query(
                        promql=(
                            f"{_rate('loadgen_request_errors_total', by='operation')} / "
                            f"{_rate('loadgen_request_duration_seconds_count', by='operation')}"
                        ),
                        legend="{{operation}}",
                    ),
                ),
                more="ratchet-slos",
            ),
        ),
        graph(
            Panel(
                title="Received",
                description="Bytes of bodies, by operation.",
                unit=units.BytesPerSecondIEC,
                queries=(
                    Query(
                        promql=_rate("loadgen_response_bytes_total", by="operation"),
                        legend="{{operation}}",
                    ),
                ),
            ),
            stacked=True,
        ),
    ),
)

_LATENCY = Section(
    title="How long it takes",
    panels=(
        buckets(
            Panel(
                title="Request latencies",
                description="How many requests took how long, from their intended start.",
                unit=units.Seconds,
                queries=(
                    Query(
                        promql=(
                            "sum by (le) (increase("
                            f"loadgen_request_duration_seconds_bucket{{{_CHOSEN}}}{_RATE}))"
                        ),
                        legend="{{le}}",
                        format=PromQueryFormat.HEATMAP,
                    ),
                ),
                width=12,
                height=9,
            ),
        ),
        graph(
            Panel(
                title="Latency by operation, p95",
                description=(
                    "Of all workers together: their histograms are added up, never their "
                    "percentiles."
                ),
                unit=units.Seconds,
                queries=(
                    Query(
                        promql=(
                            "histogram_quantile(0.95, "
                            + _rate("loadgen_request_duration_seconds_bucket", by="le, operation")
                            + ")"
                        ),
                        legend="{{operation}}",
                    ),
                ),
                width=12,
                height=9,
            ),
        ),
        graph(
            Panel(
                title="In flight",
                description="Requests sent and not over, by operation; streams until their end.",
                unit=units.Short,
                queries=(
                    Query(
                        promql=f"sum by (operation) (loadgen_inflight_requests{{{_CHOSEN}}})",
                        legend="{{operation}}",
                    ),
                ),
            ),
            stacked=True,
        ),
        graph(
            Panel(
                title="Waiting for an answer",
                description=(
                    "Arrivals without an answer, sent or not, that are older than so many seconds."
                ),
                unit=units.Short,
                queries=(
                    Query(
                        promql=(
                            "sum by (older_than_seconds) (loadgen_unanswered_requests"
                            f'{{{_CHOSEN},older_than_seconds=~"0.1|0.5|1.0|3.0"}})'
                        ),
                        legend="older than {{older_than_seconds}} s",
                    ),
                ),
            ),
        ),
        graph(
            Panel(
                title="Streams: first token, p95",
                description="From the sending of the request to its first token.",
                unit=units.Seconds,
                queries=(
                    Query(
                        promql=(
                            "histogram_quantile(0.95, "
                            + _rate("loadgen_first_byte_seconds_bucket", by="le, operation")
                            + ")"
                        ),
                        legend="{{operation}}",
                    ),
                ),
            ),
        ),
        number(
            Panel(
                title="Acknowledged messages",
                description="That the app told clients it had stored, in the time shown.",
                unit=units.Short,
                queries=(
                    Query(
                        promql=(
                            "sum(increase(loadgen_acknowledged_writes_total"
                            f"{{{_CHOSEN}}}[$__range]))"
                        ),
                        newest=True,
                    ),
                ),
                width=12,
                height=4,
                more="ratchet-postgres",
            ),
        ),
        number(
            Panel(
                title="Load generators at work",
                description="Among how many the load is divided; more are started with --scale.",
                unit=units.Short,
                queries=(
                    Query(promql='count(loadgen_load_parts{job="loadgen"} > 0)', newest=True),
                ),
                width=12,
                height=4,
            ),
        ),
    ),
)

LOAD = Page(
    uid="ratchet-load",
    title="Load generator",
    description="What load is offered, what do clients see, and did the generator keep up?",
    sections=(_NOW, _OFFERED, _LATENCY),
    variables=(
        Variable(
            name="behaviour",
            title="Behaviour",
            description="What the simulated users do.",
            series='loadgen_requests_offered_total{job="loadgen"}',
            label="behaviour",
        ),
        Variable(
            name="operation",
            title="Operation",
            description="What they ask the app for, by the app's own names.",
            series='loadgen_requests_offered_total{job="loadgen",behaviour=~"$behaviour"}',
            label="operation",
        ),
    ),
)
