"""The few kinds of panels that there are. Each has a title, a unit, and says what it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import bargauge, heatmap, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    ReduceDataOptions,
    ScaleDistributionConfig,
    StackingConfig,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import DashboardLink, ThresholdsConfig
from grafana_foundation_sdk.builders.heatmap import HeatmapColorOptions, YAxisConfig
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode

from deploy.grafana.generator.datasource import PROMETHEUS
from deploy.grafana.generator.looks import QUIET, Word, as_limit, color_of, thresholds, words
from deploy.grafana.generator.queries import Query, dataqueries

#: a series of this name is drawn as a limit
LIMIT = "limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What all kinds have in common."""

    title: str
    #: what it shows and what to think of it; shown behind the panel's (i)
    description: str
    #: one of Grafana's, as in `grafana_foundation_sdk.models.units`
    unit: str
    queries: tuple[Query, ...]
    #: columns of 24, and rows of about 30 pixels
    width: int = 8
    height: int = 8
    #: by the name of a series, when it has a meaning
    colors: Mapping[str, str] = field(default_factory=dict)
    #: the uid of the dashboard that tells more
    more: str = ""
    #: the variable for each of whose values there is one such panel
    repeat: str = ""


def graph(
    panel: Panel,
    *,
    limits: ThresholdsConfig | None = None,
    stacked: bool = False,
    steps: bool = False,
    lowest: float | None = 0.0,
    highest: float | None = None,
) -> timeseries.Panel:
    """Lines over time. `limits` are drawn dashed; `steps` is for what changes now and then."""
    made = (
        timeseries.Panel()
        .title(panel.title)
        .description(panel.description)
        .unit(panel.unit)
        .datasource(PROMETHEUS)
        .targets([*dataqueries(panel.queries)])
        .span(panel.width)
        .height(panel.height)
        .line_width(1)
        .fill_opacity(25 if stacked else 8)
        .show_points(common.VisibilityMode.NEVER)
        .span_nulls(span_nulls=False)
        .legend(_legend())
        .tooltip(
            VizTooltipOptions()
            .mode(common.TooltipDisplayMode.MULTI)
            .sort(common.SortOrder.DESCENDING)
        )
        .links(_links(panel))
        .override_by_name(LIMIT, as_limit())
    )
    for name, color in panel.colors.items():
        made.override_by_name(name, [color_of(color)])
    if limits is not None:
        style = GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        made.thresholds(limits).thresholds_style(style)
    if stacked:
        made.stacking(StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if steps:
        made.line_interpolation(common.LineInterpolation.STEP_AFTER)
    if lowest is not None:
        made.min(lowest)
    if highest is not None:
        made.max(highest)
    if panel.repeat:
        made.repeat(panel.repeat).repeat_direction("h").max_per_row(24 // panel.width)
    return made


def number(
    panel: Panel,
    *,
    limits: ThresholdsConfig | None = None,
    meanings: Mapping[int, Word] | None = None,
    decimals: int | None = None,
) -> stat.Panel:
    """The newest values, large."""
    made = (
        stat.Panel()
        .title(panel.title)
        .description(panel.description)
        .unit(panel.unit)
        .datasource(PROMETHEUS)
        .targets([*dataqueries(panel.queries)])
        .span(panel.width)
        .height(panel.height)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.VALUE)
        .text_mode(common.BigValueTextMode.AUTO)
        .thresholds(limits or thresholds(below=QUIET))
        .links(_links(panel))
    )
    for name, color in panel.colors.items():
        made.override_by_name(name, [color_of(color)])
    if meanings is not None:
        made.mappings(words(meanings))
    return made if decimals is None else made.decimals(decimals)


def bars(panel: Panel, *, limits: ThresholdsConfig | None = None) -> bargauge.Panel:
    """One horizontal bar a series, with its newest value."""
    return (
        bargauge.Panel()
        .title(panel.title)
        .description(panel.description)
        .unit(panel.unit)
        .datasource(PROMETHEUS)
        .targets([*dataqueries(panel.queries)])
        .span(panel.width)
        .height(panel.height)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .orientation(common.VizOrientation.HORIZONTAL)
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .thresholds(limits or thresholds(below="blue"))
        .min(0)
        .links(_links(panel))
    )


def timeline(panel: Panel, *, meanings: Mapping[int, Word]) -> statetimeline.Panel:
    """A row a series, coloured by what its number means."""
    return (
        statetimeline.Panel()
        .title(panel.title)
        .description(panel.description)
        .unit(panel.unit)
        .datasource(PROMETHEUS)
        .targets([*dataqueries(panel.queries)])
        .span(panel.width)
        .height(panel.height)
        .mappings(words(meanings))
        .merge_values(merge_values=True)
        .show_value(common.VisibilityMode.AUTO)
        .row_height(0.9)
        .fill_opacity(80)
        .legend(VizLegendOptions().show_legend(show_legend=False))
        .tooltip(VizTooltipOptions().mode(common.TooltipDisplayMode.SINGLE))
        .links(_links(panel))
    )


def buckets(panel: Panel) -> heatmap.Panel:
    """A heat map of a histogram: `panel.unit` is that of the buckets' edges."""
    return (
        heatmap.Panel()
        .title(panel.title)
        .description(panel.description)
        .unit(panel.unit)
        .datasource(PROMETHEUS)
        .targets([*dataqueries(panel.queries)])
        .span(panel.width)
        .height(panel.height)
        .calculate(calculate=False)
        .color(
            HeatmapColorOptions()
            .mode(HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .exponent(0.5)
            .steps(64)
        )
        .cell_gap(1)
        .y_axis(YAxisConfig().unit(panel.unit).axis_placement(common.AxisPlacement.LEFT))
        .scale_distribution(ScaleDistributionConfig().type(common.ScaleDistribution.LINEAR))
        .show_legend()
        .links(_links(panel))
    )


def _legend() -> VizLegendOptions:
    return (
        VizLegendOptions()
        .show_legend(show_legend=True)
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
    )


def _links(panel: Panel) -> list[Builder[models.DashboardLink]]:
    if not panel.more:
        return []
    return [DashboardLink("More").url(f"/d/{panel.more}?${{__url_time_range}}")]
