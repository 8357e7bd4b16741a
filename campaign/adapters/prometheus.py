"""What Prometheus recorded, as samples for the core, and whole series for reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Self

import aiohttp
from pydantic import BaseModel, ValidationError

from campaign.model import GeneratorHealth, Sample
from campaign.ports import Observation, PortError

#: Everything that was recorded of late, with the rules' own timestamps: one query for one look.
#: What the app itself exposes has no say in it, whatever it is called.
_RECORDED = '{__name__=~"ratchet:.*",job!="app"}[5s]'
_OBSERVE_TIMEOUT = aiohttp.ClientTimeout(total=0.8)
_RANGE_TIMEOUT = aiohttp.ClientTimeout(total=10)

_INVARIANT = "ratchet:invariant_"
#: recorded after all else of its invariant: what carries its timestamp is complete
_LAST = "limit"
_COMPONENT = "prometheus"


class _Series(BaseModel):
    metric: dict[str, str]
    values: list[tuple[float, float]]


class _Matrix(BaseModel):
    resultType: Literal["matrix"]  # noqa: N815 - Prometheus spells it so
    result: list[_Series]


class _Answer(BaseModel):
    status: Literal["success", "error"]
    data: _Matrix | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value of a series; NaN and infinities are possible."""

    #: epoch seconds
    at: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeSeries:
    """One series over time, oldest point first; gaps are left out."""

    labels: Mapping[str, str]
    points: tuple[Point, ...]


class PrometheusClient:
    """Implements `campaign.ports.Metrics`; used within `async with`."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._session.close()

    async def observe(self) -> Observation:
        """The newest complete evaluation of every invariant, and the generator's health.

        What an evaluation did not record, for want of data, is None: an older value never stands
        in for it.

        Raises:
            PortError: Prometheus cannot be reached in 0.8 s, or answers something else.
        """
        series = await self._ask("query", {"query": _RECORDED}, patience=_OBSERVE_TIMEOUT)
        return Observation(samples=_samples(series), generator=_generator(series))

    async def range_series(
        self, query: str, *, start: float, end: float, step_s: float
    ) -> tuple[RangeSeries, ...]:
        """`query` evaluated every `step_s` seconds from `start` to `end` (epoch seconds).

        Raises:
            PortError: as above, or the query is refused.
        """
        parameters = {"query": query, "start": start, "end": end, "step": step_s}
        found = await self._ask("query_range", parameters, patience=_RANGE_TIMEOUT)
        return tuple(
            RangeSeries(
                labels=series.metric,
                points=tuple(Point(at=at, value=value) for at, value in series.values),
            )
            for series in found
        )

    async def _ask(
        self, route: str, parameters: Mapping[str, object], *, patience: aiohttp.ClientTimeout
    ) -> list[_Series]:
        url = f"{self._url}/api/v1/{route}"
        try:
            async with self._session.post(url, data=parameters, timeout=patience) as reply:
                body = await reply.read()
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise PortError(_COMPONENT, f"gave no answer: {exc!r}") from exc
        return _matrix(body, status=reply.status)


def _matrix(body: bytes, *, status: int) -> list[_Series]:
    try:
        answer = _Answer.model_validate_json(body)
    except ValidationError as exc:
        reason = f"answered {status} with something else than its API promises: {body[:200]!r}"
        raise PortError(_COMPONENT, reason) from exc
    if answer.status == "error" or answer.data is None:
        raise PortError(_COMPONENT, f"refused the query: {answer.error or 'no data in the answer'}")
    return answer.data.result


def _samples(found: Iterable[_Series]) -> tuple[Sample, ...]:
    """One sample of each invariant, all parts of it from the same evaluation."""
    parts: dict[str, dict[str, dict[float, float]]] = {}
    for series in found:
        name = series.metric.get("__name__", "")
        if not name.startswith(_INVARIANT):
            continue
        part = name.removeprefix(_INVARIANT)
        invariant = series.metric.get("invariant", "")
        of_invariant = parts.setdefault(invariant, {})
        if part in of_invariant:
            raise PortError(_COMPONENT, f"{name} of {invariant!r} is recorded more than once")
        of_invariant[part] = dict(series.values)
    return tuple(_sample(invariant, of) for invariant, of in parts.items() if of.get(_LAST))


def _sample(invariant: str, parts: Mapping[str, Mapping[float, float]]) -> Sample:
    measured_at = max(parts[_LAST])

    def then(part: str) -> float | None:
        return parts.get(part, {}).get(measured_at)

    return Sample(
        invariant=invariant,
        value=then("value"),
        samples=then("samples"),
        offered=then("offered"),
        measured_at=measured_at,
    )


def _generator(found: Iterable[_Series]) -> GeneratorHealth | None:
    newest = {
        series.metric.get("__name__", ""): max(series.values)[1]
        for series in found
        if series.values
    }
    lag_s = newest.get("ratchet:generator_lag_seconds")
    cpu_ratio = newest.get("ratchet:generator_cpu_ratio")
    if lag_s is None or cpu_ratio is None:
        return None
    return GeneratorHealth(lag_s=lag_s, cpu_ratio=cpu_ratio)
