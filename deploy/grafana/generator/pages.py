"""All dashboards, in the order in which they are linked."""

from __future__ import annotations

from deploy.grafana.generator.app import APP
from deploy.grafana.generator.campaign import CAMPAIGN
from deploy.grafana.generator.load import LOAD
from deploy.grafana.generator.operator_session import OPERATOR_SESSION
from deploy.grafana.generator.page import Page
from deploy.grafana.generator.postgres import POSTGRES
from deploy.grafana.generator.slos import SLOS

PAGES: tuple[Page, ...] = (CAMPAIGN, SLOS, APP, POSTGRES, LOAD, OPERATOR_SESSION)
