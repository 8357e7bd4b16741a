"""A load that is divided among several generators, from raw series to a status.

promtool plays the series; each case says for every instance what it tells, as a worker would.
"""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from campaign.model import Sample, Status, Timings, judge
from chaos_profiles import PROFILES_ROOT, calibrated, load_catalogue, rules_yaml
from chaos_profiles.quantiles import p95_gauge

pytestmark = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing")

_INVARIANTS = {
    each.id: each
    for each in calibrated(load_catalogue(PROFILES_ROOT / "chat_db_app").invariants, 0.005)
}
INVARIANTS = _INVARIANTS | {
    gauge.id: gauge for each in _INVARIANTS.values() if (gauge := p95_gauge(each)) is not None
}
_EDGES = ("0.005", "0.1", "0.15", "0.3", "0.5", "1.0", "+Inf")
#: seconds of data of an instance that stays, and when the rules are looked at
UNTIL, AT = 20, 20

Series = Mapping[str, str]
NAN = math.nan


def instance(
    name: str,
    *,
    rate: float = 0,
    slow: float = 0,
    errors: float = 0,
    overdue: float = 0,
    lag: str = "0.01+0x20",
    parts: str = "2+0x20",
    behaviour: str = "reader",
    operation: str = "list_messages",
    until: int = UNTIL,
) -> dict[str, str]:
    """One worker: so many requests a second, `slow` of them in 0.4 s, the others in 0.004 s."""
    me = f'job="loadgen",instance="{name}"'
    labels = f'{me},behaviour="{behaviour}",operation="{operation}"'
    quick = {"0.005", "0.1", "0.15", "0.3"}
    series = {
        f"loadgen_cpu_ratio{{{me}}}": "0.2+0x20",
        f"loadgen_scheduler_lag_seconds{{{me}}}": lag,
        f"loadgen_load_parts{{{me}}}": parts,
        f"loadgen_offered_rate_hertz{{{labels}}}": f"{rate}+0x20",
        f"loadgen_requests_started_total{{{labels}}}": f"0+{rate}x20",
        f"loadgen_request_duration_seconds_count{{{labels}}}": f"0+{rate}x20",
        f"loadgen_response_bytes_total{{{labels}}}": f"0+{1000 * rate}x20",
        f"loadgen_acknowledged_writes_total{{{labels}}}": f"0+{rate}x20",
        f'loadgen_request_errors_total{{{labels},kind="5xx"}}': f"0+{errors}x20",
    }
    for edge in _EDGES:
        done = rate - slow if edge in quick else rate
        series[f'loadgen_request_duration_seconds_bucket{{{labels},le="{edge}"}}'] = f"0+{done}x20"
        open_slots = f'{labels},older_than_seconds="{edge}"'
        series[f"loadgen_unanswered_requests{{{open_slots}}}"] = f"{overdue}+0x20"
    return {key: _cut(values, until) for key, values in series.items()}


def _cut(values: str, until: int) -> str:
    return values.replace("x20", f"x{until}")


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is recorded of one invariant; None: nothing."""

    name: str
    series: Series
    status: Status
    invariant: str = "history_latency"
    value: float | None = None
    samples: float | None = None
    offered: float | None = None
    at: int = AT


def merged(*instances: Series) -> dict[str, str]:
    return {key: values for each in instances for key, values in each.items()}


#: A is slow in four requests of ten and B in none of ninety: 4 % together, 20 % on the average
UNEVEN = merged(instance("a", rate=10, slow=4), instance("b", rate=90))
HALVES = merged(instance("a", rate=10), instance("b", rate=10))
#: B is killed after 14 s; its last scrape says two parts, and so does A's
LOST = merged(instance("a", rate=10), instance("b", rate=10, until=14))
#: the same, but from 17 s on A plays all of it, and says so
TAKEN_OVER = LOST | {
    'loadgen_load_parts{job="loadgen",instance="a"}': "2+0x16 1 1 1 1",
    'loadgen_scheduler_lag_seconds{job="loadgen",instance="a"}': "0.01+0x16 3 0.01 0.01 0.01",
}

CASES = (
    Case(
        name="fractions are of the sum",
        series=UNEVEN,
        status=Status.HELD,
        value=0.04,
        samples=400,
        offered=400,
    ),
    Case(
        name="offered rates and counts are added up",
        series=HALVES,
        status=Status.HELD,
        value=0,
        samples=80,
        offered=80,
    ),
    Case(
        name="what is overdue at one counts against both",
        series=merged(instance("a", rate=10, overdue=20), instance("b", rate=10)),
        status=Status.VIOLATED,
        value=0.2,
        samples=100,
        offered=80,
    ),
    Case(
        name="one slow request each is two slow requests",
        series=merged(instance("a", rate=5, slow=0.25), instance("b", rate=5, slow=0.25)),
        status=Status.HELD,
        value=0.05,
        samples=40,
        offered=40,
    ),
    Case(
        name="the errors of one are those of all",
        invariant="error_rate",
        series=merged(instance("a", rate=10, errors=1), instance("b", rate=10)),
        status=Status.VIOLATED,
        value=0.05,
        samples=80,
        offered=80,
    ),
    Case(
        name="sizes are averaged over all answers",
        invariant="response_bytes",
        series=HALVES,
        status=Status.HELD,
        value=1000,
        samples=80,
        offered=80,
    ),
    Case(
        name="one that stands by has no part and is not missed",
        series=merged(HALVES, instance("c", parts="0+0x20")),
        status=Status.HELD,
        value=0,
        samples=80,
        offered=80,
    ),
    Case(
        name="a lost one is known for two seconds",
        series=LOST,
        status=Status.HELD,
        value=0,
        samples=80,
        offered=80,
        at=15,
    ),
    Case(
        name="a lost one leaves no reading",
        series=LOST,
        status=Status.UNKNOWN,
        value=0,
        samples=40,
        at=18,
    ),
    Case(
        name="one that was lost long ago and is nobody's leaves none either",
        series=LOST,
        status=Status.UNKNOWN,
        value=0,
        samples=40,
    ),
    Case(
        name="its users are taken over",
        series=TAKEN_OVER,
        status=Status.HELD,
        value=0,
        samples=40,
        offered=40,
    ),
    Case(
        name="one that plays what others play now makes too much",
        series=merged(instance("a", rate=20, parts="1+0x20"), instance("b", rate=10)),
        status=Status.UNKNOWN,
        value=0,
        samples=120,
    ),
)


def test_percentiles_come_from_summed_histograms(tmp_path: Path) -> None:
    """95 of 100 requests are in the first bucket, whoever sent the slow ones."""
    series = merged(instance("a", rate=10, slow=5), instance("b", rate=90))
    recorded = _recorded("history_latency_p95", "value", 0.005, at=AT)
    _play(tmp_path, series, [recorded])


def test_the_lag_is_the_worst_ones(tmp_path: Path) -> None:
    series = merged(instance("a", rate=10), instance("b", rate=10, lag="0.01+0x18 0.7 0.01"))
    test = _expected("ratchet:generator_lag_seconds", 0.7, at=AT)
    _play(tmp_path, series, [test])


def test_who_takes_users_over_spoils_the_window_in_which_nobody_played_them(tmp_path: Path) -> None:
    test = _expected("ratchet:generator_lag_seconds", 3, at=AT)
    _play(tmp_path, TAKEN_OVER, [test])


def test_nobody_is_alerted_by_a_part_of_the_load(tmp_path: Path) -> None:
    slow = merged(instance("a", rate=10, slow=9), instance("b", rate=10, slow=9, until=10))
    alert = {
        "exp_labels": {"invariant": "history_latency", "kind": "performance"},
        "exp_annotations": {"summary": INVARIANTS["history_latency"].title},
    }
    tests = [
        {"eval_time": "9s", "alertname": "InvariantViolated", "exp_alerts": [alert]},
        {"eval_time": "16s", "alertname": "InvariantViolated", "exp_alerts": []},
    ]
    _test_rules(tmp_path, {"input_series": _input(slow), "alert_rule_test": tests})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_several_generators_are_judged_as_one(case: Case, tmp_path: Path) -> None:
    parts = {"value": case.value, "samples": case.samples, "offered": case.offered}
    recorded = [_recorded(case.invariant, part, value, at=case.at) for part, value in parts.items()]
    _play(tmp_path, case.series, recorded)
    sample = Sample(invariant=case.invariant, measured_at=float(case.at), **parts)
    invariant = INVARIANTS[case.invariant]
    reading = judge(invariant, sample, at=case.at, freshness_s=3.0, starved=False)
    assert reading.status is case.status


def _recorded(invariant: str, part: str, value: float | None, *, at: int) -> dict[str, Any]:
    return _expected(f'ratchet:invariant_{part}{{invariant="{invariant}"}}', value, at=at)


def _expected(series: str, value: float | None, *, at: int) -> dict[str, Any]:
    test: dict[str, Any] = {"eval_time": f"{at}s", "exp_samples": []}
    if value is None:
        return {**test, "expr": series}
    if value > 1:  # a window of Prometheus 2 may have a fifth sample, where one of 3 has four
        about = f"({series} >= {value} <= {1.25 * value}) * 0 + {value}"
        return {**test, "expr": about, "exp_samples": [{"labels": "{}", "value": value}]}
    rounded = f"round(sum({series}), 0.0001)"
    return {**test, "expr": rounded, "exp_samples": [{"labels": "{}", "value": value}]}


def _input(series: Series) -> list[dict[str, str]]:
    return [{"series": name, "values": values} for name, values in series.items()]


def _play(folder: Path, series: Series, tests: list[dict[str, Any]]) -> None:
    tests = [
        {**test, "expr": f"sum({test['expr']})"} if test["exp_samples"] else test for test in tests
    ]
    _test_rules(folder, {"input_series": _input(series), "promql_expr_test": tests})


def _test_rules(folder: Path, test: dict[str, Any]) -> None:
    rules = folder / "rules.yml"
    rules.write_text(rules_yaml(INVARIANTS.values(), Timings()))
    file = folder / "test.yml"
    document = {
        "rule_files": [str(rules)],
        "evaluation_interval": "1s",
        "tests": [{"interval": "1s", **test}],
    }
    with file.open("w") as out:
        YAML().dump(document, out)
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
