"""A session of Claude's when the provider or the model misbehaves: each ends as it should."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any, Self

import pytest
from operators.claude import ClaudeDriver, ClaudeSettings, Patience
from operators.claude.meter import tokens_of
from operators.toolbox.answer import Answer

from campaign.model import Budget, SessionOutcome, SessionResult
from tests.claude_kit import (
    KEY,
    MODEL,
    PRIOR,
    TICKET,
    FakeSession,
    Played,
    play,
    price,
    results_in,
    texts_in,
)
from tests.fake_messages.misbehaviour import (
    BAD_GATEWAY_PAGE,
    CONTEXT_FULL,
    OVERLOADED,
    PROMPT_TOO_LONG,
    RATE_LIMITED_FOR_AN_HOUR,
    REFUSAL,
    RESOLVE,
    SERVER_ERROR,
    UNKNOWN_KEY,
    WRONG_PAGE,
    DeploysSyntaxErrors,
    Script,
    Step,
    Storm,
    call,
    calls,
    says,
)
from tests.fake_messages.model import (
    CutStream,
    DroppedConnection,
    Hang,
    HttpError,
    Misbehaviour,
    Reply,
    StreamError,
    Text,
    Thinking,
    ToolUse,
)

IMPATIENT = ClaudeSettings(patience=Patience(attempts=3))
LOOK = call("read_ticket")

#: (a fault of one call, words of it that must be on record)
PASSING: list[tuple[Misbehaviour, str]] = [
    (RATE_LIMITED_FOR_AN_HOUR, "429 rate_limit_error"),
    (OVERLOADED, "529 overloaded_error: Overloaded"),
    (SERVER_ERROR, "500 api_error: Internal server error"),
    (BAD_GATEWAY_PAGE, "502: an answer that is not JSON"),
    (WRONG_PAGE, "nothing of the Messages API came"),
    (StreamError(reply=LOOK), "overloaded_error: Overloaded"),
    (StreamError(reply=LOOK, type="api_error", message="Internal"), "api_error: Internal"),
    (CutStream(reply=LOOK), "the answer was cut: it ended before it was whole"),
    (CutStream(reply=LOOK, after_events=0), "nothing of the Messages API came"),
    (DroppedConnection(reply=LOOK), "the answer was cut"),
    (DroppedConnection(reply=LOOK, after_events=0), "no connection"),
    (Hang(reply=LOOK), "the connection was silent"),
    (Hang(reply=LOOK, after_events=5), "the connection was silent"),
]


IDS = [f"{type(fault).__name__}-{number}" for number, (fault, _) in enumerate(PASSING)]


@pytest.mark.parametrize(("fault", "words"), PASSING, ids=IDS)
async def test_a_provider_that_recovers_is_asked_again(fault: Misbehaviour, words: str) -> None:
    played = await play(Storm(fault=fault, times=2))
    assert played.result.outcome is SessionOutcome.RESOLVED
    remarks = played.session.tape.of("remark")
    assert len(remarks) == len(played.session.slept) == 2
    assert all(words in remark for remark in remarks)
    # The same again, and nothing of what was broken in it.
    first, *others = (body["messages"] for body in played.bodies)
    assert all(other == first for other in others)
    assert played.session.calls == ["resolve"]


@pytest.mark.parametrize(("fault", "words"), PASSING, ids=IDS)
async def test_a_provider_that_does_not_recover_is_unavailable(
    fault: Misbehaviour, words: str
) -> None:
    played = await play(Storm(fault=fault), settings=IMPATIENT)
    assert played.result.outcome is SessionOutcome.UNAVAILABLE
    assert words in played.result.reason
    assert "3 calls failed" in played.result.reason
    assert len(played.bodies) == 3


async def test_an_hour_of_rest_is_not_waited_for() -> None:
    played = await play(Storm(fault=RATE_LIMITED_FOR_AN_HOUR))
    assert played.result.outcome is SessionOutcome.UNAVAILABLE
    assert "which asks for 3600 s of rest" in played.result.reason
    assert set(played.session.slept) == {60.0}
    assert sum(played.session.slept) <= Patience().total_s


async def test_a_storm_is_ridden_out_with_growing_waits_up_to_a_limit() -> None:
    played = await play(Storm(fault=OVERLOADED))
    assert played.result.outcome is SessionOutcome.UNAVAILABLE
    slept = played.session.slept
    assert slept[:5] == [2.0, 4.0, 8.0, 16.0, 32.0]
    assert max(slept) <= 60.0
    assert sum(slept) <= 300.0


async def test_patience_is_whole_again_after_an_answer() -> None:
    steps: list[Step] = [*[OVERLOADED] * 6, LOOK, *[OVERLOADED] * 6, RESOLVE]
    played = await play(Script(steps=steps))
    assert played.result.outcome is SessionOutcome.RESOLVED
    assert played.session.slept[:6] == played.session.slept[6:]


async def test_the_time_budget_is_asked_before_each_new_try() -> None:
    played = await play(Storm(fault=OVERLOADED), FakeSession(budget=Budget(wall_s=10.0)))
    assert played.result.outcome is SessionOutcome.BUDGET_SPENT
    assert played.result.reason.startswith("10 s are over; of late the provider does not answer")
    assert len(played.bodies) == 3


async def test_what_a_broken_answer_has_cost_counts_but_is_no_turn() -> None:
    played = await play(Storm(fault=StreamError(reply=LOOK), times=1))
    broken, whole = played.session.spends[1], played.session.spends[-1]
    assert broken.turns == 0
    assert broken.tokens
    assert whole.turns == 1
    # The trace has it too, and comes to the same sum.
    [told], [turn] = played.session.tape.broken, played.session.tape.turns
    assert whole.tokens == (tokens_of(told) or 0) + (tokens_of(turn) or 0)
    assert (whole.tokens or 0) > broken.tokens


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (UNKNOWN_KEY, "set ANTHROPIC_API_KEY, or --api-key-file, to one that is valid"),
        (
            HttpError(status=403, type="permission_error", message="not for you"),
            "check what its workspace may use",
        ),
        (
            HttpError(status=404, type="not_found_error", message="model: claude-opus-5-5"),
            "is there a model claude-opus-5-5? choose one by --model",
        ),
        (
            HttpError(status=404, type="", message="", body=b"<html>nothing here</html>"),
            "there is no Messages API at this address",
        ),
        (
            HttpError(status=400, type="invalid_request_error", message="effort: not supported"),
            "check --model, --effort and the base URL",
        ),
    ],
)
async def test_what_is_ours_stops_the_campaign_and_says_what_to_do(
    fault: HttpError, words: str
) -> None:
    played = await play(Storm(fault=fault))
    assert played.result.outcome is SessionOutcome.UNAVAILABLE
    assert words in played.result.reason
    assert "req_fake" in played.result.reason
    assert len(played.bodies) == 1
    assert played.session.slept == []


class NoCredentialsError(Exception):
    """As botocore's: nothing of the SDK's."""


class TransportError(Exception):
    """As google.auth's: it may pass, and says so."""

    retryable = True


@dataclass(kw_only=True)
class Raises:
    """A client of the SDK's whose calls raise this, as often as there is one left."""

    errors: list[Exception]
    asked: int = 0

    @property
    def beta(self) -> Raises:
        return self

    @property
    def messages(self) -> Raises:
        return self

    async def create(self, **_asked: Any) -> None:
        self.asked += 1
        raise self.errors.pop(0) if len(self.errors) > 1 else self.errors[0]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None: ...


async def raising(client: Raises) -> SessionResult:
    session = FakeSession()
    made = ClaudeDriver(
        connect=lambda: client,
        model=MODEL,
        price=price,
        secret=KEY,
        settings=IMPATIENT,
        sleep=session.sleep,
    )
    return await made.drive(session)


@pytest.mark.parametrize(
    "error",
    [
        NoCredentialsError(f"Unable to locate credentials, not even {KEY}"),
        FileNotFoundError(2, "No such file", "credentials.json"),
        RuntimeError("no region"),
    ],
)
async def test_whatever_escapes_the_sdk_is_no_fault_of_the_operators(error: Exception) -> None:
    client = Raises(errors=[error])
    result = await raising(client)
    assert result.outcome is SessionOutcome.UNAVAILABLE
    assert result.reason.startswith(f"the provider cannot be asked: {type(error).__name__}")
    assert KEY not in result.reason
    assert client.asked == 1


@pytest.mark.parametrize("error", [TransportError("503"), ConnectionResetError("reset")])
async def test_what_may_pass_below_the_sdk_is_tried_again(error: Exception) -> None:
    client = Raises(errors=[error])
    result = await raising(client)
    assert result.outcome is SessionOutcome.UNAVAILABLE
    assert "3 calls failed" in result.reason
    assert client.asked == 3


async def test_a_client_that_cannot_be_made_is_no_fault_of_the_operators() -> None:
    def connect() -> Raises:
        raise ValueError(f"no region; {KEY}")

    session = FakeSession()
    made = ClaudeDriver(connect=connect, model=MODEL, price=price, secret=KEY)
    result = await made.drive(session)
    assert result.outcome is SessionOutcome.UNAVAILABLE
    assert result.reason == "the provider cannot be reached: ValueError: no region; [key]"


@pytest.mark.parametrize(
    "arguments",
    [
        '{"query": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"query": ' + "[" * 200 + "]" * 200 + "}",
        r'{"query": "half of a pair: \ud83d"}',
        '{"query": NaN}',
        '{"query": 1e999}',
    ],
    ids=["bottomless", "deep", "surrogate", "nan", "infinite"],
)
async def test_a_call_that_could_not_be_sent_back_is_an_error_result(arguments: str) -> None:
    steps = [calls(ToolUse(name="sql", input=arguments)), RESOLVE]
    played = await play(Script(steps=steps))
    assert played.result.outcome is SessionOutcome.RESOLVED
    [result] = results_in(played.bodies[1])
    assert result["is_error"] is True
    assert "sql" not in played.session.calls


async def test_a_spent_account_is_unavailable_at_once() -> None:
    words = "Your credit balance is too low to access the Anthropic API."
    fault = HttpError(status=400, type="invalid_request_error", message=words)
    played = await play(Storm(fault=fault))
    assert played.result.outcome is SessionOutcome.UNAVAILABLE
    assert "see to its credit" in played.result.reason
    assert len(played.bodies) == 1


async def test_a_malformed_call_is_an_error_result_and_the_others_are_run() -> None:
    both = calls(
        ToolUse(name="sql", input='{"query": "SELECT 1"'),
        ToolUse(name="read_logs", input={"lines": 5}),
        ToolUse(name="deploy", input='["a list"]'),
        ToolUse(name="write_note", input="no JSON at all"),
    )
    played = await play(Script(steps=[both, RESOLVE]))
    assert played.result.outcome is SessionOutcome.RESOLVED
    assert played.session.calls == ["read_logs", "resolve"]
    results = results_in(played.bodies[1])
    assert [block["is_error"] for block in results] == [True, False, True, True]
    assert "not valid JSON" in results[0]["content"]
    # Every one of them was made through the toolbox, which keeps the record.
    assert len(played.session.tape.of("use")) == 5
    assert not played.fake.refused


async def test_an_unknown_tool_is_an_error_result() -> None:
    played = await play(Script(steps=[call("restart_server", now=True), RESOLVE]))
    assert played.result.outcome is SessionOutcome.RESOLVED
    [result] = results_in(played.bodies[1])
    assert result["is_error"] is True
    assert "there is no tool restart_server" in result["content"]


async def test_a_refusal_gives_up_with_its_reason() -> None:
    played = await play(Script(steps=[LOOK, REFUSAL]))
    assert played.result.outcome is SessionOutcome.GAVE_UP
    assert played.result.reason == (
        "the model refused: this looks like an attack on a live service"
    )
    assert played.result.spend.turns == 2


async def test_a_paused_turn_is_sent_again_as_it_is() -> None:
    paused = Reply(
        content=(Thinking(thinking="a while"), Text(text="Looking.")), stop_reason="pause_turn"
    )
    session = FakeSession(said=[(), ("Are you there?",)])
    played = await play(Script(steps=[paused, LOOK, RESOLVE]), session)
    assert played.result.outcome is SessionOutcome.RESOLVED
    assert not played.fake.refused
    assert played.bodies[1]["messages"][-1]["role"] == "assistant"
    assert "Are you there?" in texts_in(played.bodies[2]["messages"][-1])


async def test_a_turn_that_is_paused_for_ever_is_given_up() -> None:
    paused = Reply(content=(Text(text="Looking."),), stop_reason="pause_turn")
    played = await play(Script(steps=[paused]))
    assert played.result.outcome is SessionOutcome.GAVE_UP
    assert "paused the same turn" in played.result.reason


async def test_a_model_that_ends_its_turn_is_told_twice_that_the_ticket_is_open() -> None:
    played = await play(Script(steps=[says("It looks fine to me.")]))
    assert played.result.outcome is SessionOutcome.GAVE_UP
    assert "without resolving" in played.result.reason
    assert len(played.bodies) == 3
    assert "still open" in texts_in(played.bodies[1]["messages"][-1])
    assert "your session ends" in texts_in(played.bodies[2]["messages"][-1])


async def test_a_model_that_looks_once_after_each_reminder_is_given_up_as_well() -> None:
    played = await play(Script(steps=[says("Fine."), LOOK] * 50))
    assert played.result.outcome is SessionOutcome.GAVE_UP
    assert len(played.bodies) == 13


async def test_an_empty_answer_is_one_without_a_call() -> None:
    played = await play(Script(steps=[Reply(content=()), RESOLVE]))
    assert played.result.outcome is SessionOutcome.RESOLVED
    assert not played.fake.refused


async def test_an_answer_that_is_too_long_is_gone_on_with() -> None:
    long = Reply(content=(Text(text="First of all,"),), stop_reason="max_tokens")
    played = await play(Script(steps=[long, RESOLVE]))
    assert played.result.outcome is SessionOutcome.RESOLVED
    assert "Go on from where it ended" in texts_in(played.bodies[1]["messages"][-1])


async def test_a_call_that_was_cut_by_the_length_limit_is_not_run() -> None:
    cut = Reply(
        content=(
            ToolUse(name="sql", input={"query": "SELECT 1"}),
            ToolUse(name="deploy", input='{"message": "An index'),
        ),
        stop_reason="max_tokens",
    )
    bare = Reply(content=(ToolUse(name="resolve", input=""),), stop_reason="max_tokens")
    played = await play(Script(steps=[cut, bare, RESOLVE]))
    assert played.result.outcome is SessionOutcome.RESOLVED
    assert played.session.calls == ["sql", "resolve"]
    assert "reached its length limit" in results_in(played.bodies[1])[1]["content"]
    assert "reached its length limit" in results_in(played.bodies[2])[0]["content"]


async def test_answers_that_are_always_too_long_are_given_up() -> None:
    long = Reply(content=(Text(text="First of all,"),), stop_reason="max_tokens")
    played = await play(Script(steps=[long]))
    assert played.result.outcome is SessionOutcome.GAVE_UP
    assert "length limit 5 times in a row" in played.result.reason


@pytest.mark.parametrize("full", [PROMPT_TOO_LONG, CONTEXT_FULL], ids=["400", "stop reason"])
async def test_an_outgrown_conversation_begins_anew_with_a_summary(full: Any) -> None:
    session = FakeSession(reactions={"sql": Answer(text="17 idle in transaction")})
    steps = [call("sql", query="SELECT state FROM pg_stat_activity"), full, RESOLVE]
    played = await play(Script(steps=steps), session)
    assert played.result.outcome is SessionOutcome.RESOLVED
    [message] = played.bodies[2]["messages"]
    told = texts_in(message)
    assert told.startswith(f"{PRIOR}\n{TICKET}\n")
    assert "pg_stat_activity" in told
    assert "17 idle in transaction" in told
    assert any("a new conversation" in text for text in session.tape.of("remark"))


async def test_a_briefing_that_never_fits_is_ours() -> None:
    played = await play(Storm(fault=PROMPT_TOO_LONG))
    assert played.result.outcome is SessionOutcome.FAILED
    assert "--memory none" in played.result.reason
    assert len(played.bodies) == 1


async def test_a_window_that_is_always_full_is_given_up() -> None:
    played = await play(Script(steps=[LOOK, PROMPT_TOO_LONG] * 20))
    assert played.result.outcome is SessionOutcome.GAVE_UP
    assert "after starting over 3 times" in played.result.reason


async def test_a_real_window_is_enough_for_a_summary() -> None:
    session = FakeSession(reactions={"read_logs": Answer(text="a line of a log\n" * 800)})
    played = await play(
        Script(steps=[*[call("read_logs")] * 5, RESOLVE]), session, context_window=12_000
    )
    assert played.result.outcome is SessionOutcome.RESOLVED
    assert any("prompt is too long" in text for text in session.tape.of("remark"))


async def test_a_syntax_error_that_is_deployed_thrice_ends_with_the_words_of_each() -> None:
    failed = Answer(text="deployment failed: SyntaxError: invalid syntax", is_error=True)
    session = FakeSession(reactions={"deploy": failed})
    played = await play(DeploysSyntaxErrors(), session)
    assert played.result.outcome is SessionOutcome.GAVE_UP
    assert session.calls.count("deploy") == 3
    assert sum("SyntaxError" in line for line in session.tape.of("result")) == 3


@pytest.mark.parametrize(
    ("refusal", "gone"),
    [
        ("context_management: Extra inputs are not permitted", "context_management"),
        ("adaptive thinking is not supported on this model", "thinking"),
        ("cache_control: Extra inputs are not permitted", "cache_control"),
    ],
)
async def test_what_a_provider_does_not_offer_is_done_without(refusal: str, gone: str) -> None:
    fault = HttpError(status=400, type="invalid_request_error", message=refusal)
    played = await play(Storm(fault=fault, times=1, model=Script(steps=[LOOK, RESOLVE])))
    assert played.result.outcome is SessionOutcome.RESOLVED
    assert gone in played.bodies[0]
    assert all(gone not in body for body in played.bodies[1:])
    assert not played.fake.refused
    # What is not marked by the provider is marked in the request itself.
    marked = json.dumps(played.bodies[-1]["messages"]).count("cache_control")
    assert marked == (1 if gone == "cache_control" else 0)
    if gone == "cache_control":
        assert (played.session.tape.turns[-1].cache_read_tokens or 0) > 0


def _everything(played: Played) -> str:
    session = played.session
    return f"{played.result!r} {session.tape!r} {session.spends!r}"


@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_a_key_that_a_proxy_says_back_is_not_put_on_record(status: int) -> None:
    kinds = {400: "invalid_request_error", 401: "authentication_error"}
    fault = HttpError(
        status=status, type=kinds.get(status, "api_error"), message=f"{KEY} is out of luck"
    )
    played = await play(Storm(fault=fault), settings=IMPATIENT)
    assert "[key] is out of luck" in _everything(played)
    assert KEY not in _everything(played)
    assert all(KEY in str(request.headers) for request in played.fake.requests)


async def test_the_key_is_in_no_body_and_on_no_record() -> None:
    played = await play(Script(steps=[LOOK, says("x"), OVERLOADED, RESOLVE]))
    assert KEY not in json.dumps(played.bodies)
    assert KEY not in _everything(played)


def test_every_trouble_of_the_list_is_one_of_its_own() -> None:
    faults = [fault for fault, _ in PASSING]
    assert all(one != other for one, other in itertools.combinations(faults, 2))
