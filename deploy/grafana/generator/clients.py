"""The load in a few graphs, as clients see it: a section of the campaign's dashboard."""

from __future__ import annotations

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.generator.looks import BAD
from deploy.grafana.generator.page import Section
from deploy.grafana.generator.panels import Panel, buckets, graph
from deploy.grafana.generator.queries import Query

_REQUESTS = 'job="loadgen",behaviour=~"$behaviour"'

#: needs the variable `behaviour`
CLIENTS = Section(
    title="Load, as clients see it",
    panels=(
        graph(
            Panel(
                title="Requests",
                description=(
                    "Told: what the controller asked the generator for. Scheduled: arrivals. "
                    "Answered below scheduled: the app lags, or the generator does."
                ),
                unit=units.RequestsPerSecond,
                queries=(
                    Query(promql="max(ratchet_offered_load_hertz)", legend="told"),
                    Query(
                        promql=(
                            "sum(rate(loadgen_requests_offered_total"
                            f"{{{_REQUESTS}}}[$__rate_interval]))"
                        ),
                        legend="scheduled",
                    ),
                    Query(
                        promql=(
                            "sum(rate(loadgen_request_duration_seconds_count"
                            f"{{{_REQUESTS}}}[$__rate_interval]))"
                        ),
                        legend="answered",
                    ),
                    Query(
                        promql=(
                            "sum(rate(loadgen_request_errors_total"
                            f"{{{_REQUESTS}}}[$__rate_interval]))"
                        ),
                        legend="failed",
                    ),
                ),
                width=12,
                colors={"told": "text", "answered": "green", "failed": BAD},
                more="ratchet-load",
            ),
        ),
        graph(
            Panel(
                title="Latency",
                description=(
                    "From the intended start of a request to its answer, of all workers together. "
                    "Interpolated within buckets: verdicts count requests above an edge instead."
                ),
                unit=units.Seconds,
                queries=tuple(
                    Query(
                        promql=(
                            f"histogram_quantile({share}, sum by (le) (rate("
                            "loadgen_request_duration_seconds_bucket"
                            f"{{{_REQUESTS}}}[$__rate_interval])))"
                        ),
                        legend=legend,
                    )
                    for share, legend in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
                ),
                width=12,
                more="ratchet-load",
            ),
        ),
        buckets(
            Panel(
                title="Request latencies",
                description=(
                    "How many requests took how long: the stronger the colour, the more. Time "
                    "counts from the intended start, so that a queue shows."
                ),
                unit=units.Seconds,
                queries=(
                    Query(
                        promql=(
                            "sum by (le) (increase(loadgen_request_duration_seconds_bucket"
                            f"{{{_REQUESTS}}}[$__rate_interval]))"
                        ),
                        legend="{{le}}",
                        format=PromQueryFormat.HEATMAP,
                    ),
                ),
                width=24,
                height=10,
            ),
        ),
    ),
)
