from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.webhook.patience import (
    ACKNOWLEDGED,
    Failure,
    Patience,
    delay,
    judge,
    retry_after_s,
)

PATIENCE = Patience(first_s=1.0, growth=2.0, longest_s=60.0, longest_wish_s=300.0)
#: Sat, 21 Nov 2026 16:00:00 GMT
NOW = 1795276800.0


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_acknowledges(status: int) -> None:
    assert judge(status, retry_after=None, at=NOW) is ACKNOWLEDGED


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (101, Failure.REFUSED),
        (301, Failure.REDIRECTED),
        (307, Failure.REDIRECTED),
        (400, Failure.REFUSED),
        (401, Failure.REFUSED),
        (404, Failure.REFUSED),
        (410, Failure.GONE),
        (429, Failure.THROTTLED),
        (500, Failure.SERVER_ERROR),
        (503, Failure.SERVER_ERROR),
    ],
)
def test_nothing_else_does(status: int, failure: Failure) -> None:
    answer = judge(status, retry_after=None, at=NOW)
    assert answer.failure is failure
    assert str(status) in answer.words


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Sat, 21 Nov 2026 16:01:30 GMT", 90.0),
        ("Sat, 21 Nov 2026 15:00:00 GMT", 0.0),
        ("9" * 400, 999_999_999.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("١٢", None),
    ],
)
def test_a_wish_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after_s(text, at=NOW) == seconds


@pytest.mark.parametrize(("attempt", "longest"), [(1, 1), (2, 2), (3, 4), (7, 60), (5000, 60)])
def test_waits_double_up_to_the_longest(attempt: int, longest: float) -> None:
    assert delay(PATIENCE, attempt, retry_after_s=None, chance=1.0) == longest
    assert delay(PATIENCE, attempt, retry_after_s=None, chance=0.0) == longest / 2


def test_the_receivers_wish_is_kept_up_to_a_limit() -> None:
    assert delay(PATIENCE, 1, retry_after_s=30.0, chance=0.5) == 30.0
    assert delay(PATIENCE, 1, retry_after_s=1e9, chance=0.5) == 300.0


def test_a_wish_makes_no_wait_shorter() -> None:
    assert delay(PATIENCE, 6, retry_after_s=1.0, chance=0.0) == 16.0


@given(
    attempt=st.integers(1, 10**6),
    wish=st.none() | st.floats(0, 1e12),
    chance=st.floats(0, 1),
)
def test_no_wait_is_shorter_than_half_the_first_or_longer_than_the_longest(
    attempt: int, wish: float | None, chance: float
) -> None:
    waited = delay(PATIENCE, attempt, retry_after_s=wish, chance=chance)
    assert 0.5 <= waited <= 300.0
