"""What a failed call of the provider means, and how long to wait before the next one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

#: of a message of the provider's that is put on record
_SHOWN_CHARS = 500
_PASSING_TYPES = frozenset({"rate_limit_error", "overloaded_error", "api_error", "timeout_error"})
_PASSING_STATUSES = frozenset({408, 409, 424, 425, 429})
_NO_CREDIT = ("credit balance", "spend limit", "spending limit", "usage limit")
_TOO_LONG = ("prompt is too long", "exceed context limit", "input is too long", "context window")

_OK, _SERVER_FAULT = 200, 500
_BAD, _UNKNOWN_KEY, _NO_MONEY, _FORBIDDEN, _NOT_FOUND, _TOO_LARGE = 400, 401, 402, 403, 404, 413


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A call that gave no whole answer."""

    #: of the HTTP answer; an error inside of a stream comes with 200; None: there was no answer
    status: int | None
    #: as the API names it, such as overloaded_error; empty: it named none
    type: str
    message: str
    #: what the provider asks for; None: nothing
    retry_after_s: float | None = None
    request_id: str = ""

    @property
    def words(self) -> str:
        """Such as "529 overloaded_error: Overloaded (req_1)"."""
        status = "" if self.status in {None, _OK} else str(self.status)
        head = " ".join(part for part in (status, self.type) if part)
        said = " ".join(self.message.split())[:_SHOWN_CHARS]
        text = ": ".join(part for part in (head, said) if part)
        return f"{text} ({self.request_id})" if self.request_id else text


class Fault(Enum):
    """What a trouble means."""

    #: the provider's, and likely to pass: try again
    PASSING = auto()
    #: the provider's, until somebody does something about the account
    NO_CREDIT = auto()
    #: the conversation has outgrown the model's context window
    TOO_LONG = auto()
    #: the request's or the key's: the same again would end the same
    OURS = auto()


def classify(trouble: Trouble) -> Fault:
    """By its type first: an error event inside of a stream has status 200."""
    said = trouble.message.lower()
    if trouble.status == _TOO_LARGE or trouble.type == "request_too_large":
        return Fault.TOO_LONG
    if trouble.status == _NO_MONEY or trouble.type == "billing_error":
        return Fault.NO_CREDIT
    if trouble.type in _PASSING_TYPES or trouble.status in _PASSING_STATUSES:
        return Fault.NO_CREDIT if any(words in said for words in _NO_CREDIT) else Fault.PASSING
    if trouble.status is None or trouble.status >= _SERVER_FAULT:
        return Fault.PASSING
    if trouble.status == _OK and trouble.type != "invalid_request_error":
        return Fault.PASSING
    if any(words in said for words in _TOO_LONG):
        return Fault.TOO_LONG
    if any(words in said for words in _NO_CREDIT):
        return Fault.NO_CREDIT
    return Fault.OURS


def advice(trouble: Trouble, *, model: str) -> str:
    """What to do about a trouble that is ours."""
    match trouble.status:
        case 401:
            return (
                f"the API key was not accepted ({trouble.words}): set ANTHROPIC_API_KEY, or "
                "--api-key-file, to one that is valid"
            )
        case 403:
            return (
                f"the API key may not do this ({trouble.words}): check what its workspace may use, "
                f"or choose another model than {model}"
            )
        case 404 if trouble.type:
            return (
                f"the provider does not know what was asked for ({trouble.words}): is there a "
                f"model {model}? choose one by --model"
            )
        case 404:
            return f"there is no Messages API at this address ({trouble.words}): check the base URL"
        case _:
            return (
                f"the provider did not accept the request ({trouble.words}): check --model, "
                "--effort and the base URL; if they are right, this is a fault of Ratchet"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a provider that fails is asked again; seconds."""

    first_s: float = 2.0
    growth: float = 2.0
    #: of one wait; the provider's own wish for one is cut to it too
    longest_s: float = 60.0
    #: from the first failure of a call on
    total_s: float = 300.0
    #: calls until one gives a whole answer
    attempts: int = 12


def delay(patience: Patience, attempt: int, *, retry_after_s: float | None, chance: float) -> float:
    """Seconds before the next call, after so many that failed (from 1).

    Doubles each time, spread over the upper half by `chance` (0 to 1), so that sessions that
    failed together do not come back together. The provider's wish is a lower bound.
    """
    grown = min(patience.longest_s, patience.first_s * patience.growth ** (attempt - 1))
    spread = grown * (0.5 + chance / 2)
    wished = min(retry_after_s or 0.0, patience.longest_s)
    return max(spread, wished)


def next_wait(
    patience: Patience,
    attempt: int,
    *,
    failing_s: float,
    retry_after_s: float | None,
    chance: float,
) -> float | None:
    """The delay, or None when patience is at its end; `failing_s` since the first failure."""
    if attempt >= patience.attempts:
        return None
    wait = delay(patience, attempt, retry_after_s=retry_after_s, chance=chance)
    return None if failing_s + wait > patience.total_s else wait
