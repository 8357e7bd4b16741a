"""SLOs: each invariant against its limit, as it is judged and as it alerts."""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from campaign.model import GeneratorLimits
from deploy.grafana.generator.annotations import Annotation
from deploy.grafana.generator.looks import (
    BAD,
    STATUS_COLORS,
    WARNING,
    Step,
    Word,
    coded,
    numbered,
    thresholds,
)
from deploy.grafana.generator.page import Page, Section
from deploy.grafana.generator.panels import LIMIT, Panel, graph, number, timeline
from deploy.grafana.generator.queries import Query
from deploy.grafana.generator.tables import Column, table
from deploy.grafana.generator.variables import Variable

_LIMITS = GeneratorLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measure:
    """Invariants that are told in the same unit share a section: a panel has one unit."""

    #: as in an invariant's definition, and what the variable is called
    unit: str
    title: str
    #: Grafana's
    shown_as: str
    highest: float | None = None


#: every unit that an invariant can have, and that one of a bundled target has
MEASURES = (
    _Measure(unit="ratio", title="Shares", shown_as=units.PercentUnit),
    _Measure(unit="count", title="Counts", shown_as=units.Short),
    _Measure(unit="bytes", title="Sizes", shown_as=units.BytesSI),
)


def _each(measure: _Measure) -> Section:
    chosen = f'{{invariant=~"${measure.unit}"}}'
    panel = Panel(
        title=f"${measure.unit}",
        description=(
            "What the invariant is judged by, and its limit. The value is missing while the load "
            "gives nothing to judge by, or while its source is silent: that is never a pass."
        ),
        unit=measure.shown_as,
        queries=(
            Query(promql=f"max by (invariant) (ratchet:invariant_value{chosen})", legend="value"),
            Query(promql=f"max by (invariant) (ratchet:invariant_limit{chosen})", legend=LIMIT),
        ),
        width=8,
        height=7,
        repeat=measure.unit,
    )
    return Section(title=measure.title, panels=(graph(panel),))


def _of(measure: _Measure) -> Variable:
    return Variable(
        name=measure.unit,
        title=measure.title,
        description=f"Invariants that are told as {measure.title.lower()}: a panel each.",
        series=f'ratchet_invariant_info{{unit="{measure.unit}"}}',
        label="invariant",
        everything=None,
    )


def _newest(promql: str) -> Query:
    return Query(promql=promql, newest=True, format=PromQueryFormat.TABLE)


_NOW = Section(
    title="What holds",
    panels=(
        number(
            Panel(
                title="Judged now",
                description=(
                    "How many invariants the controller last judged to be what. Unknown is no "
                    "pass; idle: too little of that load is offered to say anything."
                ),
                unit=units.Short,
                queries=(
                    Query(
                        promql="sum by (status) (ratchet_invariant_status)",
                        legend="{{status}}",
                        newest=True,
                    ),
                ),
                width=10,
                height=4,
                colors=STATUS_COLORS,
            ),
        ),
        number(
            Panel(
                title="Generator's lag",
                description=(
                    "How much too late the load generator woke up, at worst, in the window. Above "
                    "the limit what it measured is worth nothing, and a trial inconclusive."
                ),
                unit=units.Seconds,
                queries=(Query(promql="max(ratchet:generator_lag_seconds)", newest=True),),
                width=7,
                height=4,
                more="ratchet-load",
            ),
            limits=thresholds(
                Step(value=_LIMITS.max_lag_s / 2, color=WARNING),
                Step(value=_LIMITS.max_lag_s, color=BAD),
            ),
        ),
        number(
            Panel(
                title="Generator's processor",
                description="Share of one core that the busiest worker used in the window.",
                unit=units.PercentUnit,
                queries=(Query(promql="max(ratchet:generator_cpu_ratio)", newest=True),),
                width=7,
                height=4,
                more="ratchet-load",
            ),
            limits=thresholds(Step(value=_LIMITS.max_cpu_ratio, color=WARNING)),
        ),
        timeline(
            Panel(
                title="As the controller judged",
                description="Each invariant over time. This is what verdicts rest on.",
                unit=units.String,
                queries=(
                    Query(
                        promql=coded(
                            "ratchet_invariant_status",
                            "status",
                            tuple(STATUS_COLORS),
                            by="invariant",
                        ),
                        legend="{{invariant}}",
                    ),
                ),
                width=24,
                height=14,
            ),
            meanings=numbered(STATUS_COLORS),
        ),
        timeline(
            Panel(
                title="As Prometheus alerted",
                description=(
                    "The alert InvariantViolated of each invariant: pending for one evaluation, "
                    "then firing. Nothing is shown of those that never violated."
                ),
                unit=units.String,
                queries=(
                    Query(
                        promql=(
                            "max by (invariant) ("
                            '2 * ALERTS{alertname="InvariantViolated",alertstate="firing"} or '
                            'ALERTS{alertname="InvariantViolated",alertstate="pending"})'
                        ),
                        legend="{{invariant}}",
                    ),
                ),
                width=24,
                height=8,
            ),
            meanings={
                1: Word(text="pending", color=WARNING),
                2: Word(text="firing", color=BAD),
            },
        ),
        table(
            Panel(
                title="Invariants",
                description=(
                    "What each invariant says, its value now and its limit (in the unit beside "
                    "them), and on how many observations it rests of how many that were due."
                ),
                unit=units.NoUnit,
                queries=(
                    _newest("max by (invariant, title, kind, unit) (ratchet_invariant_info)"),
                    _newest("max by (invariant) (ratchet:invariant_value)"),
                    _newest("max by (invariant) (ratchet:invariant_limit)"),
                    _newest("max by (invariant) (ratchet:invariant_samples)"),
                    _newest("max by (invariant) (ratchet:invariant_offered)"),
                ),
                width=24,
                height=14,
            ),
            joined_by="invariant",
            columns=(
                Column(source="invariant", title="invariant"),
                Column(source="title", title="violated when"),
                Column(source="kind", title="kind"),
                Column(source="Value #B", title="value", unit=units.Short),
                Column(source="Value #C", title="limit", unit=units.Short),
                Column(source="unit", title="in"),
                Column(source="Value #D", title="observed", unit=units.Short),
                Column(source="Value #E", title="due", unit=units.Short),
            ),
        ),
    ),
)

_ALERTS = Annotation(
    name="Alerts",
    promql='max by (invariant) (ALERTS{alertname="InvariantViolated",alertstate="firing"})',
    title="{{invariant}}",
    text="InvariantViolated fires",
    tags=("invariant",),
    color=BAD,
)

SLOS = Page(
    uid="ratchet-slos",
    title="SLOs",
    description="Which invariants hold, how close are the others to their limits, what alerts?",
    sections=(_NOW, *(_each(measure) for measure in MEASURES)),
    variables=tuple(_of(measure) for measure in MEASURES),
    annotations=(_ALERTS,),
)
