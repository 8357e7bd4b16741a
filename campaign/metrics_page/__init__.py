"""docs/metrics.md: every series of ours, read off the real registries and the real rules."""

from campaign.metrics_page.exporters import Exporter, Metric, documented, read_families
from campaign.metrics_page.labels import Bound, UndocumentedError, bound_of
from campaign.metrics_page.page import metrics_page

__all__ = [
    "Bound",
    "Exporter",
    "Metric",
    "UndocumentedError",
    "bound_of",
    "documented",
    "metrics_page",
    "read_families",
]
