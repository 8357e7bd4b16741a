"""The page itself: one table of the metrics, and one of their labels."""

from __future__ import annotations

from collections.abc import Iterator

from campaign.adapters.instruments.metric_names import family, is_seen
from campaign.metrics_page.exporters import Exporter, Metric, documented
from campaign.metrics_page.labels import bound_of

_INTRODUCTION = """\
# Metrics

What Ratchet's own processes tell Prometheus, and what its rules record. This page is generated
(`make metrics`) from the real registries and rules, and a test says when it is stale. Names follow
[Prometheus's rules](https://prometheus.io/docs/practices/naming/): base units as endings,
counters end in `_total`, a name without a unit counts what it says. `promtool check metrics` has
nothing against any of them; a test asks it about what each process really exposes.

- A histogram has `_bucket`, `_sum` and `_count`; its edges are fixed, so that those of several load
  generators can be added up. Every series of a scrape has `job` and `instance` as well.
- In brackets: how many values a label can have at most ([why](#labels)). Nothing grows with time,
  traffic, users or revisions, and with trials up to the plan's number of them.
- *Seen*: operators may query it; everything else of ours is hidden from them
  ([boundary](boundary.md)).
- Recorded series are named `level:metric`: the level `ratchet` is the whole campaign, added up over
  whatever was scraped. There is no third part: what was done to a value is the invariant's own
  matter (`invariants.yaml`), and to the generator's health the maximum of the window.
- The target app's metrics are its own, and the supervisor, Postgres and the relays export none.

"""

_LABELS = """
## Labels

| label | of | values |
|---|---|---|
"""


def metrics_page() -> str:
    """The Markdown of docs/metrics.md.

    Raises:
        UndocumentedError: something is exported that nobody has explained.
    """
    exporters = documented()
    table = "\n".join((_HEAD, *_rows(exporters)))
    return f"{_INTRODUCTION}{table}\n{_LABELS}{chr(10).join(_bounds(exporters))}\n"


_HEAD = """\
| name | type | unit | labels | from | seen | meaning |
|---|---|---|---|---|---|---|"""


def _rows(exporters: tuple[Exporter, ...]) -> Iterator[str]:
    for exporter in exporters:
        for metric in exporter.metrics:
            cells = (
                f"`{metric.name}`",
                metric.type,
                metric.unit,
                _labels(exporter, metric),
                exporter.title,
                "yes" if _is_seen(metric) else "",
                metric.meaning,
            )
            yield f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def _labels(exporter: Exporter, metric: Metric) -> str:
    return ", ".join(
        f"`{label}` ({bound_of(exporter.job, metric.name, label).most})" for label in metric.labels
    )


def _is_seen(metric: Metric) -> bool:
    name = f"{metric.name}_count" if metric.type == "histogram" else metric.name
    return is_seen(name) and family(name) == metric.name


def _bounds(exporters: tuple[Exporter, ...]) -> Iterator[str]:
    """Each bound once, with all the metrics that it is of."""
    of: dict[tuple[str, str], list[str]] = {}
    for exporter in exporters:
        for metric in exporter.metrics:
            for label in metric.labels:
                told = bound_of(exporter.job, metric.name, label).told
                of.setdefault((label, told), []).append(metric.name)
    every = {
        label: {name for (each, _), names in of.items() if each == label for name in names}
        for label, _ in of
    }
    for (label, told), names in sorted(of.items()):
        whose = "all" if set(names) == every[label] else ", ".join(f"`{name}`" for name in names)
        yield f"| `{label}` | {whose} | {told} |"
