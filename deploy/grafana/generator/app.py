"""App: what the service says of itself. The operator can change that; clients are the judges."""

from __future__ import annotations

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.generator.looks import BAD, WARNING, Step, Word, thresholds
from deploy.grafana.generator.page import Page, Section
from deploy.grafana.generator.panels import LIMIT, Panel, buckets, graph, number, timeline
from deploy.grafana.generator.queries import Query
from deploy.grafana.generator.variables import Variable

_ROUTES = 'job="app",route=~"$route"'

_NOW = Section(
    title="How it is",
    panels=(
        timeline(
            Panel(
                title="Reachable",
                description="Whether it answers Prometheus. A redeployment should not show here.",
                unit=units.String,
                queries=(Query(promql='min(up{job="app"})', legend="app"),),
                width=12,
                height=4,
            ),
            meanings={0: Word(text="gone", color=BAD), 1: Word(text="there", color="green")},
        ),
        number(
            Panel(
                title="Running for",
                description="Since the process began that serves now: a deployment starts another.",
                unit=units.DurationSeconds,
                queries=(
                    Query(
                        promql='time() - max(process_start_time_seconds{job="app"})', newest=True
                    ),
                ),
                width=6,
                height=4,
                more="ratchet-operator",
            ),
        ),
        number(
            Panel(
                title="Refused or failed",
                description="Share of its answers that it calls an error of its own (5xx).",
                unit=units.PercentUnit,
                queries=(
                    Query(
                        # No answer of that kind yet is a true 0 while the app can be scraped.
                        promql=(
                            '(sum(rate(http_requests_total{job="app",status=~"5.."}'
                            "[$__rate_interval])) "
                            'or 0 * sum(rate(http_requests_total{job="app"}'
                            "[$__rate_interval]))) "
                            '/ sum(rate(http_requests_total{job="app"}[$__rate_interval]))'
                        ),
                        newest=True,
                    ),
                ),
                width=6,
                height=4,
            ),
            limits=thresholds(Step(value=0.001, color=WARNING), Step(value=0.02, color=BAD)),
        ),
    ),
)

_REQUESTS = Section(
    title="Requests",
    panels=(
        graph(
            Panel(
                title="Answers by route",
                description="Requests answered, by the route that they took.",
                unit=units.RequestsPerSecond,
                queries=(
                    Query(
                        promql=(
                            "sum by (method, route) "
                            f"(rate(http_requests_total{{{_ROUTES}}}[$__rate_interval]))"
                        ),
                        legend="{{method}} {{route}}",
                    ),
                ),
                width=12,
            ),
            stacked=True,
        ),
        graph(
            Panel(
                title="Answers by status",
                description="Requests answered, by the status of the answer.",
                unit=units.RequestsPerSecond,
                queries=(
                    Query(
                        promql=(
                            "sum by (status) "
                            f"(rate(http_requests_total{{{_ROUTES}}}[$__rate_interval]))"
                        ),
                        legend="{{status}}",
                    ),
                ),
                width=12,
            ),
            stacked=True,
        ),
        graph(
            Panel(
                title="Duration by route, p95",
                description=(
                    "From a request's headers to the end of its answer, as the app counts it: "
                    "what waits before it is accepted is not in it."
                ),
                unit=units.Seconds,
                queries=(
                    Query(
                        promql=(
                            "histogram_quantile(0.95, sum by (le, method, route) (rate("
                            f"http_request_duration_seconds_bucket{{{_ROUTES}}}"
                            "[$__rate_interval])))"
                        ),
                        legend="{{method}} {{route}}",
                    ),
                ),
                width=12,
            ),
        ),
        buckets(
            Panel(
                title="Durations",
                description="How many requests took how long, as the app counts it.",
                unit=units.Seconds,
                queries=(
                    Query(
                        promql=(
                            "sum by (le) (increase(http_request_duration_seconds_bucket"
                            f"{{{_ROUTES}}}[$__rate_interval]))"
                        ),
                        legend="{{le}}",
                        format=PromQueryFormat.HEATMAP,
                    ),
                ),
                width=12,
            ),
        ),
    ),
)

_RESOURCES = Section(
    title="What it uses",
    panels=(
        graph(
            Panel(
                title="In flight",
                description="Requests being served. A line that only climbs is a queue.",
                unit=units.Short,
                queries=(
                    Query(promql='sum(http_requests_in_flight{job="app"})', legend="being served"),
                ),
            ),
        ),
        graph(
            Panel(
                title="Database pool",
                description="Its open connections, and how many of them somebody uses.",
                unit=units.Short,
                queries=(
                    Query(promql='sum(db_pool_size{job="app"})', legend=LIMIT),
                    Query(
                        promql='sum(db_pool_size{job="app"}) - sum(db_pool_idle{job="app"})',
                        legend="in use",
                    ),
                ),
                more="ratchet-postgres",
            ),
        ),
        graph(
            Panel(
                title="Processor",
                description="Cores that it uses; a process of Python hardly uses a second one.",
                unit=units.Short,
                queries=(
                    Query(
                        promql='sum(rate(process_cpu_seconds_total{job="app"}[$__rate_interval]))',
                        legend="cores",
                    ),
                ),
            ),
        ),
        graph(
            Panel(
                title="Memory",
                description="Resident memory of the process.",
                unit=units.BytesIEC,
                queries=(
                    Query(
                        promql='sum(process_resident_memory_bytes{job="app"})', legend="resident"
                    ),
                ),
                width=12,
            ),
        ),
        graph(
            Panel(
                title="Open files",
                description="File descriptors in use, connections among them, and how many it may.",
                unit=units.Short,
                queries=(
                    Query(promql='sum(process_open_fds{job="app"})', legend="open"),
                    Query(promql='sum(process_max_fds{job="app"})', legend=LIMIT),
                ),
                width=12,
            ),
        ),
    ),
)

APP = Page(
    uid="ratchet-app",
    title="App",
    description="What does the service under load say of itself, and what does it use?",
    sections=(_NOW, _REQUESTS, _RESOURCES),
    variables=(
        Variable(
            name="route",
            title="Route",
            description="The app's routes, as it names them itself.",
            series='http_requests_total{job="app"}',
            label="route",
        ),
    ),
)
