"""The dashboards in the tree: as their code writes them, and as Grafana needs them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import pytest
from prometheus_client import CollectorRegistry
from ruamel.yaml import YAML

from campaign.metrics_page import documented
from campaign.model import Phase, Status, Verdict
from chaos_profiles import PROFILES_ROOT, load_catalogue
from deploy.grafana.generator import PAGES, rendered, write
from deploy.grafana.generator.looks import PHASE_COLORS, STATUS_COLORS, VERDICT_COLORS
from deploy.grafana.generator.slos import MEASURES
from tests.grafana_kit import (
    FILES,
    GRAFANA,
    PROMETHEUS_OWN,
    Asked,
    app_metrics,
    dashboards,
    every_query,
    metric_names,
    panels,
    variables,
)

DASHBOARDS = [pytest.param(each, id=each["uid"]) for each in dashboards()]
PANELS = [
    pytest.param(panel, id=f"{each['uid']}: {panel['title']}")
    for each in dashboards()
    for panel in panels(each)
]


def kinds(union: object) -> set[str]:
    return {one.__dataclass_fields__["kind"].default for one in get_args(union)}


def provisioned(path: str) -> Any:
    return YAML(typ="safe").load((GRAFANA / "provisioning" / path).read_text())


def of_the_app() -> set[str]:
    """Read off its own registry."""
    metrics = app_metrics()
    metrics.observe("/", "GET", 200, 0.1)
    return sample_names(metrics._registry)


def sample_names(registry: CollectorRegistry) -> set[str]:
    return {sample.name for family in registry.collect() for sample in family.samples}


def ours() -> set[str]:
    """Of the daemon, the load generator and the rules."""
    names: set[str] = set()
    for exporter in documented():
        for metric in exporter.metrics:
            endings = ("_bucket", "_sum", "_count") if metric.type == "histogram" else ("",)
            names |= {metric.name + ending for ending in endings}
    return names


EXPORTED = ours() | of_the_app() | PROMETHEUS_OWN


def test_the_dashboards_in_the_tree_are_what_their_code_writes() -> None:
    assert {file.name: file.read_text() for file in FILES} == {
        f"{page.uid}.json": rendered(page) for page in PAGES
    }, "run `make dashboards`"


def test_writing_removes_the_file_of_a_dashboard_that_is_no_more(tmp_path: Path) -> None:
    (tmp_path / "ratchet-former.json").write_text("{}")
    write(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in FILES}


def test_dashboards_are_provisioned_from_where_they_lie() -> None:
    (provider,) = provisioned("dashboards/ratchet.yaml")["providers"]
    assert provider["folder"] == "Ratchet"
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
    assert provider["type"] == "file"


def test_everything_asks_the_one_provisioned_datasource() -> None:
    (source,) = provisioned("datasources/prometheus.yaml")["datasources"]
    assert (source["uid"], source["type"]) == ("prometheus", "prometheus")
    assert source["url"] == "http://prometheus:9090"
    wanted = {"type": source["type"], "uid": source["uid"]}
    asking = [
        part
        for each in dashboards()
        for part in (
            *panels(each),
            *(target for panel in panels(each) for target in panel["targets"]),
            *each["annotations"]["list"],
            *variables(each),
        )
    ]
    assert len(asking) > 200
    assert [part for part in asking if part["datasource"] != wanted] == []


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_a_dashboard_says_what_it_answers_and_leads_to_the_others(
    dashboard: dict[str, Any],
) -> None:
    assert dashboard["description"].endswith("?")
    assert dashboard["tags"] == ["ratchet"]
    (link,) = dashboard["links"]
    assert (link["type"], link["tags"], link["keepTime"]) == ("dashboards", ["ratchet"], True)
    assert {mark["name"] for mark in dashboard["annotations"]["list"]} >= {
        "Trials",
        "Tickets",
        "Deployments",
        "Verdicts",
    }


def test_dashboards_and_panels_can_be_addressed() -> None:
    uids = [each["uid"] for each in dashboards()]
    assert len(set(uids)) == len(uids)
    for each in dashboards():
        ids = [panel["id"] for panel in each["panels"]]
        assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_has_a_title_a_unit_and_a_description(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["description"].rstrip().endswith((".", "?"))
    assert panel["targets"]


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_leads_only_to_dashboards_that_exist(panel: dict[str, Any]) -> None:
    known = {f"/d/{each['uid']}?${{__url_time_range}}" for each in dashboards()}
    assert {link["url"] for link in panel.get("links", ())} <= known


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_no_panel_lies_over_another_or_beyond_the_edge(dashboard: dict[str, Any]) -> None:
    places = [(panel["title"], panel["gridPos"]) for panel in dashboard["panels"]]
    assert [title for title, at in places if not 0 <= at["x"] <= 24 - at["w"]] == []
    overlaps = [
        (one, other)
        for (one, a), (other, b) in itertools.combinations(places, 2)
        if meet(a["x"], a["w"], b["x"], b["w"]) and meet(a["y"], a["h"], b["y"], b["h"])
    ]
    assert overlaps == []


def meet(start: int, length: int, other: int, others_length: int) -> bool:
    return start < other + others_length and other < start + length


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_panels_fill_their_lines_to_the_edge(dashboard: dict[str, Any]) -> None:
    """A gap looks like a panel that failed to load."""
    covered: dict[int, int] = {}
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        is_alone = "repeat" in panel
        for line in range(at["y"], at["y"] + at["h"]):
            covered[line] = covered.get(line, 0) + (24 if is_alone else at["w"])
    assert {line for line, columns in covered.items() if columns != 24} == set()


@pytest.mark.parametrize("asked", every_query())
def test_a_query_reads_only_what_is_exported(asked: Asked) -> None:
    assert asked.metrics
    assert asked.metrics <= EXPORTED


@pytest.mark.parametrize("asked", every_query())
def test_nothing_stands_in_for_data_that_is_missing(asked: Asked) -> None:
    assert "vector(" not in asked.promql
    assert "absent" not in asked.promql


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_a_variable_is_explained_and_used(dashboard: dict[str, Any]) -> None:
    text = "".join(target["expr"] for panel in panels(dashboard) for target in panel["targets"])
    for variable in variables(dashboard):
        assert variable["label"]
        assert variable["description"]
        assert variable["includeAll"]
        assert f"${variable['name']}" in text


def test_every_value_that_is_told_by_a_colour_has_one() -> None:
    assert set(PHASE_COLORS) == kinds(Phase)
    assert set(VERDICT_COLORS) == kinds(Verdict)
    assert set(STATUS_COLORS) == set(Status)


def targets() -> Iterable[Path]:
    return sorted(file.parent for file in PROFILES_ROOT.glob("*/invariants.yaml"))


@pytest.mark.parametrize("folder", targets(), ids=lambda folder: folder.name)
def test_each_invariant_has_a_panel_in_its_unit(folder: Path) -> None:
    measured = {measure.unit for measure in MEASURES}
    assert {invariant.unit for invariant in load_catalogue(folder).invariants} <= measured


def test_each_variable_of_the_slos_has_a_panel_for_each_of_its_values() -> None:
    (slos,) = (each for each in dashboards() if each["uid"] == "ratchet-slos")
    repeated = {panel["repeat"] for panel in panels(slos) if "repeat" in panel}
    assert repeated == {variable["name"] for variable in variables(slos)}


@pytest.mark.parametrize(
    ("promql", "names"),
    [
        ('sum by (le) (rate(a_total{job="b"}[$__rate_interval])) > 0', {"a_total"}),
        ('1 * max (a{x="y"}) + 2 * max(b:c)', {"a", "b:c"}),
        ("a * on (instance) group_left (trial) b", {"a", "b"}),
        ("(time() - max(a_seconds)) and max(b) > 0", {"a_seconds", "b"}),
        ('count_values("trial", max(a) and max(b) > 0)', {"a", "b"}),
        ("histogram_quantile(0.95, sum by (le) (a_bucket))", {"a_bucket"}),
    ],
)
def test_the_metrics_of_a_query_are_found(promql: str, names: set[str]) -> None:
    assert metric_names(promql) == names
