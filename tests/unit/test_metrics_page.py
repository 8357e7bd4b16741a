"""docs/metrics.md: that it is not stale, and that the names and texts on it keep the rules."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from campaign.adapters.instruments.metric_names import (
    SEEN_NAMES,
    family,
    is_of_the_harness,
    is_seen,
)
from campaign.host_metrics import HostMetrics
from campaign.machine import Campaign, step
from campaign.metrics_page import (
    Exporter,
    Metric,
    UndocumentedError,
    bound_of,
    documented,
    metrics_page,
    read_families,
)
from campaign.testing import Script, away, idler, nobody, spender
from tests.runs_kit import played

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "metrics.md"
INVARIANTS = sorted((ROOT / "chaos_profiles").glob("*/invariants.yaml"))
EXPORTERS = documented()
METRICS = [(exporter, metric) for exporter in EXPORTERS for metric in exporter.metrics]
SCRAPED = [(exporter, metric) for exporter, metric in METRICS if exporter.job]

#: other spellings of units, none of which a name may end in
_NO_UNITS = re.compile(r"_(s|ms|us|ns|sec|min|minutes|hours|kb|mb|gb|percent|hz|usd)(_total)?$")
#: level:metric or level:metric:operations
_RECORDED = re.compile(r"[a-z]+:[a-z_]+(:[a-z0-9_]+)?")


def name_of(one: object) -> str:
    match one:
        case Metric():
            return one.name
        case Exporter():
            return one.job or "rules"
    return str(one)


def series(metric: Metric) -> set[str]:
    """The names that PromQL knows."""
    if metric.type != "histogram":
        return {metric.name}
    return {f"{metric.name}_{ending}" for ending in ("bucket", "sum", "count")}


def names(metrics: Iterable[Metric]) -> set[str]:
    return {name for metric in metrics for name in series(metric)}


def test_the_page_in_the_tree_is_what_the_registries_and_rules_say() -> None:
    assert PAGE.read_text() == metrics_page(), "run `make metrics`"


def test_each_metric_has_one_row() -> None:
    rows = re.findall(
        r"^\| `([a-zA-Z_:]+)` \| (?:gauge|counter|histogram) ", PAGE.read_text(), re.MULTILINE
    )
    assert rows == [metric.name for _, metric in METRICS]
    assert len(rows) == len(set(rows))


def test_each_exporter_keeps_to_its_prefix() -> None:
    prefixes = {"loadgen": "loadgen_", "ratchet": "ratchet_", "": "ratchet:"}
    others = {
        metric.name for job, metric in METRICS if not metric.name.startswith(prefixes[job.job])
    }
    assert others == {"ALERTS"}


@pytest.mark.parametrize(("exporter", "metric"), SCRAPED, ids=name_of)
def test_a_help_text_is_a_sentence_that_names_the_few_values_of_its_labels(
    exporter: Exporter, metric: Metric
) -> None:
    assert re.fullmatch(r"[A-Z1].*\.", metric.meaning), metric.meaning
    for label in metric.labels:
        values = bound_of(exporter.job, metric.name, label).values or frozenset()
        if len(values) <= 12:
            assert {value for value in values if value not in metric.meaning} == set()


@pytest.mark.parametrize(("exporter", "metric"), SCRAPED, ids=name_of)
def test_a_name_ends_in_a_base_unit_or_in_none(exporter: Exporter, metric: Metric) -> None:
    assert _NO_UNITS.search(metric.name) is None
    assert metric.name.endswith("_total") == (metric.type == "counter")
    if metric.type == "histogram":
        assert metric.unit, f"{exporter.title}: {metric.name}"


def test_recorded_series_are_a_level_and_a_metric() -> None:
    (rules,) = [exporter for exporter in EXPORTERS if not exporter.job]
    recorded = {metric.name for metric in rules.metrics} - {"ALERTS"}
    assert recorded
    assert {name for name in recorded if _RECORDED.fullmatch(name) is None} == set()


def test_whatever_operators_may_not_see_is_known_to_be_ours() -> None:
    for name in names(metric for _, metric in METRICS):
        assert is_seen(name) != is_of_the_harness(name)


def test_what_operators_may_see_exists() -> None:
    known = {metric.name for _, metric in METRICS}
    assert {name for name in SEEN_NAMES if family(name) not in known} == set()


@pytest.mark.parametrize("file", INVARIANTS, ids=lambda file: file.parent.name)
def test_invariants_are_made_of_series_that_exist(file: Path) -> None:
    asked = set(re.findall(r"\b(?:loadgen|ratchet)_\w+(?=\{)", file.read_text()))
    assert asked
    assert asked - names(metric for _, metric in METRICS) == set()


@pytest.mark.parametrize("operator", [spender, away, idler, nobody])
def test_labels_say_what_their_bound_allows_and_nothing_else(operator: Script) -> None:
    registry = CollectorRegistry()
    metrics = HostMetrics(registry)
    before: Campaign | None = None
    seen: dict[tuple[str, str], set[str]] = {}
    for event in played(2, operator=operator):
        after = step(before, event).campaign
        metrics.observe(before, event, after)
        before = after
        for collected in registry.collect():
            ending = "_total" if collected.type == "counter" else ""
            for sample in collected.samples:
                for label, value in sample.labels.items():
                    seen.setdefault((collected.name + ending, label), set()).add(value)
    assert ("ratchet_events_total", "kind") in seen
    for (metric, label), values in seen.items():
        if label != "le":
            bound = bound_of("ratchet", metric, label)
            assert bound.values is None or values <= bound.values, metric


def test_a_label_that_nobody_bounded_is_refused() -> None:
    with pytest.raises(UndocumentedError, match="nothing bounds the label user of loadgen_x"):
        bound_of("loadgen", "loadgen_x", "user")


def test_a_metric_that_nothing_brought_about_is_refused() -> None:
    registry = CollectorRegistry()
    Gauge("ratchet_silent", "Never.", ["phase"], registry=registry)
    with pytest.raises(UndocumentedError, match="no sample of ratchet_silent"):
        read_families(registry.collect())


def test_metrics_are_read_off_all_scrapes_of_a_registry() -> None:
    registry = CollectorRegistry()
    counter = Counter("ratchet_things", "Things.", ["kind"], registry=registry)
    histogram = Histogram("ratchet_wait_seconds", "Waits.", ["kind"], registry=registry)
    scrapes = [*registry.collect()]
    counter.labels(kind="a").inc()
    histogram.labels(kind="a").observe(1)
    scrapes += registry.collect()
    assert read_families(scrapes) == (
        Metric(name="ratchet_things_total", type="counter", labels=("kind",), meaning="Things."),
        Metric(name="ratchet_wait_seconds", type="histogram", labels=("kind",), meaning="Waits."),
    )


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("ratchet_wait_seconds", "seconds"),
        ("ratchet_database_wal_bytes_total", "bytes"),
        ("loadgen_requests_started_total", ""),
        ("ratchet_seconds_ago", ""),
    ],
)
def test_the_unit_is_the_names_ending(name: str, unit: str) -> None:
    assert Metric(name=name, type="gauge", labels=(), meaning="").unit == unit


def test_the_page_shows_no_series_of_when_a_counter_was_made() -> None:
    code = """
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from campaign.host import Host
from campaign.host_metrics import HostMetrics

registry = CollectorRegistry()
HostMetrics(registry)
assert b"ratchet_events_created" in generate_latest(registry)
print(generate_latest(Host(Path.cwd()).registry).decode())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "ratchet_events_total" in done.stdout, done.stderr
    assert "_created" not in done.stdout
