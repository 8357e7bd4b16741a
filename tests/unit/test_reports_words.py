"""Numbers and foreign text as people read them."""

from __future__ import annotations

import pytest

from reports import words


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (None, "—"),
        (0.0, "0.0 s"),
        (4.23, "4.2 s"),
        (9.97, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7440, "2 h 04 min"),
        (float("inf"), "—"),
    ],
)
def test_a_duration_is_as_exact_as_it_is_short(seconds: float | None, written: str) -> None:
    assert written == words.duration(seconds)


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [
        (None, "ratio", "—"),
        (float("nan"), "ratio", "—"),
        (float("inf"), "count", "∞"),
        (0.0, "ratio", "0 %"),
        (0.05, "ratio", "5 %"),
        (0.3142, "ratio", "31.4 %"),
        (0.1, "seconds", "100 ms"),
        (1.25, "seconds", "1.25 s"),
        (100_000, "bytes", "100 kB"),
        (1_040_000, "bytes", "1.04 MB"),
        (37.0, "count", "37"),
        (48_200, "count", "48\u202f200"),
    ],
)
def test_a_quantity_wears_its_unit(value: float | None, unit: str, written: str) -> None:
    assert written == words.quantity(value, unit)


def test_a_clock_shows_hours_only_when_there_are_any() -> None:
    assert [words.clock(seconds) for seconds in (0, 62.9, 3599, 3600)] == [
        "0:00",
        "1:02",
        "59:59",
        "1:00:00",
    ]


def test_foreign_text_cannot_move_the_cursor_or_turn_the_line_around() -> None:
    hostile = "a\x1b[2Jb\r\nc\u202ed\x07"

    assert words.printable(hostile) == "a [2Jb c d"


def test_a_long_call_is_cut_in_each_argument_and_as_a_whole() -> None:
    line = words.call({"path": "models.py", "text": "x" * 500, "more": "y" * 500}, width=60)

    assert line.startswith("path=models.py, text=xxx")
    assert len(line) == 60
    assert line.endswith("…")
