from __future__ import annotations

from dataclasses import replace

import pytest
from ruamel.yaml import YAML

from campaign.machine.watching import VIOLATING_EVALUATIONS
from campaign.model import Invariant, LatencyLimit, Timings
from chaos_profiles.promql import ExpressionError, expand, fill
from chaos_profiles.rules import TooSlowError, calibrated, latency_limit, rules_yaml

SLOW = Invariant(
    id="history_latency",
    title="Slower than $L",
    kind="performance",
    unit="ratio",
    value='slow{le="$L"}[$RANGE] / $RANGE_S',
    limit=0.05,
    samples="seen[$RECENT]",
    offered="offered * $SCRAPE_S",
    min_offered=4,
    sources=("loadgen",),
    latency=LatencyLimit(floor_s=0.3, times_calibrated=20),
)
ERRORS = replace(SLOW, id="error_rate", value="errors", title="Errors", latency=None)


@pytest.mark.parametrize(
    ("healthy_p95_s", "limit_s"),
    [
        (0.0, 0.3),
        (0.001, 0.3),
        (0.015, 0.3),
        (0.0151, 0.5),
        (0.025, 0.5),
        (0.03, 0.75),
        (0.05, 1.0),
        (0.0501, 1.5),
        (0.15, 3.0),
    ],
)
def test_the_limit_is_the_next_edge_above_floor_and_calibration(
    healthy_p95_s: float, limit_s: float
) -> None:
    assert latency_limit(SLOW, healthy_p95_s) == limit_s


def test_a_machine_on_which_nothing_could_be_told_apart_is_refused() -> None:
    with pytest.raises(TooSlowError, match=r"history_latency: its limit would be 4 s"):
        latency_limit(SLOW, 0.2)


def test_only_latency_invariants_are_calibrated_and_their_titles_say_how() -> None:
    slow, errors = calibrated((SLOW, ERRORS), 0.005)
    assert (slow.latency_limit_s, slow.title) == (0.3, "Slower than 300 ms")
    assert errors == ERRORS
    (slow,) = calibrated((SLOW,), 0.05)
    assert (slow.latency_limit_s, slow.title) == (1.0, "Slower than 1 s")


def test_rules_are_recorded_in_an_order_that_ends_with_the_limit() -> None:
    text = rules_yaml(calibrated((SLOW,), 0.05), Timings())
    (group,) = YAML(typ="safe").load(text)["groups"]
    assert group["interval"] == "1s"
    of_invariant = [rule for rule in group["rules"] if "invariant" in rule.get("labels", {})]
    assert [(rule.get("record"), rule["expr"]) for rule in of_invariant[:4]] == [
        ("ratchet:invariant_value", 'slow{le="1.0"}[4s] / 4'),
        ("ratchet:invariant_samples", "seen[2s]"),
        ("ratchet:invariant_offered", "(offered * 1) unless on () ratchet:generator_incomplete"),
        ("ratchet:invariant_limit", "vector(0.05)"),
    ]
    assert {rule.get("record") for rule in group["rules"]} >= {
        "ratchet:generator_lag_seconds",
        "ratchet:generator_cpu_ratio",
    }


def test_the_alert_waits_for_as_many_evaluations_as_a_ticket() -> None:
    (group,) = YAML(typ="safe").load(rules_yaml((ERRORS,), Timings()))["groups"]
    (alert,) = (rule for rule in group["rules"] if "alert" in rule)
    assert alert["for"] == f"{VIOLATING_EVALUATIONS - 1}s"
    assert alert["labels"] == {"invariant": "error_rate", "kind": "performance"}


def test_another_clockwork_gives_other_windows() -> None:
    timings = Timings(range_s=2.5, scrape_s=0.5, evaluation_s=0.5)
    text = rules_yaml(calibrated((SLOW,), 0.05), timings)
    assert 'slow{le="1.0"}[2500ms] / 2.5' in text
    assert "interval: 500ms" in text
    assert "seen[1s]" in text


def test_an_invariant_that_was_not_calibrated_is_refused() -> None:
    with pytest.raises(ExpressionError, match=r"\$L has no value"):
        rules_yaml((SLOW,), Timings())


def test_shared_expressions_may_use_each_other() -> None:
    shared = {"twice": "2 * $once", "once": "x{$SELECT}"}
    assert expand("$twice + $once", shared=shared, select='a="b"') == (
        '(2 * (x{a="b"})) + (x{a="b"})'
    )


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("$nothing", r"\$nothing is not known; there are \$circle, \$SELECT"),
        ("x{$SELECT}", r"uses \$SELECT, but the invariant has no `select:`"),
        ("$circle", r"\$circle contains itself \(circle > circle\)"),
        ("x or vector(0)", "makes up a value"),
        ("x or on() vector(0)", "makes up a value"),
        ("x or scalar(y)", "makes up a value"),
        ("absent(x)", "makes up a value"),
    ],
)
def test_an_expression_that_cannot_be_put_together_is_refused(
    expression: str, message: str
) -> None:
    with pytest.raises(ExpressionError, match=message):
        expand(expression, shared={"circle": "1 + $circle"}, select=None)


def test_a_dollar_in_a_regular_expression_is_left_alone() -> None:
    assert fill(expand('x{a=~"b$"}', shared={}, select=None), {}) == 'x{a=~"b$"}'
