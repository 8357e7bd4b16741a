"""Tables: a row for each value of a label, with a column from each query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import table as builders
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    ValueMap,
    ValueMappingResult,
)

from deploy.grafana.generator.datasource import PROMETHEUS
from deploy.grafana.generator.panels import Panel
from deploy.grafana.generator.queries import dataqueries


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A label, or `Value #A` for the value of the query A."""

    source: str
    title: str
    #: empty: the panel's own
    unit: str = ""
    #: by the text of a cell
    colors: Mapping[str, str] = field(default_factory=dict)


def table(panel: Panel, *, joined_by: str, columns: tuple[Column, ...]) -> builders.Panel:
    """All queries are joined by a label; only `columns` are shown, in their order."""
    made = (
        builders.Panel()
        .title(panel.title)
        .description(panel.description)
        .unit(panel.unit)
        .datasource(PROMETHEUS)
        .targets([*dataqueries(panel.queries)])
        .span(panel.width)
        .height(panel.height)
        .with_transformation(_join(joined_by))
        .with_transformation(_only(columns))
        .filterable(filterable=True)
    )
    for column in columns:
        if properties := _properties(column):
            made.override_by_name(column.title, properties)
    return made


def _join(label: str) -> DataTransformerConfig:
    return DataTransformerConfig(id_val="joinByField", options={"byField": label, "mode": "outer"})


def _only(columns: tuple[Column, ...]) -> DataTransformerConfig:
    fields = [column.source for column in columns]
    return DataTransformerConfig(
        id_val="organize",
        options={
            "excludeByName": {},
            "includeByName": dict.fromkeys(fields, True),
            "indexByName": {name: index for index, name in enumerate(fields)},
            "renameByName": {column.source: column.title for column in columns},
        },
    )


def _properties(column: Column) -> list[DynamicConfigValue]:
    properties = []
    if column.unit:
        properties.append(DynamicConfigValue(id_val="unit", value=column.unit))
    if column.colors:
        results = {
            text: ValueMappingResult(text=text, color=color, index=index)
            for index, (text, color) in enumerate(column.colors.items())
        }
        properties.append(DynamicConfigValue(id_val="mappings", value=[ValueMap(options=results)]))
        cell = {"type": "color-text"}
        properties.append(DynamicConfigValue(id_val="custom.cellOptions", value=cell))
    return properties
