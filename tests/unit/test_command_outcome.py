from __future__ import annotations

from dataclasses import replace

import pytest
from operators.command import ApiAnswer, Exit
from operators.command.outcome import Ending, judge
from operators.command.records import Finished

from campaign.model import SessionOutcome

LEFT = Ending(resolved=False, exit=Exit(code=0))
BROKEN = Ending(resolved=False, exit=Exit(code=1, stderr="Traceback\nboom"))


def test_what_is_resolved_stays_resolved_whatever_came_after_it() -> None:
    ending = replace(BROKEN, resolved=True, over_budget="spent", ended_because="flood")
    assert judge(ending).outcome is SessionOutcome.RESOLVED


def test_an_agent_that_leaves_without_resolving_has_given_up() -> None:
    verdict = judge(replace(LEFT, last_words="I could not find it."))
    assert verdict.outcome is SessionOutcome.GAVE_UP
    assert verdict.reason.endswith(": I could not find it.")


def test_a_spent_budget_is_told_in_the_sessions_words() -> None:
    verdict = judge(replace(BROKEN, over_budget="30 minutes are over"))
    assert (verdict.outcome, verdict.reason) == (
        SessionOutcome.BUDGET_SPENT,
        "30 minutes are over",
    )


def test_the_agents_own_limit_is_a_spent_budget_too() -> None:
    finished = Finished(is_error=True, over_budget=True, text="Reached maximum budget")
    verdict = judge(replace(BROKEN, finished=finished))
    assert verdict.outcome is SessionOutcome.BUDGET_SPENT
    assert "Reached maximum budget" in verdict.reason


def test_a_crash_is_the_agents_and_says_what_it_wrote_at_last() -> None:
    verdict = judge(BROKEN)
    assert verdict.outcome is SessionOutcome.FAILED
    assert verdict.reason == "the agent ended with exit code 1: Traceback\nboom"
    killed = judge(replace(BROKEN, exit=Exit(code=-9)))
    assert "was ended by signal 9" in killed.reason


@pytest.mark.parametrize("status", [408, 409, 424, 425, 429, 500, 503, 529, 0])
def test_when_the_provider_is_out_the_session_can_be_taken_up_again(status: int) -> None:
    verdict = judge(replace(BROKEN, api=ApiAnswer(status=status)))
    assert verdict.outcome is SessionOutcome.UNAVAILABLE


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_none_of_the_operators_faults(status: int) -> None:
    verdict = judge(replace(BROKEN, api=ApiAnswer(status=status, error="invalid x-api-key")))
    assert verdict.outcome is SessionOutcome.UNAVAILABLE
    assert "refused the key" in verdict.reason
    again = judge(replace(LEFT, key_refused="the model's API refused the key (401)"))
    assert again.outcome is SessionOutcome.UNAVAILABLE


@pytest.mark.parametrize("status", [400, 402, 404])
def test_a_request_that_is_not_accepted_is_for_whoever_set_it_up(status: int) -> None:
    verdict = judge(replace(BROKEN, api=ApiAnswer(status=status, error="no credit")))
    assert verdict.outcome is SessionOutcome.UNAVAILABLE
    assert f"did not accept the request ({status}): no credit" in verdict.reason


@pytest.mark.parametrize(
    ("status", "words"), [(413, "request_too_large"), (400, "prompt is too long: 210000 tokens")]
)
def test_a_conversation_that_outgrew_the_model_is_the_agents_own_affair(
    status: int, words: str
) -> None:
    verdict = judge(replace(BROKEN, api=ApiAnswer(status=status, error=words)))
    assert verdict.outcome is SessionOutcome.FAILED


def test_an_agent_that_errs_after_a_good_answer_has_failed_itself() -> None:
    """It cannot make an outage up: what went by the relay counts."""
    finished = Finished(is_error=True, api_status=529, text="overloaded, honestly")
    verdict = judge(replace(BROKEN, api=ApiAnswer(status=200), finished=finished))
    assert verdict.outcome is SessionOutcome.FAILED


def test_without_a_relay_the_agents_word_counts() -> None:
    verdict = judge(replace(LEFT, finished=Finished(is_error=True, api_status=529)))
    assert verdict.outcome is SessionOutcome.UNAVAILABLE


def test_an_outage_that_passed_is_none() -> None:
    assert judge(replace(LEFT, api=ApiAnswer(status=529))).outcome is SessionOutcome.GAVE_UP


def test_only_the_end_of_long_words_is_told() -> None:
    verdict = judge(replace(BROKEN, exit=Exit(code=1, stderr="x" * 10_000 + "the end")))
    assert verdict.reason.endswith("the end")
    assert len(verdict.reason) < 1_000
