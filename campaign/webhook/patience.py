"""What a receiver's answer means, and how long to wait before the next attempt. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum

_OK = range(200, 300)
_REDIRECTS = range(300, 400)
_SERVER_FAULT = 500
#: more digits of seconds are a time that nobody waits for
_DIGITS = 9
#: a power that no float overflows by
_MOST_DOUBLINGS = 60


class Failure(StrEnum):
    """Why a notice was not acknowledged; also a metric's label, so there are few of them."""

    TIMEOUT = "timeout"
    #: refused, reset, not found, or no HTTP
    CONNECTION = "connection"
    REDIRECTED = "redirected"
    #: 410: the receiver wants no more
    GONE = "gone"
    THROTTLED = "throttled"
    REFUSED = "refused"
    SERVER_ERROR = "server_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one attempt."""

    #: None: it was acknowledged
    failure: Failure | None = None
    #: for people; never holds the address or a secret
    words: str = ""
    #: what the receiver asks for, seconds; None: nothing
    retry_after_s: float | None = None


ACKNOWLEDGED = Answer()


def judge(status: int, *, retry_after: str | None, at: float) -> Answer:
    """An HTTP answer; `at` is now, epoch seconds."""
    if status in _OK:
        return ACKNOWLEDGED
    words = f"it answered {status}"
    failure = _failure(status)
    if failure is Failure.REDIRECTED:
        words = f"{words}, and redirects are not followed"
    wished = None if retry_after is None else retry_after_s(retry_after, at=at)
    return Answer(failure=failure, words=words, retry_after_s=wished)


def _failure(status: int) -> Failure:
    if status in _REDIRECTS:
        return Failure.REDIRECTED
    match status:
        case 410:
            return Failure.GONE
        case 429:
            return Failure.THROTTLED
        case _ if status >= _SERVER_FAULT:
            return Failure.SERVER_ERROR
        case _:
            return Failure.REFUSED


def retry_after_s(text: str, *, at: float) -> float | None:
    """Seconds from now, of a Retry-After header: a number of them, or a date. None: neither."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:_DIGITS])
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How a receiver that fails is asked again, without end; seconds."""

    first_s: float = 1.0
    growth: float = 2.0
    #: of one wait
    longest_s: float = 60.0
    #: what a receiver's own wish is cut to
    longest_wish_s: float = 300.0


def delay(patience: Patience, attempt: int, *, retry_after_s: float | None, chance: float) -> float:
    """Seconds before the next attempt, after so many that failed (from 1).

    Doubles each time, spread over the upper half by `chance` (0 to 1), so that campaigns that
    failed together do not come back together. The receiver's wish is a lower bound.
    """
    doublings = min(attempt - 1, _MOST_DOUBLINGS)
    grown = min(patience.longest_s, patience.first_s * patience.growth**doublings)
    spread = grown * (0.5 + chance / 2)
    return max(spread, min(retry_after_s or 0.0, patience.longest_wish_s))
