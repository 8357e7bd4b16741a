"""What assertions say."""

from __future__ import annotations

import json
import math

import pytest
from pydantic import BaseModel

from campaign.gates.finding import AppFailedError, expect, expect_true, holds, shortened


def test_equal_things_say_nothing() -> None:
    expect("numbers", expected=[1, 2], actual=[1, 2])
    expect_true("a number", met=True, expected="anything", actual=1)


def test_what_differs_is_told_in_a_sentence_and_in_full() -> None:
    with pytest.raises(AppFailedError, match=r"tokens: expected 3, got 4") as caught:
        expect("tokens", expected=3, actual=4)
    finding = caught.value.finding()
    assert not finding.passed
    assert finding.details == {"expected": 3, "actual": 4}


def test_of_long_lists_it_is_told_where_they_part() -> None:
    right = list(range(100))
    wrong = [*right[:60], -1, *right[61:]]
    with pytest.raises(AppFailedError, match=r"ids after the first 60: expected \[60, ") as caught:
        expect("ids", expected=right, actual=wrong)
    assert caught.value.details["actual"][:2] == [-1, 61]


def test_what_is_missing_at_the_end_is_told() -> None:
    with pytest.raises(AppFailedError, match=r"ids after the first 2: expected \[3\], got \[\]"):
        expect("ids", expected=[1, 2, 3], actual=[1, 2])


class Shape(BaseModel):
    """Somebody's answer."""

    name: str


@pytest.mark.parametrize(
    "value",
    [
        "x" * 100_000,
        b"\xff\x00" * 100_000,
        list(range(100_000)),
        dict.fromkeys(range(1000), "x" * 1000),
        [[[[[[["deep"]]]]]]],
        "\ud800 half a pair",
        10**400,
        math.nan,
        math.inf,
        {"set": {1, 2}},
        Shape(name="y" * 100_000),
        object(),
    ],
)
def test_whatever_an_app_says_is_kept_as_a_little_json(value: object) -> None:
    text = json.dumps(shortened(value), allow_nan=False, ensure_ascii=False)
    assert len(text.encode()) < 8000


def test_what_holds_says_by_how_much() -> None:
    assert holds("all is well", looked_at=5).details == {"looked_at": 5}
