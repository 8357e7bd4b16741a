"""What the Claude operator decides, without a server: turns, retries, answers, calls, keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anthropic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from operators.claude import (
    ClaudeDriver,
    ClaudeSetupError,
    Patience,
    claude_driver,
    read_api_key,
)
from operators.claude.assembly import Assembly, Call, Turn
from operators.claude.conversation import Conversation, text_block
from operators.claude.errors import BrokenStreamError
from operators.claude.meter import Meter
from operators.claude.request import Offers
from operators.claude.retries import Fault, Trouble, classify, delay, next_wait
from operators.claude.turns import AskAgain, GiveUp, Pace, RunCalls, Say, StartOver, decide
from operators.trace.recorder import TurnUsage

from campaign.model import OperatorOptions, Spend
from tests.claude_kit import KEY, MODEL, price

SQL = Call(id="toolu_1", tool="sql", arguments={"query": "SELECT 1"})
TURN = Turn(
    model=MODEL,
    blocks=(text_block("I look."),),
    calls=(),
    stop_reason="end_turn",
    explanation="",
    usage=TurnUsage(model=MODEL, input_tokens=10, output_tokens=5),
    cleared_results=0,
    cleared_tokens=0,
)


def turn(stop_reason: str, *calls: Call) -> Turn:
    return dataclasses.replace(TURN, stop_reason=stop_reason, calls=calls)


# -- what follows an answer ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answered", "step"),
    [
        (turn("tool_use", SQL), RunCalls),
        (turn("end_turn", SQL), RunCalls),
        (turn("max_tokens", SQL), RunCalls),
        (turn("pause_turn", SQL), RunCalls),
        (turn("a_reason_of_tomorrow", SQL), RunCalls),
        (turn("end_turn"), Say),
        (turn("stop_sequence"), Say),
        (turn("tool_use"), Say),
        (turn("a_reason_of_tomorrow"), Say),
        (turn("max_tokens"), Say),
        (turn("pause_turn"), AskAgain),
        (turn("refusal"), GiveUp),
        (turn("refusal", SQL), GiveUp),
        (turn("model_context_window_exceeded"), StartOver),
        (turn("model_context_window_exceeded", SQL), StartOver),
    ],
)
def test_each_stop_reason_has_its_step(answered: Turn, step: type) -> None:
    assert isinstance(decide(answered, Pace()).step, step)


def test_a_call_takes_back_what_was_counted_in_a_row_but_not_what_was_counted_at_all() -> None:
    idle = decide(turn("end_turn"), Pace()).pace
    assert decide(turn("tool_use", SQL), idle).pace == Pace(idle_at_all=1)


@pytest.mark.parametrize("reason", ["end_turn", "max_tokens", "pause_turn"])
def test_no_answer_without_a_call_goes_on_for_ever(reason: str) -> None:
    pace = Pace()
    for _ in range(20):
        decision = decide(turn(reason), pace)
        if isinstance(decision.step, GiveUp):
            return
        pace = decision.pace
    pytest.fail("it never gave up")


# -- failed calls -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "message", "fault"),
    [
        (429, "rate_limit_error", "slow down", Fault.PASSING),
        (529, "overloaded_error", "Overloaded", Fault.PASSING),
        (500, "api_error", "", Fault.PASSING),
        (502, "", "<html>", Fault.PASSING),
        (504, "timeout_error", "", Fault.PASSING),
        (408, "", "", Fault.PASSING),
        (None, "", "connection reset", Fault.PASSING),
        (200, "overloaded_error", "Overloaded", Fault.PASSING),
        (200, "", "an error event that is no JSON", Fault.PASSING),
        (200, "invalid_request_error", "messages.1: wrong", Fault.OURS),
        (400, "invalid_request_error", "max_tokens: wrong", Fault.OURS),
        (401, "authentication_error", "invalid x-api-key", Fault.OURS),
        (403, "permission_error", "", Fault.OURS),
        (404, "not_found_error", "model: x", Fault.OURS),
        (302, "", "", Fault.OURS),
        (400, "invalid_request_error", "prompt is too long: 2 tokens > 1", Fault.TOO_LONG),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 198981 + 21333 > 200000",
            Fault.TOO_LONG,
        ),
        (413, "request_too_large", "", Fault.TOO_LONG),
        (402, "billing_error", "", Fault.NO_CREDIT),
        (400, "invalid_request_error", "Your credit balance is too low", Fault.NO_CREDIT),
        (429, "rate_limit_error", "You have reached your spend limit", Fault.NO_CREDIT),
    ],
)
def test_a_trouble_is_classed_by_its_type_and_status(
    status: int | None, kind: str, message: str, fault: Fault
) -> None:
    assert classify(Trouble(status=status, type=kind, message=message)) is fault


@given(
    attempt=st.integers(1, 50),
    retry_after_s=st.none() | st.floats(0, 1e9),
    chance=st.floats(0, 1),
)
def test_no_wait_is_longer_than_the_longest(
    attempt: int, retry_after_s: float | None, chance: float
) -> None:
    patience = Patience()
    wait = delay(patience, attempt, retry_after_s=retry_after_s, chance=chance)
    assert 0 < wait <= patience.longest_s
    assert wait >= min(retry_after_s or 0, patience.longest_s)


@given(
    chances=st.lists(st.floats(0, 1), min_size=60, max_size=60),
    retry_after_s=st.none() | st.floats(0, 1e6),
    call_s=st.floats(0, 200),
)
def test_patience_ends_within_its_total(
    chances: list[float], retry_after_s: float | None, call_s: float
) -> None:
    patience = Patience()
    failing_s = 0.0
    for attempt, chance in enumerate(chances, start=1):
        wait = next_wait(
            patience, attempt, failing_s=failing_s, retry_after_s=retry_after_s, chance=chance
        )
        if wait is None:
            assert attempt <= patience.attempts
            return
        failing_s += wait
        assert failing_s <= patience.total_s
        failing_s += call_s
    pytest.fail("it never ended")


# -- answers from events ------------------------------------------------------------------------


def events_of_call(*pieces: str, stop_reason: str = "tool_use", stopped: bool = True) -> Assembly:
    assembly = Assembly()
    usage = {"input_tokens": 7, "output_tokens": 1, "cache_creation_input_tokens": 3}
    block = {"type": "tool_use", "id": "toolu_1", "name": "deploy", "input": {}}
    given_events: list[Mapping[str, Any]] = [
        {"type": "message_start", "message": {"model": MODEL, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": block},
    ]
    for piece in pieces:
        delta = {"type": "input_json_delta", "partial_json": piece}
        given_events.append({"type": "content_block_delta", "index": 0, "delta": delta})
    if stopped:
        given_events.append({"type": "content_block_stop", "index": 0})
    ended = {"delta": {"stop_reason": stop_reason}, "usage": {"output_tokens": 9}}
    given_events.append({"type": "message_delta", **ended})
    for event in given_events:
        assembly.add(event)
    return assembly


def test_a_call_is_put_together_from_its_pieces() -> None:
    [call] = events_of_call("", '{"mess', 'age": "x"}').turn().calls
    assert (call.arguments, call.problem) == ({"message": "x"}, "")


def test_a_call_without_arguments_has_none() -> None:
    [call] = events_of_call("").turn().calls
    assert (call.arguments, call.problem) == ({}, "")


@pytest.mark.parametrize(
    ("piece", "stop_reason", "stopped"),
    [
        ('{"message": "x"', "tool_use", True),
        ("[1]", "tool_use", True),
        ('"a text"', "tool_use", True),
        ("{'message': 'x'}", "tool_use", True),
        ("", "max_tokens", True),
        ("", "tool_use", False),
        ('{"message": "An index on', "max_tokens", True),
    ],
)
def test_arguments_that_cannot_be_read_are_never_guessed(
    piece: str,
    stop_reason: str,
    stopped: bool,  # noqa: FBT001 - a case of the table
) -> None:
    answered = events_of_call(piece, stop_reason=stop_reason, stopped=stopped).turn()
    assert answered.calls[0].problem
    assert answered.calls[0].arguments == piece
    assert answered.blocks[0]["input"] == {"INVALID_JSON": piece}


def test_later_counts_overwrite_and_a_cache_that_is_not_told_apart_is_of_five_minutes() -> None:
    usage = events_of_call("{}").turn().usage
    assert (usage.input_tokens, usage.output_tokens) == (7, 9)
    assert (usage.cache_creation_5m_tokens, usage.cache_creation_1h_tokens) == (3, 0)


def test_counts_that_are_no_numbers_are_unknown() -> None:
    assembly = Assembly()
    usage = {"input_tokens": "7", "output_tokens": True, "cache_creation": [1]}
    assembly.add({"type": "message_start", "message": {"model": MODEL, "usage": usage}})
    assert assembly.turn().usage == TurnUsage(model=MODEL)


def test_halves_of_a_character_are_put_together_or_left_out() -> None:
    assembly = Assembly()
    block = {"type": "text", "text": "\ud83d"}
    assembly.add({"type": "content_block_start", "index": 0, "content_block": block})
    delta = {"type": "text_delta", "text": "\ude00, \ud83d"}
    assembly.add({"type": "content_block_delta", "index": 0, "delta": delta})
    assert assembly.turn().blocks == ({"type": "text", "text": "\U0001f600, \ufffd"},)


def test_thinking_that_was_not_signed_does_not_go_back() -> None:
    assembly = Assembly()
    block = {"type": "thinking", "thinking": "", "signature": ""}
    assembly.add({"type": "content_block_start", "index": 0, "content_block": block})
    delta = {"type": "thinking_delta", "thinking": "cut"}
    assembly.add({"type": "content_block_delta", "index": 0, "delta": delta})
    assert assembly.turn().blocks == ()


def test_blocks_of_other_kinds_go_back_as_they_came() -> None:
    assembly = Assembly()
    block = {"type": "redacted_thinking", "data": "abc"}
    assembly.add({"type": "content_block_start", "index": 0, "content_block": block})
    assembly.add({"type": "ping"})
    assert assembly.turn().blocks == (block,)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": "message_start"},
        {"type": "message_start", "message": {"model": None}},
        {"type": "content_block_start", "index": 3, "content_block": {"type": "text"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": ["text"]}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta"}},
        {"type": "message_delta", "delta": None},
    ],
)
def test_events_that_do_not_fit_break_the_stream(event: dict[str, Any]) -> None:
    with pytest.raises(BrokenStreamError):
        Assembly().add(event)


# -- the rest -----------------------------------------------------------------------------------


def test_a_part_that_is_unknown_makes_the_sum_unknown() -> None:
    known = TurnUsage(model=MODEL, input_tokens=10, output_tokens=5)
    meter = Meter().turn(known, 0.5)
    assert meter.spend == Spend(turns=1, tokens=15, usd=0.5)
    meter = meter.turn(TurnUsage(model=MODEL), None).turn(known, 0.5)
    assert meter.spend == Spend(turns=3, tokens=None, usd=None)


def test_a_summary_leaves_out_the_oldest_and_says_so() -> None:
    conversation = Conversation()
    conversation.told([text_block("the briefing")])
    for number in range(200):
        conversation.answered(
            dataclasses.replace(TURN, blocks=(text_block(f"step {number} " + "x" * 1000),))
        )
        conversation.told([text_block("go on")])
    digest = conversation.digest()
    assert len(digest) < 30_000
    assert "step 199 " in digest
    assert "step 0 " not in digest
    assert "the briefing" not in digest
    assert digest.startswith("(")


def test_what_others_hold_of_a_history_does_not_change_it() -> None:
    conversation = Conversation()
    conversation.told([text_block("the briefing")])
    conversation.messages.clear()
    assert len(conversation.messages) == 1


@pytest.mark.parametrize(
    "message",
    [
        "messages.1.content.0: `thinking` blocks cannot be modified",
        "max_tokens: 64000 > 32000",
        "tools.0: cache_control is wrong",
    ],
)
def test_a_request_that_is_wrong_in_another_way_is_not_sent_with_less(message: str) -> None:
    assert Offers().without(message) is None


def test_the_key_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    assert read_api_key(None, {"ANTHROPIC_API_KEY": KEY}) == KEY
    assert read_api_key(file, {"ANTHROPIC_API_KEY": "another"}) == KEY


@pytest.mark.parametrize("content", ["", "\n", f"{KEY}\nand more", f"{KEY} {KEY}", f"{KEY}\x00"])
def test_a_file_without_a_key_is_refused_without_its_text(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    with pytest.raises(ClaudeSetupError) as refused:
        read_api_key(file, {})
    assert str(file) in str(refused.value)
    assert KEY not in str(refused.value)


def test_no_key_says_where_it_could_come_from(tmp_path: Path) -> None:
    with pytest.raises(ClaudeSetupError, match=r"ANTHROPIC_API_KEY.*--api-key-file"):
        read_api_key(None, {"ANTHROPIC_API_KEY": " "})
    with pytest.raises(ClaudeSetupError, match="cannot be read"):
        read_api_key(tmp_path / "none", {})


def test_a_driver_does_not_show_its_key() -> None:
    made = claude_driver(OperatorOptions(), environment={"ANTHROPIC_API_KEY": KEY}, price=price)
    assert isinstance(made, ClaudeDriver)
    assert KEY not in f"{made!r} {vars(made)!r}"


async def test_the_sdks_own_retries_are_off_and_its_address_is_the_options() -> None:
    options = OperatorOptions(base_url="http://127.0.0.1:9")
    made = claude_driver(options, environment={"ANTHROPIC_API_KEY": KEY}, price=price)
    async with made._connect() as client:
        assert isinstance(client, anthropic.AsyncAnthropic)
        assert client.max_retries == 0
        assert str(client.base_url).startswith("http://127.0.0.1:9")


@pytest.mark.parametrize("provider", ["bedrock", "vertex"])
def test_a_missing_extra_says_how_to_install_it(
    provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    options = OperatorOptions(provider=provider, model="a-model")
    with pytest.raises(ClaudeSetupError, match=rf"pip install 'ratchet\[{provider}\]'"):
        claude_driver(options, environment={}, price=price)


@pytest.mark.parametrize("provider", ["bedrock", "vertex"])
def test_another_provider_wants_a_model_of_its_own(
    provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
    with pytest.raises(ClaudeSetupError, match="choose one by --model, such as"):
        claude_driver(OperatorOptions(provider=provider), environment={}, price=price)
