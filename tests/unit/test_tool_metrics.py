from __future__ import annotations

import math
from typing import Any

import pytest
from operators import Answer
from operators.toolbox.instruments import Metric, Series

from tests.toolbox_kit import Bench, Panel, full_toolbox

#: 2023-11-14 22:13:20 UTC
NOW = 1_700_000_000.0


def metric(name: str, text: str = "", labels: tuple[str, ...] = ()) -> Metric:
    return Metric(name=name, type="gauge", help=text, labels=labels)


def series(*values: float, step_s: float = 5.0, **labels: str) -> Series:
    return Series(
        labels=labels,
        points=tuple((NOW + step_s * number, value) for number, value in enumerate(values)),
    )


async def asked(arguments: dict[str, Any], *found: Series) -> tuple[Answer, list[Any]]:
    panel = Panel(answers=[list(found)])
    answer = await full_toolbox(Bench(at=NOW), panel).call("query_metrics", arguments)
    return answer, panel.asked


async def listed(contains: str | None, *metrics: Metric) -> Answer:
    panel = Panel(answers=[metrics])
    return await full_toolbox(Bench(), panel).call("list_metrics", {"contains": contains})


async def test_a_whole_number_may_come_as_an_int() -> None:
    (answer, _) = await asked({"query": "up"}, series(3), series(math.inf), series(2**60))
    values = [line.rpartition(" ")[2] for line in answer.text.splitlines()[:-1]]
    assert values == ["3", "inf", "1.15292e+18"]


async def test_metrics_are_listed_by_name_with_labels_type_and_help() -> None:
    answer = await listed(None, metric("b_total", "of b"), metric("a_total", "of a", ("x", "y")))
    assert answer.text.splitlines() == [
        "a_total{x, y} (gauge) of a",
        "b_total (gauge) of b",
        "(2 of 2 metrics)",
    ]


async def test_the_list_can_be_narrowed_by_name_or_help() -> None:
    answer = await listed("POOL", metric("db_pool"), metric("x", "of the pool"), metric("y"))
    assert answer.text.splitlines()[-1] == "(2 of 3 metrics)"
    nothing = await listed("nope", metric("x"))
    assert nothing.is_error
    assert "without contains" in nothing.text


async def test_a_list_that_is_too_long_is_cut() -> None:
    answer = await listed(None, *(metric(f"m{n}", "x" * 1_000) for n in range(500)))
    assert len(answer.text) < 31_000
    assert "[cut: too much to show; narrow it]\n(500 of 500 metrics)" in answer.text


async def test_one_moment_is_told_a_line_a_series() -> None:
    up, down = series(1.0, __name__="up", job="app"), series(0.123456789, job="db")
    answer, sent = await asked({"query": "up"}, up, down)
    assert sent == [("up", None)]
    assert answer.text.splitlines() == [
        'up{job="app"} 1',
        '{job="db"} 0.123457',
        "(2 series at 2023-11-14 22:13:20Z; times are UTC)",
    ]


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("now", NOW),
        ("-5m", NOW - 300),
        ("now-1h30m", NOW - 5400),
        ("-1.5s", NOW - 1.5),
        ("-2d", NOW - 172_800),
        (1_600_000_000, 1_600_000_000.0),
        ("1600000000.5", 1_600_000_000.5),
        ("2020-09-13T12:26:40Z", 1_600_000_000.0),
        ("2020-09-13T12:26:40", 1_600_000_000.0),
    ],
)
async def test_a_time_can_be_said_in_several_ways(said: Any, at: float) -> None:
    _, sent = await asked({"query": "up", "at": said}, series(1.0))
    assert sent == [("up", at)]


@pytest.mark.parametrize("said", ["5m", "yesterday", "-5y", "", "nan", "inf", -1, 1e300, "-9" * 30])
async def test_what_is_no_time_is_refused_with_what_would_be_one(said: Any) -> None:
    answer, sent = await asked({"query": "up", "at": said})
    assert answer.is_error
    assert "at: " in answer.text
    assert "-5m" in answer.text
    assert sent == []


async def test_a_short_range_is_told_point_by_point() -> None:
    answer, sent = await asked(
        {"query": "up", "start": "-15s", "end": "now", "step_s": 5}, series(1.0, 2.5, math.nan)
    )
    assert sent == [("up", NOW - 15, NOW, 5.0)]
    assert "{} 22:13:20=1 22:13:25=2.5 22:13:30=nan" in answer.text
    assert "from 2023-11-14 22:13:05Z to 2023-11-14 22:13:20Z, every 5 s" in answer.text


async def test_a_long_range_is_summed_up() -> None:
    answer, sent = await asked(
        {"query": "x", "start": "-10m"}, series(*map(float, range(60)), math.inf, a="b")
    )
    assert sent == [("x", NOW - 600, NOW, 10.0)]
    assert answer.text.splitlines()[0] == (
        '{a="b"} min=0 avg=29.5 max=59 first=0 last=inf (highest at 22:18:15, 61 points)'
    )
    empty, _ = await asked({"query": "x", "start": "-10m"}, series(*[math.nan] * 50))
    assert "50 points, none of them a number" in empty.text


async def test_very_many_series_are_cut() -> None:
    answer, _ = await asked({"query": "x"}, *(series(1.0, n=str(n)) for n in range(150)))
    assert "[cut: 50 more series; aggregate with sum by (…)]\n(150 series" in answer.text
    wide, _ = await asked({"query": "x"}, *(series(1.0, n="x" * 5_000) for _ in range(100)))
    assert len(wide.text) < 31_000


async def test_no_series_says_what_may_be_the_reason() -> None:
    answer, _ = await asked({"query": "nope"})
    assert (answer.is_error, "see list_metrics" in answer.text) == (False, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"end": "now"}, "give start too"),
        ({"step_s": 5}, "give start too"),
        ({"at": "now", "start": "-5m"}, "give either at"),
        ({"start": "now", "end": "-5m"}, "is not after start"),
        ({"start": "-1d", "step_s": 1}, "give a step_s of at least 87"),
        ({"start": "-5m", "step_s": 0}, "step_s: Input should be greater than or"),
        ({"query": ""}, "query: String should have at least 1"),
    ],
)
async def test_a_range_that_is_none_is_refused(arguments: dict[str, Any], said: str) -> None:
    answer, sent = await asked({"query": "x"} | arguments)
    assert answer.is_error
    assert said in answer.text
    assert sent == []
