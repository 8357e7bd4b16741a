"""What a reader can choose at the top of a dashboard."""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.builders.dashboard import QueryVariable
from grafana_foundation_sdk.models.dashboard import (
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from deploy.grafana.generator.datasource import PROMETHEUS

#: what Grafana calls the choice of everything
ALL = "$__all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """The values of `label` in `series` (a selector), any number of which can be chosen."""

    name: str
    title: str
    description: str
    series: str
    label: str
    #: it repeats panels and is not for choosing
    hidden: bool = False
    #: what stands for everything in a query; None: all values that there are
    everything: str | None = ".*"


def variable(wanted: Variable) -> QueryVariable:
    query = f"label_values({wanted.series}, {wanted.label})"
    made = (
        QueryVariable(wanted.name)
        .label(wanted.title)
        .description(wanted.description)
        .datasource(PROMETHEUS)
        .query({"query": query, "refId": "values", "qryType": 1})
        .definition(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .current(VariableOption(selected=True, text="All", value=ALL))
        .hide(VariableHide.HIDE_VARIABLE if wanted.hidden else VariableHide.DONT_HIDE)
    )
    return made if wanted.everything is None else made.all_value(wanted.everything)
