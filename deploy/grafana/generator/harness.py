"""Whether the harness itself is whole: a section of the campaign's dashboard."""

from __future__ import annotations

from grafana_foundation_sdk.models import units

from deploy.grafana.generator.looks import BAD, WARNING, Word
from deploy.grafana.generator.page import Section
from deploy.grafana.generator.panels import Panel, graph, timeline
from deploy.grafana.generator.queries import Query

HARNESS = Section(
    title="The harness itself",
    panels=(
        timeline(
            Panel(
                title="Exporters",
                description="Whether Prometheus reaches them; without one its panels are blank.",
                unit=units.String,
                queries=(
                    Query(promql="min by (job, instance) (up)", legend="{{job}} {{instance}}"),
                ),
            ),
            meanings={0: Word(text="gone", color=BAD), 1: Word(text="there", color="green")},
        ),
        graph(
            Panel(
                title="Events",
                description="What the controller put into the journal, but for its own clock.",
                unit=units.CountsPerSecond,
                queries=(
                    Query(
                        promql=(
                            "sum by (kind) "
                            '(rate(ratchet_events_total{kind!="evaluated"}[$__rate_interval])) > 0'
                        ),
                        legend="{{kind}}",
                    ),
                ),
            ),
        ),
        graph(
            Panel(
                title="Webhook",
                description=(
                    "Notices of tickets in the time shown: acknowledged by the receiver, attempts "
                    "that were not, and what still waits. Blank without a webhook."
                ),
                unit=units.Short,
                queries=(
                    Query(
                        promql="round(sum(increase(ratchet_webhook_deliveries_total[$__range])))",
                        legend="acknowledged",
                    ),
                    Query(
                        promql="round(sum(increase(ratchet_webhook_failures_total[$__range])))",
                        legend="failed attempts",
                    ),
                    Query(promql="max(ratchet_webhook_backlog)", legend="waiting"),
                ),
                colors={"failed attempts": BAD, "waiting": WARNING},
            ),
            steps=True,
        ),
    ),
)
