"""One dashboard: sections of panels, with what all dashboards have in common."""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, Row
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from deploy.grafana.generator.annotations import Annotation, annotation, common_annotations
from deploy.grafana.generator.variables import Variable, variable

#: by this tag the dashboards link to each other
TAG = "ratchet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Panels under a heading; they flow from left to right, 24 columns wide."""

    title: str
    panels: tuple[Builder[models.Panel], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A dashboard. `uid` is its address in Grafana (`/d/<uid>`) and the name of its file."""

    uid: str
    title: str
    #: the question that it answers
    description: str
    sections: tuple[Section, ...]
    variables: tuple[Variable, ...] = ()
    #: besides those that every dashboard has
    annotations: tuple[Annotation, ...] = ()

    def build(self) -> models.Dashboard:
        """The dashboard with its panels numbered and placed."""
        page = self._empty()
        for each in (*common_annotations(), *self.annotations):
            page.annotation(annotation(each))
        for each_variable in self.variables:
            page.with_variable(variable(each_variable))
        number = 0
        for section in self.sections:
            number += 1
            page.with_row(Row(section.title).id(number))
            for panel in section.panels:
                number += 1
                page.with_panel(_Numbered(panel, number))
        return _in_sight(page.build())

    def _empty(self) -> Dashboard:
        others = (
            DashboardLink("Ratchet")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .keep_time(keep_time=True)
            .tooltip("The other dashboards, at the same time")
        )
        return (
            Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags([TAG])
            .timezone("browser")
            .time("now-15m", "now")
            .refresh("5s")
            .tooltip(models.DashboardCursorSync.CROSSHAIR)
            .readonly()
            .link(others)
        )


def _in_sight(page: models.Dashboard) -> models.Dashboard:
    """Links and marks at the top, and not in a menu, which is all that the library can say."""
    marks = page.annotations.list_val if page.annotations else None
    panels = (panel for panel in page.panels or () if isinstance(panel, models.Panel))
    links = (link for panel in panels for link in panel.links or ())
    for shown in (*(page.links or ()), *links, *(marks or ())):
        shown.placement = None
    return page


class _Numbered(Builder[models.Panel]):
    """A panel with the number that addresses it within its dashboard."""

    def __init__(self, panel: Builder[models.Panel], number: int) -> None:
        self._panel = panel
        self._number = number

    def build(self) -> models.Panel:
        panel = self._panel.build()
        panel.id_val = self._number
        return panel
