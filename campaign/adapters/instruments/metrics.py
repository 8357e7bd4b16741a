"""PromQL through Prometheus' API, for what operators may see (see `promql` and `metric_names`)."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import aiohttp
from operators import ToolError
from operators.toolbox.instruments import Metric, Series

from campaign.adapters.instruments.metric_names import (
    APP_JOB,
    HIDDEN_LABELS,
    JOB,
    SEEN_PATTERN,
    family,
    help_of,
    is_seen,
)
from campaign.adapters.instruments.promql import HiddenError, QueryError, restricted

#: more points of one series than this are not for reading
MOST_POINTS = 1000
#: an answer is cut here; the message says so
MOST_SERIES = 200
_MOST_METRICS = 1000
_LONGEST_HELP = 300
_ANSWER_BYTES = 8 << 20
#: Prometheus' own limit for one query, and ours for the whole call
_EVALUATION_S = 4
_TIMEOUT = aiohttp.ClientTimeout(total=6)
#: what was not scraped for so long is not listed
_LISTED_S = 300.0


#: of a call; a name may come twice
_Parameters: TypeAlias = list[tuple[str, str]]


@dataclass(kw_only=True)
class _Family:
    labels: set[str] = field(default_factory=set)
    of_app: bool = False


class SeenMetrics:
    """Implements `operators.toolbox.instruments.Metrics`; one question at a time."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._one_at_a_time = asyncio.Lock()

    async def list(self) -> Sequence[Metric]:
        """Those with a sample in the last five minutes, by name."""
        selectors = [f'{{{JOB}="{APP_JOB}"}}', f'{{__name__=~"{SEEN_PATTERN}"}}']
        parameters = [("match[]", selector) for selector in selectors]
        parameters += [("start", f"{time.time() - _LISTED_S:.0f}")]
        found = await self._ask("series", parameters)
        told = await self._ask(
            "targets/metadata", [("match_target", f'{{{JOB}="{APP_JOB}"}}')], method="GET"
        )
        about = {each["metric"]: each for each in told if "metric" in each}
        families: dict[str, _Family] = {}
        for labels in found[: 100 * _MOST_METRICS]:
            name = family(labels["__name__"])
            if name not in families and len(families) >= _MOST_METRICS:
                continue
            known = families.setdefault(name, _Family())
            known.labels |= set(labels) - HIDDEN_LABELS - {"__name__"}
            known.of_app |= labels.get(JOB) == APP_JOB
        return [_metric(name, families[name], about) for name in sorted(families)]

    async def instant(self, query: str, *, at: float | None) -> Sequence[Series]:
        """See the protocol; a number or text is one series without labels.

        Raises:
            ToolError: the query is not understood, refused, too large or too slow.
            PermissionError: it names a series that is not shown.
        """
        parameters = [("query", _restricted(query)), ("timeout", f"{_EVALUATION_S}s")]
        if at is not None and not math.isfinite(at):
            raise ToolError("at is a time: epoch seconds")
        if at is not None:
            parameters.append(("time", f"{at:.3f}"))
        return _series(await self._ask("query", parameters))

    async def range(
        self, query: str, *, start: float, end: float, step_s: float
    ) -> Sequence[Series]:
        """See `instant`."""
        if not (math.isfinite(start) and math.isfinite(end) and start <= end):
            raise ToolError("a range begins (start) before it ends (end)")
        if not (math.isfinite(step_s) and step_s >= 1):
            raise ToolError("step_s is at least 1: metrics are collected once a second")
        if (end - start) / step_s > MOST_POINTS:
            least = math.ceil((end - start) / MOST_POINTS)
            raise ToolError(f"more than {MOST_POINTS} points: take a step_s of {least} or more")
        parameters = [
            ("query", _restricted(query)),
            *(("start", f"{start:.3f}"), ("end", f"{end:.3f}"), ("step", f"{step_s:g}")),
            ("timeout", f"{_EVALUATION_S}s"),
        ]
        return _series(await self._ask("query_range", parameters))

    async def _ask(self, route: str, parameters: _Parameters, *, method: str = "POST") -> Any:
        """The `data` of the answer. Raises ToolError."""
        url = f"{self._url}/api/v1/{route}"
        reads = method == "GET"
        try:
            async with (
                self._one_at_a_time,
                aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=False) as session,
                session.request(
                    method,
                    url,
                    allow_redirects=False,
                    params=parameters if reads else None,
                    data=None if reads else parameters,
                ) as reply,
            ):
                body = await _read(reply)
        except TimeoutError as error:
            raise ToolError(_TOO_SLOW) from error
        except aiohttp.ClientError as error:
            raise ToolError("the metrics cannot be reached: try again in some seconds") from error
        return _data(body)


_TOO_SLOW = (
    f"it took longer than {_EVALUATION_S} s: aggregate, name the series, or take a shorter time"
)


async def _read(reply: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in reply.content.iter_any():
        body += chunk
        if len(body) > _ANSWER_BYTES:
            raise ToolError("the answer is too large: aggregate, or take a longer step_s")
    return bytes(body)


def _data(body: bytes) -> Any:
    try:
        answer = json.loads(body)
        if answer["status"] == "success":
            return answer["data"]
        kind, words = answer.get("errorType", ""), answer.get("error", "")
    except (ValueError, KeyError, TypeError) as error:
        raise ToolError("the metrics gave no proper answer: try again") from error
    if kind in {"timeout", "canceled"}:
        raise ToolError(_TOO_SLOW)
    raise ToolError(f"the query is refused: {words}")


def _restricted(query: str) -> str:
    try:
        return restricted(query)
    except QueryError as error:
        raise ToolError(f"the query is refused: {error}") from error
    except HiddenError as error:
        raise PermissionError(str(error)) from error


def _series(data: Mapping[str, Any]) -> Sequence[Series]:
    kind, result = data["resultType"], data["result"]
    if kind in {"scalar", "string"}:
        at, value = result
        if kind == "string":
            return (Series(labels={"value": str(value)}, points=()),)
        return (Series(labels={}, points=((float(at), float(value)),)),)
    if len(result) > MOST_SERIES:
        raise ToolError(
            f"{len(result)} series, and {MOST_SERIES} can be shown: aggregate (sum by (…)), "
            "pick some (topk), or name labels"
        )
    return tuple(_one(each) for each in result if _may_be_shown(each["metric"]))


def _one(found: Mapping[str, Any]) -> Series:
    values = found.get("values") or ([found["value"]] if "value" in found else [])
    return Series(
        labels={
            name: value for name, value in found["metric"].items() if name not in HIDDEN_LABELS
        },
        points=tuple((float(at), float(value)) for at, value in values),
    )


def _may_be_shown(labels: Mapping[str, str]) -> bool:
    """The query could not read any other; looked at all the same."""
    name = labels.get("__name__")
    return name is None or labels.get(JOB) in {None, APP_JOB} or is_seen(name)


def _metric(name: str, known: _Family, about: Mapping[str, Mapping[str, str]]) -> Metric:
    """The app says itself what its metrics are; of the others we know."""
    if not known.of_app:
        kind = "histogram" if family(f"{name}_sum") == name else ""
        kind = kind or ("counter" if name.endswith("_total") else "gauge")
        return _told(name, kind, help_of(name), known)
    told: Mapping[str, str] = {}
    for ending in ("", "_total", "_bucket", "_sum", "_count", "_created"):
        told = told or (about.get(name.removesuffix(ending), {}) if name.endswith(ending) else {})
    return _told(name, told.get("type", "unknown"), told.get("help", ""), known)


def _told(name: str, kind: str, text: str, known: _Family) -> Metric:
    return Metric(
        name=name, type=kind, help=text[:_LONGEST_HELP], labels=tuple(sorted(known.labels))
    )
