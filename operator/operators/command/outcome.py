"""How a session ended, judged from how the agent's process did."""

from __future__ import annotations

from dataclasses import dataclass

from campaign.model import SessionOutcome
from operators.command.records import Finished
from operators.command.runner import ApiAnswer, Exit

#: statuses
REFUSED_KEY = frozenset({401, 403})
#: the provider is busy, or has no more for us for now
_BUSY = frozenset({408, 409, 424, 425, 429, 529})
_SERVER_ERRORS = range(500, 600)
#: the request, the account or the address is wrong, and whoever set it up has to see to it
_NOT_ACCEPTED = range(400, 500)
#: the conversation has outgrown the model: that is the agent's own affair
_TOO_LARGE = 413
_TOO_LONG = ("prompt is too long", "exceed context limit", "input is too long", "context window")

_SHOWN_CHARS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """All that is known when no more of the agent runs."""

    resolved: bool
    exit: Exit
    finished: Finished | None = None
    #: the last answer of the model's API
    api: ApiAnswer | None = None
    #: the model's last words
    last_words: str = ""
    #: in the session's words, when a budget was spent
    over_budget: str = ""
    #: why it was ended by us for another reason
    ended_because: str = ""
    #: the model's API refuses our key, again and again
    key_refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome, with the reason for people."""

    outcome: SessionOutcome
    reason: str = ""


def judge(ending: Ending) -> Verdict:
    """What is resolved stays so, whatever came after it."""
    if ending.resolved:
        return Verdict(outcome=SessionOutcome.RESOLVED)
    if ending.over_budget:
        return Verdict(outcome=SessionOutcome.BUDGET_SPENT, reason=ending.over_budget)
    if ending.key_refused:
        return Verdict(outcome=SessionOutcome.UNAVAILABLE, reason=ending.key_refused)
    if ending.ended_because:
        return Verdict(outcome=SessionOutcome.FAILED, reason=ending.ended_because)
    if ending.finished is not None and ending.finished.over_budget:
        words = f"the agent stopped at its own limit: {_shown(ending.finished.text)}"
        return Verdict(outcome=SessionOutcome.BUDGET_SPENT, reason=words)
    if not _is_broken(ending):
        return Verdict(outcome=SessionOutcome.GAVE_UP, reason=_left(ending))
    return _broken(ending)


def refused_key(answer: ApiAnswer) -> str:
    """For people: what is to be done about it."""
    return _refused(answer.status, _shown(answer.error))


def _refused(status: int | None, words: str) -> str:
    return f"the model's API refused the key ({status}): {words}"


def _is_broken(ending: Ending) -> bool:
    return ending.exit.code != 0 or (ending.finished is not None and ending.finished.is_error)


def _broken(ending: Ending) -> Verdict:
    words = _error_words(ending)
    if trouble := _trouble(_api_status(ending), words):
        # No operator is to be blamed for it: the campaign waits.
        return Verdict(outcome=SessionOutcome.UNAVAILABLE, reason=trouble)
    code = ending.exit.code
    how = f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"
    return Verdict(outcome=SessionOutcome.FAILED, reason=f"the agent {how}: {words}")


def _trouble(status: int | None, words: str) -> str:
    """What is the matter with the model's API; empty: nothing."""
    if status is None:
        return ""
    if status == 0:
        return f"the model's API cannot be reached: {words}"
    if status in REFUSED_KEY:
        return _refused(status, words)
    if status in _BUSY or status in _SERVER_ERRORS:
        return f"the model's API answers {status}: {words}"
    outgrown = status == _TOO_LARGE or any(known in words.lower() for known in _TOO_LONG)
    if status in _NOT_ACCEPTED and not outgrown:
        return f"the model's API did not accept the request ({status}): {words}"
    return ""


def _api_status(ending: Ending) -> int | None:
    """What went by the relay counts; without it, what the agent says."""
    if ending.api is not None:
        return ending.api.status
    return None if ending.finished is None else ending.finished.api_status


def _error_words(ending: Ending) -> str:
    told = "" if ending.finished is None else ending.finished.text
    api = "" if ending.api is None else ending.api.error
    return _shown(told or api or ending.exit.stderr or ending.last_words or "it said nothing")


def _left(ending: Ending) -> str:
    told = "" if ending.finished is None else ending.finished.text
    words = told or ending.last_words
    return "the agent ended without resolving the ticket" + (f": {_shown(words)}" if words else "")


def _shown(text: str) -> str:
    """The end of it: that is where an error says what it is."""
    text = text.strip()
    return text if len(text) <= _SHOWN_CHARS else f"...{text[-_SHOWN_CHARS:]}"
