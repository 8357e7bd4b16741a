"""A campaign's state as series: what is known is told, and what is not has no series."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from campaign.host_metrics import HostMetrics
from campaign.machine import Campaign, fold, step
from campaign.model import ActionTaken, Event
from campaign.state_metrics import CampaignState
from campaign.testing import idler, nobody, spender
from tests.runs_kit import played


class Observed:
    """The daemon's registry, and the campaign that it was told of."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.campaign: Campaign | None = None
        self._metrics = HostMetrics(self.registry)

    def observe(self, events: Iterable[Event]) -> Observed:
        for event in events:
            before, self.campaign = self.campaign, step(self.campaign, event).campaign
            self._metrics.observe(before, event, self.campaign)
        return self

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def series(self, name: str) -> list[dict[str, str]]:
        return [
            sample.labels
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == name
        ]


def until(events: list[Event], kind: str) -> list[Event]:
    """Up to and with the first of that kind."""
    last = next(index for index, event in enumerate(events) if event.kind == kind)
    return events[: last + 1]


def test_before_the_first_event_nothing_is_known() -> None:
    registry = CollectorRegistry()
    registry.register(CampaignState())
    assert [sample for family in registry.collect() for sample in family.samples] == []


def test_what_the_journal_says_of_a_campaign_is_told() -> None:
    observed = Observed().observe(played(3))
    assert observed.value("ratchet_campaign_planned_trials") == 3
    assert observed.value("ratchet_campaign_trials", verdict="resolved") == 3
    assert observed.value("ratchet_campaign_trials", verdict="unresolved") == 0
    assert observed.value("ratchet_campaign_tickets") == 3
    assert observed.value("ratchet_campaign_deployments", outcome="ok") == 3
    assert observed.value("ratchet_campaign_sessions") == 3
    assert observed.value("ratchet_campaign_faults") == 0


def test_a_trial_has_an_end_once_it_has_a_verdict() -> None:
    events = played(1)
    ended = "ratchet_trial_ended_timestamp_seconds"
    assert Observed().observe(until(events, "session_ended")).series(ended) == []
    observed = Observed().observe(events)
    (labels,) = observed.series(ended)
    assert labels == {"trial": "1", "verdict": "resolved"}
    assert observed.campaign is not None
    assert observed.value(ended, **labels) == observed.campaign.trial.ended_at


def test_every_trial_keeps_its_times_and_only_one_is_at_hand() -> None:
    observed = Observed().observe(played(3))
    for name in ("started_timestamp", "ended_timestamp", "time_to_repair"):
        labels = observed.series(f"ratchet_trial_{name}_seconds")
        assert [each["trial"] for each in labels] == ["1", "2", "3"]
    assert observed.value("ratchet_trial_number") == 3


def test_a_ticket_is_open_until_the_verdict() -> None:
    events = played(1)
    assert Observed().observe(until(events, "stack_ready")).value("ratchet_ticket_open") == 0
    working = Observed().observe(until(events, "deployment_requested"))
    assert working.value("ratchet_ticket_open") == 1
    assert working.value("ratchet_campaign_deployments", outcome="pending") == 1
    assert Observed().observe(events).value("ratchet_ticket_open") == 0


def test_an_unresolved_trial_has_no_time_to_repair() -> None:
    observed = Observed().observe(played(1, operator=nobody))
    assert observed.value("ratchet_campaign_trials", verdict="unresolved") == 1
    assert observed.series("ratchet_trial_time_to_detect_seconds")
    assert observed.series("ratchet_trial_time_to_repair_seconds") == []
    assert observed.series("ratchet_deployment_finished_timestamp_seconds") == []


def test_what_a_session_spends_is_told_as_far_as_it_is_known() -> None:
    observed = Observed().observe(played(1, operator=spender))
    assert observed.value("ratchet_session_spent_turns") == 4
    assert observed.value("ratchet_session_spent_tokens") == 4_000
    assert observed.value("ratchet_session_spent_dollars") == 0.4
    assert observed.value("ratchet_campaign_spent_turns") == 4
    unknown = Observed().observe(played(1))
    assert unknown.series("ratchet_session_spent_tokens") == []
    assert unknown.series("ratchet_session_spent_dollars") == []


def test_each_invariant_has_one_status_and_says_what_it_is() -> None:
    observed = Observed().observe(until(played(1, operator=idler), "action_taken"))
    told = {each["invariant"]: each for each in observed.series("ratchet_invariant_info")}
    assert told["p0_latency"] == {
        "invariant": "p0_latency",
        "kind": "performance",
        "unit": "ratio",
        "title": "p0_latency stays low",
    }
    status = "ratchet_invariant_status"
    for invariant in told:
        values = [
            observed.value(status, **each)
            for each in observed.series(status)
            if each["invariant"] == invariant
        ]
        assert sorted(value or 0 for value in values) == [0, 0, 0, 1]
    assert observed.value(status, invariant="p0_latency", status="violated") == 1
    assert observed.value(status, invariant="canary", status="held") == 1


def test_a_process_that_resumes_shows_what_the_one_before_it_did() -> None:
    events = played(2, operator=spender)
    whole, resumed = Observed().observe(events), Observed()
    resumed.campaign = fold(events[:-1])
    resumed.observe(events[-1:])
    own = CampaignState()
    names = {family.name for family in own.collect()}
    for name in names:
        for labels in whole.series(name):
            assert resumed.value(name, **labels) == whole.value(name, **labels)
        assert len(resumed.series(name)) == len(whole.series(name))


def test_a_name_that_is_no_tools_is_counted_with_all_others_like_it() -> None:
    """Whoever calls tools may call them anything."""
    observed, events = Observed(), played(1)
    observed.observe(until(events, "action_taken"))
    (call,) = (event for event in until(events, "action_taken") if isinstance(event, ActionTaken))
    calls = "ratchet_operator_tool_calls_total"
    before = len(observed.series(calls))
    for number in range(50):
        invented = ActionTaken(
            at=call.at,
            trial=call.trial,
            ticket=call.ticket,
            session=call.session,
            tool=f"invented_{number}",
            arguments={},
            result="there is no such tool",
            is_error=True,
            duration_s=0.0,
        )
        observed.observe([invented])
    assert len(observed.series(calls)) == before
    assert observed.value(calls, tool="other", result="error") == 50
    assert observed.value(calls, tool="apply_patch", result="ok") == 1
    assert observed.value("ratchet_operator_edits_total") == 1
    assert observed.value("ratchet_operator_tool_duration_seconds_count", tool="other") == 50
