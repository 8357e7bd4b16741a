"""What there is to measure, and its values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from pydantic import Field, model_validator

from operators.toolbox.answer import Answer
from operators.toolbox.bounds import one_line, plain
from operators.toolbox.errors import ToolError
from operators.toolbox.instruments import Metric, Series
from operators.toolbox.times import SAID, Moment, clock, date_and_clock, seconds
from operators.toolbox.tool import Arguments, Tool, Work

_MAX_CHARS = 30_000
_MAX_SERIES = 100
#: with more points than this a series is summed up
_MAX_POINTS_SHOWN = 24
_MAX_POINTS = 1_000
#: into so many steps a range is divided when nothing is said
_USUAL_STEPS = 60


class ListArguments(Arguments):
    """Which metrics are wanted."""

    contains: str | None = Field(
        default=None,
        max_length=200,
        description="Only those with this text in their name or help, whatever its case.",
    )


class QueryArguments(Arguments):
    """A query, for one moment or a range."""

    query: str = Field(
        min_length=1,
        max_length=10_000,
        description="PromQL. Example: rate(process_cpu_seconds_total[30s])",
    )
    at: Moment | None = Field(
        default=None, description=f"For one moment: {SAID}. Left out, without start: now."
    )
    start: Moment | None = Field(default=None, description=f"For a range, its beginning: {SAID}.")
    end: Moment | None = Field(
        default=None, description=f"For a range, its end: {SAID}. Left out: now."
    )
    step_s: float | None = Field(
        default=None,
        ge=1,
        le=86_400,
        description="For a range: seconds between points, at least 1. Left out: a sixtieth of "
        "the range.",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> QueryArguments:
        if self.start is None and (self.end is not None or self.step_s is not None):
            raise ValueError("end and step_s are of a range: give start too")
        if self.start is not None and self.at is not None:
            raise ValueError("give either at (one moment) or start and end (a range)")
        return self


async def _list(work: Work, arguments: ListArguments) -> Answer:
    metrics = await work.instruments.metrics.list()
    wanted = (arguments.contains or "").lower()
    found = [of for of in metrics if wanted in f"{of.name} {of.help}".lower()]
    if not found:
        raise ToolError(
            f"none of the {len(metrics)} metrics has that in its name or help; list them without "
            "contains, or with a shorter text"
        )
    lines = _fitting(_listed(metric) for metric in sorted(found, key=lambda of: of.name))
    return Answer(text="\n".join((*lines, f"({len(found)} of {len(metrics)} metrics)")))


def _listed(metric: Metric) -> str:
    labels = f"{{{', '.join(metric.labels)}}}" if metric.labels else ""
    return one_line(plain(f"{metric.name}{labels} ({metric.type}) {metric.help}"), 400).rstrip()


async def _query(work: Work, arguments: QueryArguments) -> Answer:
    now, metrics = work.desk.now(), work.instruments.metrics
    if arguments.start is None:
        at = None if arguments.at is None else seconds(arguments.at, now=now, name="at")
        found = await metrics.instant(arguments.query, at=at)
        return Answer(text=_told(found, f"at {date_and_clock(now if at is None else at)}"))
    start = seconds(arguments.start, now=now, name="start")
    end = now if arguments.end is None else seconds(arguments.end, now=now, name="end")
    step_s = arguments.step_s or max(1.0, float(math.ceil((end - start) / _USUAL_STEPS)))
    _require_range(start, end, step_s)
    found = await metrics.range(arguments.query, start=start, end=end, step_s=step_s)
    span = f"from {date_and_clock(start)} to {date_and_clock(end)}, every {step_s:g} s"
    return Answer(text=_told(found, span))


def _require_range(start: float, end: float, step_s: float) -> None:
    if end <= start:
        raise ToolError(f"end ({date_and_clock(end)}) is not after start ({date_and_clock(start)})")
    if (end - start) / step_s > _MAX_POINTS:
        raise ToolError(
            f"that is more than {_MAX_POINTS} points a series: give a step_s of at least "
            f"{math.ceil((end - start) / _MAX_POINTS)}, or a shorter range"
        )


def _told(found: Sequence[Series], when: str) -> str:
    if not found:
        return (
            f"no series {when}. There may be none of that name (see list_metrics), none with such "
            "labels, or no samples at that time; a rate needs two samples in its range."
        )
    lines = _fitting(_line(series) for series in found[:_MAX_SERIES])
    if len(found) > _MAX_SERIES:
        lines.append(f"[cut: {len(found) - _MAX_SERIES} more series; aggregate with sum by (…)]")
    return "\n".join((*lines, f"({len(found)} series {when}; times are UTC)"))


def _line(series: Series) -> str:
    name = one_line(plain(_labels(series.labels)), 500)
    points = series.points
    if len(points) == 1:
        return f"{name} {_value(points[0][1])}"
    if len(points) <= _MAX_POINTS_SHOWN:
        return f"{name} " + " ".join(f"{clock(at)}={_value(value)}" for at, value in points)
    numbers = [value for _, value in points if math.isfinite(value)]
    if not numbers:
        return f"{name} {len(points)} points, none of them a number"
    highest = max(points, key=lambda point: point[1] if math.isfinite(point[1]) else -math.inf)
    parts = {
        "min": min(numbers),
        "avg": math.fsum(numbers) / len(numbers),
        "max": max(numbers),
        "first": points[0][1],
        "last": points[-1][1],
    }
    told = " ".join(f"{what}={_value(value)}" for what, value in parts.items())
    return f"{name} {told} (highest at {clock(highest[0])}, {len(points)} points)"


def _labels(labels: Mapping[str, str]) -> str:
    name = labels.get("__name__", "")
    rest = ", ".join(f'{key}="{of}"' for key, of in sorted(labels.items()) if key != "__name__")
    return f"{name}{{{rest}}}" if rest or not name else name


def _value(value: float) -> str:
    value = float(value)  # a whole number may come as an int, which knows no is_integer before 3.12
    if value.is_integer() and abs(value) < 1e15:  # noqa: PLR2004 - where a float still counts by one
        return str(int(value))
    return f"{value:.6g}"


def _fitting(lines: Iterable[str]) -> list[str]:
    kept: list[str] = []
    budget = _MAX_CHARS
    for line in lines:
        budget -= len(line) + 1
        if budget < 0:
            kept.append("[cut: too much to show; narrow it]")
            break
        kept.append(line)
    return kept


LIST = Tool(
    name="list_metrics",
    description="""\
List the metrics that can be asked for: name, labels, type and help, of the app, of its database, \
and of what clients see of it.
Limits: about 30,000 characters; use contains to narrow it.
Example: {"contains": "latency"}
When nothing is found, list them without contains.""",
    arguments=ListArguments,
    run=_list,
    needs="instruments",
)

QUERY = Tool(
    name="query_metrics",
    description="""\
Ask for metrics in PromQL: their value at one moment (at, or now), or over a range (start, end, \
step_s). Answers one line a series: labels, then the value; over a range the points, or, when \
there are many, min, avg, max, first and last.
A selector without a name, such as {method="GET"}, sees only what is measured from outside of the \
app (by its clients, of its database), unless it says job="app"; with a name it sees either.
Limits: 100 series, 1000 points each; samples are taken each second, so that rate(…[10s]) works.
Examples: {"query": "rate(process_cpu_seconds_total[10s])"}
{"query": "process_open_fds", "start": "-5m", "end": "now", "step_s": 15}
When it is refused, the error quotes what is wrong with the query. When there is no series, look \
the name up with list_metrics and the labels by asking for the bare name.""",
    arguments=QueryArguments,
    run=_query,
    needs="instruments",
)
