from __future__ import annotations

import math
from dataclasses import replace

import pytest

from campaign.machine import Campaign, step
from campaign.model import (
    Deployment,
    Disturbed,
    Evaluated,
    Event,
    Healing,
    LatencyLimit,
    LoadApplied,
    Phase,
    Reading,
    Recovering,
    Repairing,
    Status,
    Timings,
)
from campaign.orders import read_catalogue
from campaign.testing import Simulation, World, make_invariant, make_plan, mender, simulate
from campaign.verification import Measured, Watcher, measure, tightest, worst_values
from chaos_profiles import calibrated, rules_yaml
from chaos_profiles.quantiles import p95_gauge, p95_name

LIMIT = 0.06
DISTURBED = Disturbed(since=90.0, load_id="t0-full", applied_at=95.0)
REPAIRING = Repairing(since=99.0, session=1, deadline=1e9)
RECOVERING = Recovering(since=101.0)


def measured(value: float | None, *, limit: float = LIMIT) -> Measured:
    return Measured(invariant="x", unit="ratio", limit=limit, value=value)


@pytest.mark.parametrize(
    ("value", "limit", "margin"),
    [(0.02, 0.06, 3.0), (0.12, 0.06, 0.5), (0.0, 0.06, math.inf), (0.0, 0.0, math.inf), (3, 0, 0)],
)
def test_the_margin_is_the_limit_over_the_value(value: float, limit: float, margin: float) -> None:
    assert measured(value, limit=limit).margin == pytest.approx(margin)


def test_the_margin_of_a_latency_is_its_limit_over_the_p95() -> None:
    latency = replace(measured(0.0), latency_limit_s=0.3, p95_s=0.06)
    assert latency.margin == pytest.approx(5.0)
    assert replace(latency, p95_s=None).margin is None
    assert replace(latency, value=0.6).margin == pytest.approx(0.1)


def test_what_was_never_measured_has_no_margin_and_is_not_broken() -> None:
    assert measured(None).margin is None
    assert not measured(None).broken
    assert not measured(LIMIT).broken
    assert measured(0.07).broken


def test_the_closest_of_what_is_not_named_is_the_one_with_the_least_room() -> None:
    profile = make_plan(1).profiles[0]
    named = replace(make_invariant(profile.breaks[0]), latency_limit_s=0.3)
    near, far, idle = (
        replace(make_invariant(name), latency_limit_s=0.3) for name in ("near", "far", "idle")
    )
    invariants = {one.id: one for one in (named, near, far, idle)}
    p95s = {p95_name(named.id): 0.29, p95_name("near"): 0.2, p95_name("far"): 0.1}
    found = tightest(profile, invariants, p95s)
    assert found is not None
    assert found.invariant == "near"
    assert found.room == pytest.approx(1.5)
    assert tightest(profile, invariants, {}) is None


def reading(value: float | None, *, status: Status = Status.HELD) -> Reading:
    return Reading(
        invariant="p0_latency", status=status, value=value, limit=LIMIT, measured_at=100.0
    )


def watch(
    phase: Phase, *readings: Reading, event: Event | None = None, deployed: bool = False
) -> Watcher:
    campaign = simulate(make_plan(1))
    done = Deployment(id="d", revision="r", requested_at=99.0, finished_at=99.5, ok=True)
    deployments = (done,) if deployed else ()
    campaign = campaign.evolve(phase=phase).with_trial(full_load_at=95.0, deployments=deployments)
    watcher = Watcher()
    watcher(campaign, event or Evaluated(at=101.0, trial=0), campaign.evolve(readings=readings))
    return watcher


@pytest.mark.parametrize("phase", [DISTURBED, REPAIRING, RECOVERING])
@pytest.mark.parametrize("status", [Status.HELD, Status.VIOLATED])
def test_what_is_measured_at_full_load_is_kept(phase: Phase, status: Status) -> None:
    seen = reading(0.3, status=status)
    assert list(watch(phase, seen).of(0)) == [seen]


@pytest.mark.parametrize("status", [Status.UNKNOWN, Status.IDLE])
def test_what_is_not_known_is_no_reading(status: Status) -> None:
    assert list(watch(DISTURBED, reading(0.9, status=status)).of(0)) == []


def test_nothing_counts_once_something_else_runs() -> None:
    assert list(watch(REPAIRING, reading(0.9), deployed=True).of(0)) == []


def test_nothing_counts_outside_of_full_load_or_twice() -> None:
    healing = Healing(since=90.0, load_id="t0-heal")
    assert list(watch(healing, reading(0.9)).of(0)) == []
    applied = LoadApplied(at=101.0, trial=0, load_id="x")
    assert list(watch(DISTURBED, reading(0.9), event=applied).of(0)) == []


def test_each_trial_is_kept_apart_up_to_its_first_deployment() -> None:
    plan, journal = make_plan(2, mode="isolated"), list[Event]()
    Simulation(World(plan=plan), journal, operator=mender).run()
    watcher, campaign = Watcher(), None
    for event in journal:
        before: Campaign | None = campaign
        campaign = step(campaign, event).campaign
        watcher(before, event, campaign)
    assert campaign is not None
    invariants = {one.id: one for one in campaign.invariants}
    for record, profile in zip(campaign.done, plan.profiles, strict=True):
        since = (record.full_load_at or 0.0) + plan.timings.warm_up_s
        (found,) = measure(profile, invariants, worst_values(watcher.of(record.index), since=since))
        assert found.broken
        deployed_at = record.last_deployed_at
        assert deployed_at is not None
        assert max(r.measured_at or 0 for r in watcher.of(record.index)) <= deployed_at


def test_a_gauge_measures_the_requests_of_its_invariant_and_judges_nothing() -> None:
    plain = make_invariant("history")
    assert p95_gauge(plain) is None
    latency = replace(
        plain,
        select='behaviour="reader"',
        latency=LatencyLimit(floor_s=0.3, times_calibrated=20),
    )
    gauge = p95_gauge(latency)
    assert gauge is not None
    assert gauge.id == "history_p95"
    assert gauge.unit == "seconds"
    assert gauge.limit > 1e5
    assert (
        'loadgen_request_duration_seconds_bucket{job="loadgen",behaviour="reader"}' in gauge.value
    )
    assert (gauge.samples, gauge.offered) == (latency.samples, latency.offered)


def test_the_gauges_of_the_real_invariants_make_rules() -> None:
    """What they rest on needs the same `$L` as their invariants."""
    invariants = read_catalogue().invariants
    gauges = [gauge for gauge in map(p95_gauge, invariants) if gauge is not None]
    assert len(gauges) == len([one for one in invariants if one.latency is not None])
    text = rules_yaml(calibrated((*invariants, *gauges), 0.004), Timings())
    assert all(f"invariant: {gauge.id}" in text for gauge in gauges)
