from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from operators.command import ApiAnswer
from operators.command.mcp_server import Done
from operators.command.records import (
    Began,
    Called,
    Finished,
    Noted,
    Record,
    Returned,
    Said,
    Thought,
    Tokens,
)
from operators.command.transcript import Transcript
from operators.toolbox.answer import Answer
from operators.trace.cost import Cost, NoPrices, Pricing
from operators.trace.recorder import TurnUsage

from campaign.model import Spend
from tests.command_kit import Heard

TRUE = Answer(text="the truth", exit_code=3, diff="--- a\n")


class Answers:
    def __init__(self, *calls: str) -> None:
        self.calls = set(calls)
        self.silent: list[Done] = []

    def take(self, call: str, tool: str, arguments: Mapping[str, Any]) -> Done | None:
        if call not in self.calls:
            return None
        return Done(call=call, tool=tool, arguments=arguments, answer=TRUE, duration_s=0.5)

    def untold(self) -> Sequence[Done]:
        untold, self.silent = self.silent, []
        return untold


class OneDollar:
    def cost(self, usage: TurnUsage) -> Cost:
        return Cost(usd=1.0 if usage.model == "m" else None, source="test")


def transcript(
    heard: Heard,
    *calls: str,
    prices: Pricing | None = None,
    answers: Answers | None = None,
) -> Transcript:
    return Transcript(
        trace=heard,
        answers=answers or Answers(*calls),
        prices=prices or NoPrices(),
        tool_prefix="mcp__oncall__",
        clock=lambda: 7.0,
    )


def answer(message: str) -> ApiAnswer:
    tokens = Tokens(input=10)
    return ApiAnswer(status=200, message=message, model="m", is_turn=True, tokens=tokens)


def play(taking: Transcript, *records: Record) -> None:
    for record in records:
        taking.take(record)


def test_blocks_of_one_answer_are_one_turn() -> None:
    heard = Heard()
    taking = transcript(heard)
    play(
        taking,
        Thought(text="hm", model="m", message="1"),
        Said(text="look", model="m", message="1"),
        Called(call="a", tool="mcp__oncall__bash", message="1"),
        Called(call="b", tool="mcp__oncall__bash", message="1"),
        Returned(call="a", text="x"),
        Returned(call="b", text="y"),
        Said(text="done", model="m", message="2"),
    )
    assert taking.turns == 2
    taking.close()
    assert heard.kinds == [
        "thinking",
        "assistant_text",
        "tool_use",
        "tool_use",
        "tool_result",
        "tool_result",
        "turn",
        "assistant_text",
        "turn",
    ]


def test_an_agent_without_message_ids_ends_its_turn_where_a_result_follows() -> None:
    heard = Heard()
    taking = transcript(heard)
    for number in ("1", "2"):
        play(
            taking,
            Said(text="I look"),
            Called(call=number, tool="bash"),
            Returned(call=number, text="x"),
        )
    taking.close()
    assert (taking.turns, len(heard.turns)) == (2, 2)


def test_our_own_answer_is_traced_rather_than_the_agents_word_for_it() -> None:
    heard = Heard()
    play(
        transcript(heard, "a"),
        Called(call="a", tool="mcp__oncall__bash", arguments={"command": "ls"}),
        Returned(call="a", text="forged"),
        Called(call="b", tool="Read"),
        Returned(call="b", text="its own tool", is_error=True),
    )
    assert heard.of("tool_result") == [
        ("a", "bash", TRUE),
        ("b", "Read", Answer(text="its own tool", is_error=True)),
    ]


def test_a_call_that_is_told_twice_is_one() -> None:
    heard = Heard()
    called = Called(call="a", tool="bash")
    play(transcript(heard), called, called, Returned(call="a", text="x"))
    assert len(heard.of("tool_use")) == 1


def test_results_without_a_call_and_calls_without_a_result_are_remarked() -> None:
    heard = Heard()
    taking = transcript(heard)
    play(taking, Returned(call="ghost", text="x"), Called(call="a", tool="bash"))
    taking.close()
    assert heard.of("remark") == [
        ("a result of a call that was never made: ghost",),
        ("bash (a) was called, and never answered",),
    ]


def test_pieces_are_put_together_until_something_else_comes() -> None:
    heard = Heard()
    taking = transcript(heard)
    play(taking, *(Said(text=text, piece=True) for text in ("a", "b\n", "c\n")))
    assert heard.events == []
    play(taking, Called(call="x", tool="bash"))
    assert heard.of("assistant_text") == [("ab\nc", "")]
    assert taking.last_words == "ab\nc"


def test_a_flood_of_pieces_is_not_held_in_memory() -> None:
    heard = Heard()
    play(transcript(heard), *(Said(text="x" * 1000, piece=True) for _ in range(50)))
    assert len(heard.of("assistant_text")) == 2


def test_each_turn_has_the_usage_that_went_by_the_relay() -> None:
    heard = Heard()
    taking = transcript(heard)
    for number in ("1", "2"):
        taking.heard(
            ApiAnswer(
                status=200,
                message=number,
                model="m",
                tokens=Tokens(input=10, output=2, cache_read=5),
                latency_s=0.25,
                stop_reason="tool_use",
            )
        )
        play(taking, Said(text="x", model="m", message=number))
    taking.close()
    assert (
        heard.turns
        == [
            TurnUsage(
                model="m",
                input_tokens=10,
                output_tokens=2,
                cache_read_tokens=5,
                cache_creation_5m_tokens=0,
                cache_creation_1h_tokens=0,
                latency_s=0.25,
                stop_reason="tool_use",
            )
        ]
        * 2
    )


def test_the_totals_are_those_of_the_result_however_little_was_seen() -> None:
    heard = Heard()
    taking = transcript(heard)
    taking.heard(ApiAnswer(status=200, message="1", tokens=Tokens(input=10, output=2)))
    play(
        taking,
        Said(text="x", message="1"),
        Said(text="y", message="2"),
        Finished(tokens=Tokens(input=100, output=20, cache_creation_1h=3), usd=0.4),
    )
    taking.close()
    assert [usage.input_tokens for usage in heard.turns] == [10, 90]
    assert [usage.output_tokens for usage in heard.turns] == [2, 18]
    assert [usage.reported_usd for usage in heard.turns] == [None, 0.4]
    assert taking.spend == Spend(turns=2, tokens=123, usd=0.4)


def test_a_run_that_was_cut_off_is_counted_by_what_went_by_the_relay() -> None:
    heard = Heard()
    taking = transcript(heard)
    taking.heard(ApiAnswer(status=200, message="1", tokens=Tokens(input=10)))
    taking.heard(ApiAnswer(status=200, message="side", tokens=Tokens(input=5)))
    play(taking, Said(text="x", message="1"))
    assert taking.spend == Spend(turns=1, tokens=15)
    taking.close()
    assert [usage.input_tokens for usage in heard.turns] == [15]


def test_an_agent_cannot_make_itself_cheaper_than_what_went_by() -> None:
    taking = transcript(Heard())
    taking.heard(ApiAnswer(status=200, message="1", tokens=Tokens(input=1000)))
    play(taking, Finished(tokens=Tokens(input=1)))
    assert taking.spend.tokens == 1000


def test_until_the_agent_says_what_it_cost_a_price_table_does() -> None:
    taking = transcript(Heard(), prices=OneDollar())
    taking.heard(ApiAnswer(status=200, message="1", model="m", tokens=Tokens(input=1)))
    assert taking.spend.usd == 1.0
    taking.heard(ApiAnswer(status=200, message="2", model="unknown", tokens=Tokens(input=1)))
    assert taking.spend.usd is None
    play(taking, Finished(usd=1.3))
    assert taking.spend.usd == 1.3


def test_an_agent_that_says_it_was_cheap_is_not_believed() -> None:
    heard = Heard()
    taking = transcript(heard, prices=OneDollar())
    for number in ("1", "2"):
        taking.heard(answer(number))
        play(taking, Said(text="x", model="m", message=number))
    play(taking, Finished(usd=0.01))
    assert taking.spend.usd == 2.0
    taking.close()
    assert [usage.reported_usd for usage in heard.turns] == [None, None]


def test_an_agent_that_says_it_cost_more_is_believed() -> None:
    heard = Heard()
    taking = transcript(heard, prices=OneDollar())
    taking.heard(answer("1"))
    play(taking, Said(text="x", model="m", message="1"), Finished(usd=2.5))
    assert taking.spend.usd == 2.5
    taking.close()
    assert [usage.reported_usd for usage in heard.turns] == [2.5]


def test_turns_of_an_agent_that_says_nothing_are_those_that_went_by() -> None:
    taking = transcript(Heard())
    for number in ("1", "2", "3"):
        taking.heard(answer(number))
    play(taking, Said(text="x", message="1"))
    assert taking.turns == 3


def test_an_answer_that_nobody_could_count_makes_the_sum_unknown() -> None:
    taking = transcript(Heard(), prices=OneDollar())
    taking.heard(answer("1"))
    taking.heard(ApiAnswer(status=200, is_turn=True))
    assert taking.spend == Spend(turns=2)
    play(taking, Finished(tokens=Tokens(input=50), usd=0.5))
    assert taking.spend == Spend(turns=2, tokens=50, usd=1.0)


def test_calls_that_the_agent_never_told_of_are_in_its_trace_all_the_same() -> None:
    heard, answers = Heard(), Answers()
    taking = transcript(heard, answers=answers)
    play(taking, Called(call="a", tool="bash"), Returned(call="a", text="x"))
    arguments = {"message": "mend"}
    answers.silent = [
        Done(call=call, tool="deploy", arguments=arguments, answer=TRUE, duration_s=0.5)
        for call in ("", "a", "c7")
    ]
    taking.close()
    assert [call for call, _, _ in heard.of("tool_use")] == ["a", "untold-1", "untold-2", "c7"]
    assert heard.of("tool_result")[1:] == [
        (call, "deploy", TRUE) for call in ("untold-1", "untold-2", "c7")
    ]
    assert heard.of("remark") == [("the agent did not tell of 3 calls, which follow",)]


def test_a_flood_of_remarks_is_counted_and_not_kept() -> None:
    heard = Heard()
    taking = transcript(heard)
    play(taking, *(Noted(text="?") for _ in range(5_000)))
    taking.close()
    assert len(heard.of("remark")) == 1_001
    assert heard.of("remark")[-1] == ("4000 more remarks were left out",)


def test_an_agent_that_said_nothing_has_no_turn() -> None:
    heard = Heard()
    taking = transcript(heard)
    play(taking, Began(model="m", note="tool servers that did not connect"), Noted(text="?"))
    taking.close()
    assert heard.kinds == ["remark", "remark"]
    assert taking.spend == Spend()
