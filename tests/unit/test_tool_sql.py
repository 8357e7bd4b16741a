from __future__ import annotations

import re
from typing import Any

from operators.toolbox.instruments import Rows

from tests.toolbox_kit import Bench, Panel, full_toolbox


async def shown(*rows: tuple[Any, ...], columns: tuple[str, ...], cut: bool = False) -> str:
    given = Rows(columns=columns, rows=rows, cut=cut, status="SELECT 2", duration_s=0.0456)
    panel = Panel(answers=[given])
    answer = await full_toolbox(Bench(), panel).call("sql", {"query": "select"})
    assert panel.asked == [("select", 100, 10.0)]
    return answer.text


async def test_rows_are_an_aligned_table_with_their_number_and_the_duration() -> None:
    text = await shown(
        (1, "short", None), (22, "a\nlonger one", True), columns=("id", "name", "on")
    )
    assert text.splitlines() == [
        "id | name          | on",
        "---+---------------+-----",
        "1  | short         | NULL",
        r"22 | a\nlonger one | t",
        "(2 rows; SELECT 2; 0.046 s)",
    ]


async def test_bounds_are_handed_on() -> None:
    panel = Panel(answers=[Rows(columns=(), rows=(), cut=False, status="SET", duration_s=0.0)])
    asked = {"query": "SET x = 1", "max_rows": 7, "timeout_s": 60}
    answer = await full_toolbox(Bench(), panel).call("sql", asked)
    assert panel.asked == [("SET x = 1", 7, 60.0)]
    assert answer.text == "(0 rows; SET; 0.000 s)"


async def test_a_table_without_rows_still_names_its_columns() -> None:
    assert (await shown(columns=("id",))).splitlines()[0] == "id"


async def test_rows_that_were_left_out_are_said_to_be() -> None:
    assert "(1 row; there are more: raise max_rows" in await shown((1,), columns=("a",), cut=True)


async def test_a_table_that_is_too_long_is_cut_at_a_row() -> None:
    text = await shown(*((n, "x" * 1_000) for n in range(1_000)), columns=("n", "x"))
    assert len(text) < 31_000
    left = re.search(r"\(1000 rows, the last (\d+) not shown: too long; choose columns", text)
    assert left is not None
    assert text.count("\n") == 1_000 - int(left[1]) + 2
    assert "…" in text


class Counted:
    """A value that knows how often it was put into words."""

    def __init__(self) -> None:
        self.times = 0

    def __str__(self) -> str:
        self.times += 1
        return "x"


async def test_what_will_not_be_shown_of_a_huge_table_costs_nothing() -> None:
    value = Counted()
    names = tuple(f"c{number}" for number in range(1_600))
    text = await shown(*(((value,) * 1_600,) * 1_000), columns=names)
    assert value.times < 20_000
    assert re.search(r"\(1000 rows, the last (9\d\d|1000) not shown: too long", text)


async def test_of_many_short_rows_as_many_are_shown_as_fit() -> None:
    text = await shown(*((("",) * 3,) * 1_000), columns=("a", "b", "c"))
    assert text.endswith("(1000 rows; SELECT 2; 0.046 s)")


async def test_a_plans_lines_are_shown_whole() -> None:
    line = "  ->  Seq Scan on messages  " + "x" * 500
    assert line in await shown((line,), columns=("QUERY PLAN",))


async def test_values_of_every_kind_can_be_shown() -> None:
    text = await shown(({"a": [1, "é"]}, [1, 2], 1.5, "\0", b"x"), columns=tuple("abcde"))
    assert '{"a": [1, "é"]} | [1, 2] | 1.5 | \N{REPLACEMENT CHARACTER} | b\'x\'' in text
