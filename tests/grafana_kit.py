"""The dashboards as Grafana would read them, and their queries as Prometheus gets to see them.

Filled in as Grafana does it (docs: "Prometheus template variables"): `$__rate_interval` is at least
four scrapes, `$__range` is the time shown, and a variable is the values that its own query finds.
"""

from __future__ import annotations

import importlib.util
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

ROOT = Path(__file__).parents[1]
GRAFANA = ROOT / "deploy" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))

#: what Prometheus makes itself, of every target and every alert
PROMETHEUS_OWN = frozenset({"up", "ALERTS"})

#: of these there is a newest value only then; what there was is asked for instead
DURING_A_SESSION = frozenset(
    {"ratchet-operator: Open for/A", "ratchet-operator: Turns/A", "ratchet-operator: Cost/A"}
)

_LABEL_VALUES = re.compile(r"label_values\((?P<series>.+), (?P<label>\w+)\)")
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
#: what is not the name of a metric: texts, label matchers' insides, ranges, labels of a grouping
_NO_NAMES = re.compile(
    r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)'
)
_WORD = re.compile(r"(?<![\w:.$])[a-zA-Z_:][\w:]*(?!\s*\()\b")
_WORDS_OF_PROMQL = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One query of a panel or of an annotation."""

    dashboard: str
    panel: str
    letter: str
    promql: str
    newest: bool = False

    @property
    def name(self) -> str:
        return f"{self.dashboard}: {self.panel}/{self.letter}"

    @property
    def metrics(self) -> frozenset[str]:
        return metric_names(self.promql)

    @property
    def reads_prometheus_only(self) -> bool:
        return self.metrics <= PROMETHEUS_OWN


def dashboards() -> list[dict[str, Any]]:
    assert FILES
    return [json.loads(file.read_text()) for file in FILES]


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Without the rows, which are headings."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def variables(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [*dashboard["templating"].get("list", ())]


def asked_by_panels(dashboard: Mapping[str, Any]) -> Iterator[Asked]:
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield Asked(
                dashboard=dashboard["uid"],
                panel=panel["title"],
                letter=target["refId"],
                promql=target["expr"],
                newest=bool(target.get("instant")),
            )


def asked_by_annotations(dashboard: Mapping[str, Any]) -> Iterator[Asked]:
    for annotation in dashboard["annotations"]["list"]:
        yield Asked(
            dashboard=dashboard["uid"],
            panel=f"annotation {annotation['name']}",
            letter="A",
            promql=annotation["expr"],
        )


def asked_by_variables(dashboard: Mapping[str, Any]) -> Iterator[Asked]:
    for variable in variables(dashboard):
        yield Asked(
            dashboard=dashboard["uid"],
            panel=f"variable {variable['name']}",
            letter="A",
            promql=_parsed(variable)["series"],
        )


def metric_names(promql: str) -> frozenset[str]:
    """The metrics that a query reads."""
    words = _WORD.findall(_NO_NAMES.sub(" ", promql))
    return frozenset(words) - _WORDS_OF_PROMQL


def _parsed(variable: Mapping[str, Any]) -> dict[str, str]:
    found = _LABEL_VALUES.fullmatch(variable["query"]["query"])
    assert found, variable["query"]
    return found.groupdict()


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What came of a query; values without NaN, which is drawn as nothing."""

    labels: Mapping[str, str]
    values: tuple[float, ...]


class RefusedError(Exception):
    """Prometheus did not answer a query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Asks as Grafana would that shows the time from `start` to `end`, epoch seconds."""

    session: aiohttp.ClientSession
    #: of Prometheus
    url: str
    start: float
    end: float
    step_s: int = 1

    @property
    def rate_interval_s(self) -> int:
        """As Grafana reckons it, with a scrape each second."""
        return max(self.step_s + 1, 4)

    async def stopped(self, *, for_s: int) -> set[str]:
        """The jobs of which nothing could be scraped for so long, up to the end."""
        asked = Asked(
            dashboard="",
            panel="stopped",
            letter="A",
            promql=f"max by (job) (max_over_time(up[{for_s}s])) == 0",
            newest=True,
        )
        return {each.labels["job"] for each in await self.ask(asked, {})}

    async def ask(self, asked: Asked, values: Mapping[str, str]) -> list[Series]:
        """The series that the query gives, with the page's variables filled in.

        Raises:
            RefusedError: with Prometheus's own words.
        """
        promql = self.fill(asked.promql, values)
        if asked.newest:
            found = await self._get("query", query=promql, time=str(self.end))
        else:
            found = await self._get(
                "query_range",
                query=promql,
                start=str(self.start),
                end=str(self.end),
                step=str(self.step_s),
            )
        return [series for each in found["result"] if (series := _series(each)).values]

    async def chosen(self, dashboard: Mapping[str, Any]) -> dict[str, str]:
        """What stands for each variable when everything is chosen: all values as one pattern."""
        values: dict[str, str] = {}
        for variable in variables(dashboard):
            found = await self.values_of(variable, values)
            values[variable["name"]] = variable.get("allValue") or "|".join(map(re.escape, found))
        return values

    async def values_of(self, variable: Mapping[str, Any], known: Mapping[str, str]) -> list[str]:
        parsed = _parsed(variable)
        found = await self._get(
            f"label/{parsed['label']}/values",
            **{"match[]": self.fill(parsed["series"], known)},
            start=str(self.start),
            end=str(self.end),
        )
        return [str(value) for value in found]

    def fill(self, promql: str, values: Mapping[str, str]) -> str:
        own = {
            "__rate_interval": f"{self.rate_interval_s}s",
            "__range": f"{math.ceil(self.end - self.start)}s",
            "__interval": f"{self.step_s}s",
        }
        return _VARIABLE.sub(lambda found: {**own, **values}[found[1]], promql)

    async def _get(self, path: str, **parameters: str) -> Any:
        async with (
            self.session.post(f"{self.url}/api/v1/{path}", data=parameters)
            if not path.startswith("label/")
            else self.session.get(f"{self.url}/api/v1/{path}", params=parameters) as reply
        ):
            answer = await reply.json()
        if answer["status"] != "success":
            raise RefusedError(f"{parameters}: {answer}")
        return answer["data"]


def _series(found: Mapping[str, Any]) -> Series:
    points = found["values"] if "values" in found else [found["value"]]
    numbers = (float(value) for _, value in points)
    return Series(
        labels=found["metric"], values=tuple(value for value in numbers if not math.isnan(value))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the campaign's dashboard says of where it stands."""

    phase: str
    trial: int
    verdicts: Mapping[str, int]
    tickets: int
    deployments: Mapping[str, int]


async def reading_of(reader: Reader) -> Shown | None:
    """As the panels of that dashboard would show it; None: one of them is blank."""
    (dashboard,) = (each for each in dashboards() if each["uid"] == "ratchet-campaign")
    chosen = await reader.chosen(dashboard)
    by_panel: dict[str, list[Series]] = {}
    phases: Mapping[str, Mapping[str, str]] = {}
    for panel in panels(dashboard):
        if panel["type"] != "stat":
            continue
        if panel["title"] == "Phase":
            (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
            phases = mapping["options"]
        asked = next(
            each for each in asked_by_panels({**dashboard, "panels": [panel]}) if each.newest
        )
        by_panel[panel["title"]] = await reader.ask(asked, chosen)
    if not all(by_panel[each] for each in ("Phase", "Trial", "Tickets")):
        return None
    (phase,), (trial,), (tickets,) = (by_panel[each] for each in ("Phase", "Trial", "Tickets"))
    return Shown(
        phase=phases[str(int(phase.values[0]))]["text"],
        trial=int(trial.values[0]),
        tickets=int(tickets.values[0]),
        verdicts=_by(by_panel["Verdicts"], "verdict"),
        deployments=_by(by_panel["Deployments"], "outcome"),
    )


def _by(found: Iterable[Series], label: str) -> dict[str, int]:
    return {series.labels[label]: int(series.values[-1]) for series in found}


def app_metrics() -> Any:
    """What the app under load counts with, loaded from its file: nothing of ours imports an app."""
    file = ROOT / "target_apps" / "chat_db_app" / "metrics.py"
    spec = importlib.util.spec_from_file_location("metrics_of_the_app", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Metrics()


def every_query() -> list[Any]:
    """For `parametrize`: each query of each dashboard, annotations and variables included."""
    return [
        pytest.param(asked, id=asked.name)
        for dashboard in dashboards()
        for ask in (asked_by_panels, asked_by_annotations, asked_by_variables)
        for asked in ask(dashboard)
    ]
