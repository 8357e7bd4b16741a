from __future__ import annotations

from prometheus_client import CollectorRegistry

from campaign.adapters.instruments.metric_names import is_of_the_harness, is_seen
from campaign.host_metrics import HostMetrics
from campaign.machine import Campaign, step
from tests.runs_kit import played


def test_a_whole_campaign_is_counted() -> None:
    registry = CollectorRegistry()
    metrics, campaign = HostMetrics(registry), None
    events = played(3)
    for event in events:
        before: Campaign | None = campaign
        campaign = step(before, event).campaign
        metrics.observe(before, event, campaign)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("ratchet_trials_total", verdict="resolved") == 3
    assert value("ratchet_trial_number") == 3
    assert value("ratchet_campaign_phase", phase="finished") == 1
    assert value("ratchet_campaign_phase", phase="repairing") == 0
    evaluations = sum(event.kind == "evaluated" for event in events)
    assert value("ratchet_events_total", kind="evaluated") == evaluations
    # The base load of 12 users, and what three survived trials have added.
    assert value("ratchet_offered_load_hertz") == 12 * 0.5 + 3 * 0.5


def test_none_of_it_is_shown_to_operators() -> None:
    """What was spent, for instance, and how many trials there are."""
    registry = CollectorRegistry()
    HostMetrics(registry)
    names = {family.name for family in registry.collect()}
    names |= {sample.name for family in registry.collect() for sample in family.samples}
    assert "ratchet_campaign_spent_tokens" in names
    for name in names:
        assert not is_seen(name)
        assert is_of_the_harness(name)
