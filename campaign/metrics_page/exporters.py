"""Who exports which metrics: read off registries that a simulated campaign went through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from ruamel.yaml import YAML

from campaign.adapters.database.exposition import DatabaseFindings, Findings, LedgerFindings
from campaign.adapters.database.workload import Workload
from campaign.host_metrics import HostMetrics
from campaign.machine import Campaign, step
from campaign.metrics_page.labels import UndocumentedError
from campaign.model import Event, Timings
from campaign.testing import Simulation, World, make_plan, spender
from campaign.webhook.metrics import WebhookMetrics
from chaos_profiles import PROFILES_ROOT, calibrated, load_catalogue, rules_yaml
from chaos_profiles.rules import RECORDED
from loadgen.chat_db_app import BEHAVIOURS
from loadgen.master_metrics import MasterInstruments
from loadgen.metrics import Instruments

#: base units that a name ends in, before `_total`
_UNITS = frozenset({"seconds", "bytes", "ratio", "hertz", "dollars"})
#: what belongs to a histogram and is no label of ours
_EDGE = "le"

#: a look at a database in which nothing goes on
_DATABASE = DatabaseFindings(
    connections={},
    stuck=0,
    max_connections=0,
    wal_bytes=0,
    statements=0,
    workload=Workload(
        committed=0,
        rolled_back=0,
        rows_read=0,
        rows_written=0,
        blocks_cached=0,
        blocks_fetched=0,
        temp_bytes=0,
        deadlocks=0,
        waiting=0,
        longest_s=0.0,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric as PromQL knows it; of a histogram, the name without its endings."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str

    @property
    def unit(self) -> str:
        """A base unit in the plural, or nothing: a plain number, of what the name says."""
        last = self.name.removesuffix("_total").rpartition("_")[2]
        return last if last in _UNITS else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter:
    """A process with a registry, or Prometheus's own rules."""

    #: the value of the label `job`; empty: recorded by rules
    job: str
    title: str
    metrics: tuple[Metric, ...]


def documented() -> tuple[Exporter, ...]:
    """All there are.

    Raises:
        UndocumentedError: a metric whose labels nothing made visible, or a rule without a meaning.
    """
    return (
        Exporter(job="loadgen", title="load generator", metrics=read_families(_load_generator())),
        Exporter(job="loadgen", title="its master", metrics=read_families(_master())),
        Exporter(job="ratchet", title="daemon", metrics=read_families(_daemon())),
        Exporter(job="", title="rules", metrics=tuple(_recorded())),
    )


def read_families(families: Iterable[Family]) -> tuple[Metric, ...]:
    """The metrics of any number of scrapes of a registry, by name.

    Raises:
        UndocumentedError: one of them never had a sample, so that its labels are not known.
    """
    found: dict[str, Family] = {}
    labels: dict[str, dict[str, None]] = {}
    for family in families:
        found[family.name] = family
        for sample in family.samples:
            labels.setdefault(family.name, {}).update(dict.fromkeys(sample.labels))
    if silent := sorted(found.keys() - labels.keys()):
        raise UndocumentedError(
            f"no sample of {', '.join(silent)}: let the campaign in {__name__} bring one about"
        )
    return tuple(_metric(found[name], labels[name]) for name in sorted(found))


def _metric(family: Family, labels: Iterable[str]) -> Metric:
    ending = "_total" if family.type == "counter" else ""
    return Metric(
        name=family.name + ending,
        type=family.type,
        labels=tuple(
            label for label in labels if not (family.type == "histogram" and label == _EDGE)
        ),
        meaning=family.documentation,
    )


def _load_generator() -> Iterator[Family]:
    instruments = Instruments()
    for behaviour in BEHAVIOURS:
        instruments.series(behaviour=behaviour.name, operation="any")
        instruments.users.labels(behaviour.name)
    yield from instruments.registry.collect()


def _master() -> Iterator[Family]:
    yield from MasterInstruments(expected=1).registry.collect()


def _daemon() -> Iterator[Family]:
    registry = CollectorRegistry()
    metrics, findings = HostMetrics(registry), Findings()
    WebhookMetrics(registry)
    registry.register(findings)
    findings.probed(_DATABASE)
    findings.checked(LedgerFindings(lost_tokens=0, missing_messages=0, acknowledged_writes=0))
    yield from registry.collect()
    before: Campaign | None = None
    for event in _journal():
        after = step(before, event).campaign
        metrics.observe(before, event, after)
        yield from registry.collect()
        before = after


def _journal() -> list[Event]:
    """A campaign in which all there is to count happens: tickets, deployments, costs."""
    events: list[Event] = []
    Simulation(World(plan=make_plan(1)), events, operator=spender, begin_at=1.0).run()
    return events


def _recorded() -> Iterator[Metric]:
    """What the rules of a bundled target record and alert on."""
    invariants = calibrated(load_catalogue(PROFILES_ROOT / "chat_db_app").invariants, 0.0)
    text = rules_yaml(invariants, Timings())
    (group,) = YAML(typ="safe").load(StringIO(text))["groups"]
    labels: dict[str, Mapping[str, str]] = {}
    for rule in group["rules"]:
        name = rule.get("record", "ALERTS")
        own = {"alertname": "", "alertstate": ""} if name == "ALERTS" else {}
        labels[name] = own | rule.get("labels", {})
    for name, of_rule in labels.items():
        if name not in RECORDED:
            raise UndocumentedError(f"{name} is recorded: say in chaos_profiles.rules what it is")
        yield Metric(name=name, type="gauge", labels=tuple(of_rule), meaning=RECORDED[name])
