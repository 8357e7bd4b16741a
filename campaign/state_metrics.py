"""What a campaign's state says, as Prometheus series: read off it whenever somebody scrapes.

All of it follows from the fold over the journal, so that a process that resumes a campaign shows
what the one before it did. What is not known, or is not so now, has no series: a trial has an end
only once it has one.

Whoever reaches the daemon can scrape it without a token, an operator of the kind `external` too. So
a trial is told by its number, and nothing here names its profile, which would give its cause away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from campaign.machine import Campaign
from campaign.model import Deployment, Status, TrialRecord, Verdict, at_least
from reports.spending import of_all
from reports.view import trials

_VERDICTS = tuple(verdict.__dataclass_fields__["kind"].default for verdict in get_args(Verdict))
#: how a deployment ended, or that it has not yet
_OUTCOMES = ("ok", "failed", "pending")

#: what a series of a trial is labelled by: its number, counted from 1
_TRIAL = ("trial",)

#: label values, then the sample's value
Samples = Iterable[tuple[Sequence[str], float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """One metric, which is there without samples while there is nothing to say."""

    name: str
    text: str
    labels: tuple[str, ...] = ()
    samples: Samples = field(default=())

    def metric(self) -> Metric:
        family = GaugeMetricFamily(self.name, self.text, labels=self.labels)
        for values, value in self.samples:
            family.add_metric(list(values), value)
        return family


class CampaignState(Collector):
    """The newest state; a collector for the caller's registry."""

    def __init__(self) -> None:
        self._campaign: Campaign | None = None

    def observe(self, campaign: Campaign) -> None:
        self._campaign = campaign

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        campaign = self._campaign
        of = (_of_campaign, _of_trial, _of_ticket, _of_session, _of_invariants)
        for family in (family for part in of for family in part(campaign)):
            yield family.metric()


def _of_campaign(campaign: Campaign | None) -> Iterator[_Family]:
    records = () if campaign is None else trials(campaign)
    ended = Counter[str](record.verdict.kind for record in records if record.verdict is not None)
    yield _Family(
        name="ratchet_campaign_trials",
        text=f"Trials of the campaign that ended, by verdict: {', '.join(_VERDICTS)}.",
        labels=("verdict",),
        samples=_counts(_VERDICTS, ended) if campaign else (),
    )
    yield _Family(
        name="ratchet_campaign_planned_trials",
        text="Trials that the campaign consists of.",
        samples=_one(len(campaign.plan.profiles)) if campaign else (),
    )
    yield _Family(
        name="ratchet_campaign_tickets",
        text="Tickets that the campaign has opened.",
        samples=_one(sum(record.ticket is not None for record in records)) if campaign else (),
    )
    deployed = Counter(_outcome(each) for record in records for each in record.deployments)
    yield _Family(
        name="ratchet_campaign_deployments",
        text="Deployments that operators asked for in the campaign, by outcome: "
        f"{', '.join(_OUTCOMES)}.",
        labels=("outcome",),
        samples=_counts(_OUTCOMES, deployed) if campaign else (),
    )
    yield _Family(
        name="ratchet_campaign_sessions",
        text="Operators' sessions that the campaign has begun.",
        samples=_one(sum(record.sessions for record in records)) if campaign else (),
    )
    yield _Family(
        name="ratchet_campaign_faults",
        text="Faults of the harness that are on record of the campaign's trials.",
        samples=_one(sum(len(record.faults) for record in records)) if campaign else (),
    )
    yield _Family(
        name="ratchet_campaign_spent_turns",
        text="Turns that all sessions are known to have taken.",
        samples=_one(at_least(of_all(records)).turns) if campaign else (),
    )


def _of_trial(campaign: Campaign | None) -> Iterator[_Family]:
    records = trials(campaign) if campaign else ()
    yield _Family(
        name="ratchet_trial_started_timestamp_seconds",
        text="When each trial of the campaign began.",
        labels=_TRIAL,
        samples=[(_trial(each), each.started_at) for each in records],
    )
    yield _Family(
        name="ratchet_trial_ended_timestamp_seconds",
        text="When each trial of the campaign got its verdict, absent until it has one: "
        f"{', '.join(_VERDICTS)}.",
        labels=(*_TRIAL, "verdict"),
        samples=[
            ((*_trial(each), each.verdict.kind), each.ended_at)
            for each in records
            if each.verdict is not None and each.ended_at is not None
        ],
    )
    yield _Family(
        name="ratchet_trial_time_to_detect_seconds",
        text="From each trial's full load to its violation; absent until there is one.",
        labels=_TRIAL,
        samples=_known((_trial(each), each.time_to_detect_s) for each in records),
    )
    yield _Family(
        name="ratchet_trial_time_to_repair_seconds",
        text="From each trial's violation to the start of its clean period; absent until then.",
        labels=_TRIAL,
        samples=_known((_trial(each), each.time_to_repair_s) for each in records),
    )


def _of_ticket(campaign: Campaign | None) -> Iterator[_Family]:
    trial = campaign.trial if campaign else None
    records = trials(campaign) if campaign else ()
    yield _Family(
        name="ratchet_ticket_open",
        text="Whether the trial at hand has a ticket and no verdict yet.",
        samples=_one(trial.ticket is not None and trial.verdict is None if trial else None),
    )
    yield _Family(
        name="ratchet_ticket_opened_timestamp_seconds",
        text="When each ticket of the campaign was opened.",
        labels=_TRIAL,
        samples=_known(
            (_trial(each), each.ticket.opened_at if each.ticket else None) for each in records
        ),
    )
    yield _Family(
        name="ratchet_deployment_finished_timestamp_seconds",
        text="When a deployment of each trial last ended, absent until one has, by outcome: "
        "ok, failed.",
        labels=(*_TRIAL, "outcome"),
        samples=[
            ((*_trial(each), outcome), at)
            for each in records
            for outcome, at in _last_finished(each.deployments).items()
        ],
    )


def _of_session(campaign: Campaign | None) -> Iterator[_Family]:
    """Of the newest session of the trial at hand."""
    spends = campaign.trial.spends if campaign else ()
    spend = spends[-1] if spends else None
    yield _Family(
        name="ratchet_session_spent_turns",
        text="Turns that the newest session of the trial at hand has taken; absent: there is none.",
        samples=_one(spend.turns if spend else None),
    )
    yield _Family(
        name="ratchet_session_spent_tokens",
        text="Tokens that the newest session of the trial at hand has used; absent: unknown.",
        samples=_one(spend.tokens if spend else None),
    )
    yield _Family(
        name="ratchet_session_spent_dollars",
        text="US dollars that the newest session of the trial at hand has cost; absent: unknown.",
        samples=_one(spend.usd if spend else None),
    )


def _of_invariants(campaign: Campaign | None) -> Iterator[_Family]:
    yield _Family(
        name="ratchet_invariant_info",
        text="1 for each invariant of the campaign, with its title, its kind (performance, "
        "availability, resource, correctness) and its unit (ratio, count, bytes, seconds).",
        labels=("invariant", "kind", "unit", "title"),
        samples=[
            ((each.id, each.kind, each.unit, each.title), 1)
            for each in (campaign.invariants if campaign else ())
        ],
    )
    readings = campaign.readings if campaign else ()
    yield _Family(
        name="ratchet_invariant_status",
        text="1 for what an invariant was last judged to be, 0 for the others: "
        f"{', '.join(Status)}.",
        labels=("invariant", "status"),
        samples=[
            ((reading.invariant, status), float(reading.status == status))
            for reading in readings
            for status in Status
        ],
    )


def _counts(keys: Iterable[str], counted: Mapping[str, int]) -> Samples:
    """All of them, so that none appears out of nothing."""
    return [((key,), counted.get(key, 0)) for key in keys]


def _one(value: float | None) -> Samples:
    return () if value is None else [((), value)]


def _known(samples: Iterable[tuple[Sequence[str], float | None]]) -> Samples:
    return [(labels, value) for labels, value in samples if value is not None]


def _trial(record: TrialRecord) -> tuple[str]:
    return (str(record.index + 1),)


def _outcome(deployment: Deployment) -> str:
    if deployment.ok is None:
        return "pending"
    return "ok" if deployment.ok else "failed"


def _last_finished(deployments: Sequence[Deployment]) -> dict[str, float]:
    """Epoch seconds by outcome."""
    ends: dict[str, float] = {}
    for each in deployments:
        if each.finished_at is not None:
            ends[_outcome(each)] = max(each.finished_at, ends.get(_outcome(each), 0.0))
    return ends
