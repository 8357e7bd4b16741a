"""What happened when: marks on every graph, read off series like everything else."""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery

from deploy.grafana.generator.datasource import PROMETHEUS


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """Marks of one kind. The texts may say `{{label}}`."""

    name: str
    promql: str
    title: str
    color: str
    text: str = ""
    #: labels that become tags
    tags: tuple[str, ...] = ()
    #: the value is the time of a mark, epoch milliseconds; else a mark spans the time for which
    #: there is a value above zero
    at_value: bool = False
    #: of the query, a duration; values that are no further apart than it are one mark
    step: str = "5s"


def common_annotations() -> tuple[Annotation, ...]:
    return (_TRIALS, _TICKETS, _DEPLOYMENTS, _VERDICTS)


def annotation(wanted: Annotation) -> AnnotationQuery:
    return (
        AnnotationQuery()
        .name(wanted.name)
        .datasource(PROMETHEUS)
        .enable(enable=True)
        .hide(hide=False)
        .icon_color(wanted.color)
        .expr(wanted.promql)
        .title_format(wanted.title)
        .text_format(wanted.text)
        .tag_keys(",".join(wanted.tags))
        .step(wanted.step)
        .use_value_for_time(use_value_for_time=wanted.at_value)
    )


_TRIALS = Annotation(
    name="Trials",
    promql="1000 * max by (trial) (ratchet_trial_started_timestamp_seconds)",
    title="Trial {{trial}} begins",
    color="blue",
    at_value=True,
)
_TICKETS = Annotation(
    name="Tickets",
    promql='count_values("trial", max(ratchet_trial_number) and max(ratchet_ticket_open) > 0)',
    title="Ticket open",
    text="of trial {{trial}}",
    tags=("trial",),
    color="orange",
)
_DEPLOYMENTS = Annotation(
    name="Deployments",
    promql="1000 * max by (trial, outcome) (ratchet_deployment_finished_timestamp_seconds)",
    title="Deployment: {{outcome}}",
    text="in trial {{trial}}",
    tags=("outcome",),
    color="purple",
    at_value=True,
    step="2s",
)
_VERDICTS = Annotation(
    name="Verdicts",
    promql="1000 * max by (trial, verdict) (ratchet_trial_ended_timestamp_seconds)",
    title="Trial {{trial}}: {{verdict}}",
    tags=("verdict",),
    color="green",
    at_value=True,
)
