"""What clients see: how long their requests take and how many fail, by PromQL."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from tests.fake_messages.oncall.asking import Work, insist
from tests.fake_messages.oncall.conversation import Call, Result
from tests.fake_messages.oncall.evidence import NotEnoughError, succeeded

_METRIC = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>[^}]*)\})?")
_SERIES = re.compile(r'^\{\w+="(?P<of>[^"]*)"\} (?P<value>[-+\w.]+)$')
_VALUE = re.compile(r"^\{\} (?P<value>[-+\w.]+)$")
#: of the label that tells requests apart, the better first: clients', then the service's own
_KINDS = ("operation", "route")
_TOLERATED_ERRORS = 0.01
_QUICK_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """The queries that tell how clients fare."""

    #: 95th percentile, seconds, one series for each kind of request
    slowness: str
    #: requests that fail, of all
    failing: str
    #: what the service is judged by: 1 for each that is violated; empty: there is no such metric
    violations: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How clients fare."""

    p95_s: dict[str, float]
    failing: float
    violated: frozenset[str] = frozenset()

    def better_than(self, before: Seen, affected: set[str]) -> bool:
        """Nothing is violated that was; the affected are quick, and hardly any request fails."""
        return (
            not self.violated & before.violated
            and self.failing <= _TOLERATED_ERRORS
            and all(
                self._is_quick(name, before.p95_s[name]) for name in affected & set(before.p95_s)
            )
        )

    def _is_quick(self, name: str, before_s: float) -> bool:
        now_s = self.p95_s.get(name, math.inf)
        return math.isfinite(now_s) and now_s <= max(_QUICK_S, _known(before_s) / 2)


def gauges(listed: Result) -> Gauges:
    """From the list of metrics.

    Raises:
        NotEnoughError: none of them tells how requests fare.
    """
    metrics = _metrics(succeeded(listed, "the list of metrics"))
    for kind in _KINDS:
        histogram = _first(metrics, r"request_duration_seconds$", kind)
        if not histogram:
            continue
        all_ = f"sum(rate({histogram}_count[10s]))"
        errors = _first(metrics, r"request\w*_errors_total$", kind)
        failed = f"sum(rate({errors}[10s]))"
        if not errors:
            requests = _first(metrics, r"requests_total$", kind)
            failed = f'(sum(rate({requests}{{status=~"5.."}}[10s])) or vector(0))'
            if not requests:
                continue
        return Gauges(
            slowness=(
                f"histogram_quantile(0.95, sum by (le, {kind}) (rate({histogram}_bucket[10s])))"
            ),
            failing=f"{failed} / {all_}",
            violations=_violations(metrics),
        )
    raise NotEnoughError("no metric tells how requests fare")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What clients see, and what else was asked beside it, in its order."""

    seen: Seen
    others: tuple[Result, ...]


def look(say: str, gauges_: Gauges, *others: Call) -> Work[Look]:
    """One turn.

    Raises:
        NotEnoughError: the metrics say nothing.
    """
    queries = [gauges_.slowness, gauges_.failing]
    queries += [gauges_.violations] if gauges_.violations else []
    calls = [Call(tool="query_metrics", arguments={"query": query}) for query in queries]
    results = yield from insist(say, *calls, *others)
    answers = [succeeded(result, "a query of metrics") for result in results[: len(calls)]]
    p95 = _series(answers[0])
    ratios = [_VALUE.match(line) for line in answers[1].splitlines()]
    ratio = next((float(match["value"]) for match in ratios if match), None)
    verdicts = _series(answers[2]) if gauges_.violations else {}
    if not p95 or ratio is None or (gauges_.violations and not verdicts):
        raise NotEnoughError("the metrics do not show how requests fare")
    violated = frozenset(name for name, value in verdicts.items() if value)
    return Look(
        seen=Seen(p95_s=p95, failing=ratio, violated=violated), others=results[len(calls) :]
    )


def _series(answer: str) -> dict[str, float]:
    """Values by the one label that each series has."""
    found = (_SERIES.match(line) for line in answer.splitlines())
    return {match["of"]: float(match["value"]) for match in found if match}


def _violations(metrics: dict[str, set[str]]) -> str:
    """1 for what is alerted of, 0 for all else that there is a limit for."""
    label = "invariant"
    alerts, limit = _first(metrics, r"^ALERTS$", label), _first(metrics, r"_limit$", label)
    if not alerts or not limit:
        return ""
    firing = f'count by ({label}) ({alerts}{{alertstate="firing"}})'
    return f"{firing} or on ({label}) (0 * {limit})"


def _known(p95_s: float) -> float:
    """Nothing came to its end in this time: whatever follows is better."""
    return math.inf if math.isnan(p95_s) else p95_s


def _metrics(text: str) -> dict[str, set[str]]:
    """Labels by name; a histogram may be listed by its parts."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        match = _METRIC.match(line.strip())
        if match:
            labels = {label.strip() for label in (match["labels"] or "").split(",")}
            found.setdefault(match["name"].removesuffix("_bucket"), set()).update(labels)
    return found


def _first(metrics: dict[str, set[str]], name: str, label: str) -> str:
    names = (of for of, labels in metrics.items() if label in labels and re.search(name, of))
    return next(names, "")
