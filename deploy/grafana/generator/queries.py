"""What a panel asks Prometheus."""

from __future__ import annotations

import string
from collections.abc import Iterable
from dataclasses import dataclass

from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.generator.datasource import PROMETHEUS

#: a legend that takes the panel's own word for its one series
AUTOMATIC = "__auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """PromQL, in which Grafana fills in `$__rate_interval`, `$__range` and a page's variables.

    What is not there has no series: nothing ever stands in for it.
    """

    promql: str
    #: `{{label}}` is filled in
    legend: str = AUTOMATIC
    #: only the newest values, not those over time
    newest: bool = False
    format: PromQueryFormat = PromQueryFormat.TIME_SERIES


def dataqueries(queries: Iterable[Query]) -> list[Dataquery]:
    """Lettered from A on."""
    return [
        _dataquery(each, letter)
        for each, letter in zip(queries, string.ascii_uppercase, strict=False)
    ]


def _dataquery(query: Query, letter: str) -> Dataquery:
    made = (
        Dataquery()
        .datasource(PROMETHEUS)
        .expr(query.promql)
        .legend_format(query.legend)
        .format(query.format)
        .ref_id(letter)
    )
    return made.instant() if query.newest else made.range()
