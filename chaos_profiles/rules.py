"""Calibrated invariants as Prometheus rules, so that Grafana and people see what is judged.

One group, evaluated every second, in this order: whether all parts of the generator are seen, what
each invariant is judged by (`ratchet:invariant_value`, `…_samples`, `…_offered`, `…_limit`, each
labelled `invariant`), the generator's own health, and an alert for each invariant. Where the data
is missing a series is absent for that second; nothing ever stands in for it.
"""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from prometheus_client.utils import floatToGoString
from ruamel.yaml import YAML

from campaign.model import Invariant, Timings
from campaign.model.invariant import TRAFFIC_FLOOR
from chaos_profiles.promql import fill

#: The edges of the load generator's histograms up to its client timeout (5 s, beyond which nothing
#: is told apart), fixed before any limit is calibrated; latency limits are rounded up to one.
LATENCY_EDGES_S = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75),
    *(1.0, 1.5, 2.0, 3.0),
)

#: As many violating evaluations in a row as open a ticket also fire the alert, which knows of no
#: warm-up: it can fire a little earlier, or for a load's first second that opens none.
_VIOLATING_EVALUATIONS = 2

#: what each recorded series says; `ALERTS` is Prometheus's own, of what the alerts of ours are
RECORDED: Mapping[str, str] = {
    "ratchet:invariant_value": "What each invariant is judged by, in its own unit.",
    "ratchet:invariant_samples": "Observations that the value rests on, within the window.",
    "ratchet:invariant_offered": "Observations that the load should have led to in the window.",
    "ratchet:invariant_limit": "The value above which each invariant is violated.",
    "ratchet:generator_incomplete": "Load generators that have a part in the load, while not "
    "just as many can be scraped; else there is none.",
    "ratchet:generator_lag_seconds": "How much too late a load generator woke up in the window.",
    "ratchet:generator_cpu_ratio": "Share of one core that a load generator used in the window.",
    "ALERTS": "1 for each invariant that is violated, or is about to be taken for violated.",
}

#: absent while all is well
_INCOMPLETE = "ratchet:generator_incomplete"

_HEADER = "# Written by ratchet from invariants.yaml and the calibration; changes are lost.\n"


class TooSlowError(ValueError):
    """A healthy request takes so long on this machine that no latency limit makes sense."""


def latency_limit(invariant: Invariant, healthy_p95_s: float) -> float | None:
    """The invariant's L in seconds, a bucket edge; None when it does not judge latency.

    Raises:
        TooSlowError: L would lie beyond the last edge.
    """
    if invariant.latency is None:
        return None
    wanted_s = max(invariant.latency.floor_s, invariant.latency.times_calibrated * healthy_p95_s)
    edge = bisect_left(LATENCY_EDGES_S, wanted_s)
    if edge == len(LATENCY_EDGES_S):
        raise TooSlowError(
            f"{invariant.id}: its limit would be {wanted_s:.2g} s, and at most "
            f"{LATENCY_EDGES_S[-1]:g} s can be told apart: use a faster or less busy machine"
        )
    return LATENCY_EDGES_S[edge]


def calibrated(invariants: Iterable[Invariant], healthy_p95_s: float) -> tuple[Invariant, ...]:
    """The invariants with their latency limits in force, and told in their titles.

    Raises:
        TooSlowError: see `latency_limit`.
    """
    return tuple(_calibrated(invariant, healthy_p95_s) for invariant in invariants)


def _calibrated(invariant: Invariant, healthy_p95_s: float) -> Invariant:
    limit_s = latency_limit(invariant, healthy_p95_s)
    if limit_s is None:
        return invariant
    told = f"{limit_s:g} s" if limit_s >= 1 else f"{limit_s * 1000:g} ms"
    title = invariant.title.replace("$L", told)
    return replace(invariant, latency_limit_s=limit_s, title=title)


def rules_yaml(invariants: Iterable[Invariant], timings: Timings) -> str:
    """The text of a Prometheus rules file; `invariants` are `calibrated`.

    Raises:
        ExpressionError: an invariant with a latency limit was not calibrated.
    """
    text = io.StringIO()
    yaml = YAML()
    yaml.width = 10_000  # an expression stays on its line
    yaml.dump({"groups": [_group(tuple(invariants), timings)]}, text)
    return _HEADER + text.getvalue()


def _group(invariants: tuple[Invariant, ...], timings: Timings) -> dict[str, Any]:
    rules = [_incomplete(timings)]
    rules += [rule for invariant in invariants for rule in _records(invariant, timings)]
    rules += _generator(timings)
    rules += [_alert(invariant, timings) for invariant in invariants]
    return {"name": "ratchet", "interval": _seconds(timings.evaluation_s), "rules": rules}


def _records(invariant: Invariant, timings: Timings) -> Iterator[dict[str, Any]]:
    # The limit comes last: a reader who finds it knows that the others were written before it.
    expressions = {
        "value": invariant.value,
        "samples": invariant.samples,
        "offered": _complete(invariant),
        "limit": f"vector({_number(invariant.limit)})",
    }
    values = _values(timings, invariant.latency_limit_s)
    for name, expression in expressions.items():
        yield {
            "record": f"ratchet:invariant_{name}",
            "expr": fill(expression, values),
            "labels": {"invariant": invariant.id},
        }


def _incomplete(timings: Timings) -> dict[str, Any]:
    """Whether some of the generators among which the load is divided cannot be scraped.

    Each that has a part says how many there are. While they disagree, or are not as many, less
    load is seen than was asked for, or some of it twice.
    """
    recent = _values(timings, None)["RECENT"]
    parts = f'(last_over_time(loadgen_load_parts{{job="loadgen"}}[{recent}]) > 0)'
    return {
        "record": _INCOMPLETE,
        "expr": f"max({parts}) != count({parts}) or max({parts}) != min({parts})",
    }


def _complete(invariant: Invariant) -> str:
    """What was offered; nothing while only a part of the load can be seen: UNKNOWN."""
    if "loadgen" not in invariant.sources:
        return invariant.offered
    return f"({invariant.offered}) unless on () {_INCOMPLETE}"


def _values(timings: Timings, latency_limit_s: float | None) -> dict[str, str]:
    values = {
        "RANGE": _seconds(timings.range_s),
        "RANGE_S": _number(timings.range_s),
        "SCRAPE_S": _number(timings.scrape_s),
        "RECENT": _seconds(2 * timings.scrape_s),
    }
    if latency_limit_s is not None:
        values["L"] = str(floatToGoString(latency_limit_s))  # type: ignore[no-untyped-call]
    return values


def _generator(timings: Timings) -> list[dict[str, Any]]:
    """The worst of the window: one starved second spoils all of it."""
    worst = {
        "ratchet:generator_lag_seconds": "loadgen_scheduler_lag_seconds",
        "ratchet:generator_cpu_ratio": "loadgen_cpu_ratio",
    }
    window = _seconds(timings.range_s)
    return [
        {"record": name, "expr": f'max(max_over_time({series}{{job="loadgen"}}[{window}]))'}
        for name, series in worst.items()
    ]


def _alert(invariant: Invariant, timings: Timings) -> dict[str, Any]:
    def recorded(name: str) -> str:
        return f'ratchet:invariant_{name}{{invariant="{invariant.id}"}}'

    return {
        "alert": "InvariantViolated",
        "expr": (
            f"{recorded('value')} > {recorded('limit')}"
            f" and {recorded('samples')} >= {TRAFFIC_FLOOR} * {recorded('offered')}"
            f" and {recorded('offered')} >= {_number(invariant.min_offered)}"
        ),
        "for": _seconds((_VIOLATING_EVALUATIONS - 1) * timings.evaluation_s),
        "labels": {"invariant": invariant.id, "kind": invariant.kind},
        "annotations": {"summary": invariant.title},
    }


def _seconds(duration_s: float) -> str:
    """A PromQL duration."""
    whole = duration_s == int(duration_s)
    return f"{int(duration_s)}s" if whole else f"{round(duration_s * 1000)}ms"


def _number(value: float) -> str:
    return f"{value:.12g}"
