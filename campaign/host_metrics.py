"""The daemon's own metrics (the probes' are beside them, in the same registry)."""

from __future__ import annotations

import math
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

from campaign.machine import Campaign
from campaign.model import Event, Phase, Verdict, at_least, offered_hz
from campaign.operator_metrics import OperatorMetrics
from campaign.state_metrics import CampaignState
from reports.spending import of_all
from reports.view import trials


def _kinds(union: object) -> tuple[str, ...]:
    return tuple(one.__dataclass_fields__["kind"].default for one in get_args(union))


#: all that the labels `phase`, `verdict` and `kind` can say
_PHASES, _VERDICTS, _EVENTS = _kinds(Phase), _kinds(Verdict), _kinds(Event)


class HostMetrics:
    """An observer that keeps the campaign's state as metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._phase = Gauge(
            "ratchet_campaign_phase",
            f"1 for the phase that the campaign is in, 0 for the others: {', '.join(_PHASES)}.",
            ["phase"],
            registry=registry,
        )
        self._trial = Gauge(
            "ratchet_trial_number",
            "The trial that is under way, counted from 1.",
            registry=registry,
        )
        self._offered = Gauge(
            "ratchet_offered_load_hertz",
            "Requests per second that the load generator was told to offer.",
            registry=registry,
        )
        self._events = Counter(
            "ratchet_events",
            "Events that were journaled, by kind.",
            ["kind"],
            registry=registry,
        )
        self._verdicts = Counter(
            "ratchet_trials",
            f"Trials that ended, by verdict: {', '.join(_VERDICTS)}.",
            ["verdict"],
            registry=registry,
        )
        self._tokens = Gauge(
            "ratchet_campaign_spent_tokens",
            "Tokens that all sessions are known to have used; NaN while nothing is known.",
            registry=registry,
        )
        self._usd = Gauge(
            "ratchet_campaign_spent_dollars",
            "What all sessions are known to have cost in US dollars; NaN while nothing is known.",
            registry=registry,
        )
        self._state = CampaignState()
        registry.register(self._state)
        self._operator = OperatorMetrics(registry)
        # The first of a kind is an increase only if there was a zero before it.
        for kind in _EVENTS:
            self._events.labels(kind=kind)
        for verdict in _VERDICTS:
            self._verdicts.labels(verdict=verdict)

    def observe(self, before: Campaign | None, event: Event, after: Campaign) -> None:
        self._events.labels(kind=event.kind).inc()
        self._operator.observe(event)
        self._state.observe(after)
        self._trial.set(after.trial.index + 1)
        self._offered.set(offered_hz(after.load))
        for phase in _PHASES:
            self._phase.labels(phase=phase).set(phase == after.phase.kind)
        known = at_least(of_all(trials(after)))
        self._tokens.set(math.nan if known.tokens is None else known.tokens)
        self._usd.set(math.nan if known.usd is None else known.usd)
        ended = after.trial.verdict
        if ended is not None and (before is None or before.trial.verdict is None):
            self._verdicts.labels(verdict=ended.kind).inc()
