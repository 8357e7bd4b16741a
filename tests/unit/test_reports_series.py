"""One pass over the journal: phases, loads, judgements, markers, what was measured when."""

from __future__ import annotations

from itertools import pairwise

import pytest

from campaign.machine import fold, step
from campaign.model import Evaluated, Event, Status
from reports import History, TrialHistory, history
from reports.actions import acts
from reports.charts import chart_data, charts
from reports.loads import dimensions, heatmap
from reports.markers import markers
from reports.measured import measured, worst
from tests import specimen


@pytest.fixture(scope="module")
def journal() -> list[Event]:
    return specimen.journal()


@pytest.fixture(scope="module")
def whole(journal: list[Event]) -> History:
    return history(journal, step)


@pytest.fixture(scope="module")
def first(whole: History) -> TrialHistory:
    return whole.trials[0]


def test_an_empty_journal_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        history([], step)


def test_the_fold_ends_where_the_machine_ends(journal: list[Event], whole: History) -> None:
    assert fold(journal) == whole.campaign


def test_a_trials_phases_follow_each_other_without_a_hole(first: TrialHistory) -> None:
    names = [span.name for span in first.spans]

    assert names == [
        "preparing",
        "baseline",
        "growing",
        "disturbed",
        "repairing",
        "recovering",
        "confirming at base load",
        "confirming at full load",
        "auditing",
        "healing",
    ]
    assert all(one.until == other.since for one, other in pairwise(first.spans))


def test_every_judged_evaluation_of_a_trial_is_kept(
    journal: list[Event], first: TrialHistory
) -> None:
    evaluated = [event for event in journal if isinstance(event, Evaluated) and event.trial == 0]

    assert [event.at for event in evaluated] == [judgement.at for judgement in first.judgements]


def test_what_could_not_be_measured_is_unknown_and_draws_no_line(
    whole: History, first: TrialHistory
) -> None:
    blind_from, blind_until = specimen.BLIND
    blind = [j for j in first.judgements if blind_from <= j.at < blind_until]
    drawn = chart_data(first, whole.campaign.invariants, whole.campaign.plan.timings)
    line = drawn["lines"][0]

    assert blind
    assert all(reading.status is Status.UNKNOWN for j in blind for reading in j.readings)
    assert line["statuses"].count("u") >= len(blind)
    assert all(
        value is None
        for value, status in zip(line["values"], line["statuses"], strict=True)
        if status == "u"
    )


def test_time_in_which_nobody_looked_is_a_gap(journal: list[Event]) -> None:
    begin = specimen.BEGAN_AT
    away = [e for e in journal if not (isinstance(e, Evaluated) and 31 < e.at - begin < 50)]
    looked = history(away, step)

    drawn = chart_data(looked.trials[0], looked.campaign.invariants, looked.campaign.plan.timings)

    assert "-" in drawn["lines"][0]["statuses"]


def test_only_what_was_violated_is_shown_unfolded(whole: History, first: TrialHistory) -> None:
    shown = [c.invariant.id for c in charts(first, whole.campaign.invariants) if c.ever_violated]

    assert shown == ["canary_slow", "messages_slow"]


def test_a_repaired_violation_keeps_its_worst_beside_its_clean_end(
    whole: History, first: TrialHistory
) -> None:
    row = next(
        row
        for row in measured(first, whole.campaign.invariants)
        if row.invariant.id == "messages_slow"
    )

    assert row.during is not None
    assert row.after is not None
    assert (row.during.status, row.after.status) == (Status.VIOLATED, Status.HELD)
    assert row.violating > 2


def test_the_worst_of_what_was_never_judged_is_unknown(first: TrialHistory) -> None:
    assert worst(first, "notification_bytes") is None


def test_a_trials_moments_are_marked_in_order(whole: History) -> None:
    flags = [marker.flag for marker in markers(whole.trials[2].record)]

    assert [flag for flag in flags if flag in ("L", "1✓", "2✓", "C")] == ["L", "1✓", "2✓", "C"]
    assert {"V", "T", "G", "R"} <= set(flags)


def test_a_refused_deployment_says_why(whole: History) -> None:
    refused = [m for m in markers(whole.trials[1].record) if m.kind == "refused"]

    assert [marker.flag for marker in refused] == ["1✗"]
    assert "did not answer /healthz" in refused[0].label


def test_the_load_tells_what_a_trial_added_to_the_base(whole: History, first: TrialHistory) -> None:
    later = dimensions(whole.trials[1])

    assert [(line.dimension.behaviour, line.base) for line in dimensions(first)] == [
        ("canary", True),
        ("reader", True),
        ("writer", True),
        ("reader", False),
    ]
    assert "herd" in [line.dimension.behaviour for line in later if not line.base]


def test_the_heatmap_sums_a_behaviours_dimensions_and_knows_nothing_of_the_unplayed(
    journal: list[Event],
) -> None:
    until = specimen.BEGAN_AT + 60
    rows = heatmap(history([e for e in journal if e.at < until], step).trials)

    assert {row.behaviour: row.rates_hz for row in rows} == {
        "canary": (10.0, None),
        "reader": (23.0, None),
        "writer": (2.0, None),
    }


def test_the_list_of_acts_tells_errors_and_costs(whole: History) -> None:
    listed = acts(whole.trials[1])

    assert [act.what for act in listed if act.is_error] == ["shell", "deployment finished"]
    assert listed[-1].detail == "gave up · 14 turns, 48\u202f200 tokens, $0.37"
