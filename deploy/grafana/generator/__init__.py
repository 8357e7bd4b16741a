"""Grafana's dashboards as code: a module each, written to `deploy/grafana/dashboards`."""

from deploy.grafana.generator.files import FOLDER, rendered, write
from deploy.grafana.generator.pages import PAGES

__all__ = ["FOLDER", "PAGES", "rendered", "write"]
