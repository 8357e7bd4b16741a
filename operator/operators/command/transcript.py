"""What an agent told of itself, brought into the session's trace, and counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from campaign.model import Spend
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
from operators.command.runner import ApiAnswer
from operators.toolbox.answer import Answer
from operators.trace.cost import Pricing
from operators.trace.recorder import Recorder, TurnUsage

#: pieces of one text that are put together; more than that is another text
_JOINED_CHARS = 20_000
#: remarks of one session; more are only counted
_REMARKS = 1_000
#: a price table and an agent's own may differ by what rounding makes
_SAME = 1.001


class Answers(Protocol):
    """What our tools answered (`ToolServer`): better than an agent's own word for it."""

    def take(self, call: str, tool: str, arguments: Mapping[str, Any]) -> Done | None: ...

    def untold(self) -> Sequence[Done]:
        """All that was not taken; it is taken then."""


@dataclass(kw_only=True)
class _Turn:
    """One answer of the model while it comes."""

    message: str
    model: str
    #: a tool's result has followed
    answered: bool = False


@dataclass(kw_only=True)
class Transcript:
    """Takes record after record; `close` once no more come.

    A turn's usage is what the relay saw of it. The last turn is told at the close: what the agent
    reports for the whole run beyond that goes there, so that the totals are the agent's own.
    """

    trace: Recorder
    answers: Answers
    #: of what went by the relay, until the agent says what it cost
    prices: Pricing
    #: what is put before the names of our tools
    tool_prefix: str
    #: seconds, for calls that none of our tools answered
    clock: Callable[[], float]
    #: the agent's last word on the whole run
    finished: Finished | None = None
    #: the last that the model said
    last_words: str = ""
    _told_turns: int = 0
    _heard_turns: int = 0
    #: the model has answered, and nobody knows how much
    _uncounted: bool = False
    _remarks: int = 0
    _model: str = ""
    _turn: _Turn | None = None
    _seen: set[str] = field(default_factory=set)
    _pieces: list[str] = field(default_factory=list)
    _calls: dict[str, Called] = field(default_factory=dict)
    _told_calls: set[str] = field(default_factory=set)
    _called_at: dict[str, float] = field(default_factory=dict)
    _api: dict[str, ApiAnswer] = field(default_factory=dict)
    _costs: list[float | None] = field(default_factory=list)
    _counted: Tokens | None = None
    _told: Tokens = field(default_factory=Tokens)

    def heard(self, answer: ApiAnswer) -> None:
        """The model's API answered: it is known before the agent tells of it."""
        if answer.tokens is not None:
            self._counted = (self._counted or Tokens()) + answer.tokens
            turn = _Turn(message=answer.message, model=answer.model)
            self._costs.append(self.prices.cost(_usage(turn, answer, answer.tokens, None)).usd)
        elif answer.is_turn:
            self._uncounted = True
        if answer.message:
            self._api[answer.message] = answer
        self._heard_turns += answer.is_turn

    @property
    def turns(self) -> int:
        """What the agent tells of, or what went by the relay when that is more."""
        return max(self._told_turns, self._heard_turns)

    @property
    def tokens(self) -> Tokens | None:
        """Of the whole run: the agent's word, or the relay's count when that is more."""
        reported = None if self.finished is None else self.finished.tokens
        known = [tokens for tokens in (reported, self._counted) if tokens is not None]
        return max(known, key=lambda tokens: tokens.total, default=None)

    @property
    def spend(self) -> Spend:
        tokens = self.tokens
        told = self.finished is not None and self.finished.tokens is not None
        known = tokens is not None and (told or not self._uncounted)
        return Spend(
            turns=self.turns,
            tokens=tokens.total if tokens is not None and known else None,
            usd=self._usd,
        )

    @property
    def _usd(self) -> float | None:
        """What the relay saw, if all of it has a price; the agent's word when that is more."""
        reported = None if self.finished is None else self.finished.usd
        if reported is None:
            return self._priced if self._all_priced else None
        return max(reported, self._priced)

    @property
    def _priced(self) -> float:
        return sum(cost for cost in self._costs if cost is not None)

    @property
    def _all_priced(self) -> bool:
        return bool(self._costs) and None not in self._costs and not self._uncounted

    @property
    def _believed_usd(self) -> float | None:
        """The agent's word for the whole run, unless what the relay saw costs more."""
        reported = None if self.finished is None else self.finished.usd
        belied = reported is None or (self._all_priced and self._priced > reported * _SAME)
        return None if belied else reported

    def take(self, record: Record) -> None:
        match record:
            case Began():
                self._model = record.model or self._model
                if record.note:
                    self.note(record.note)
            case Said():
                self._said(record)
            case Thought():
                self._part_of(record.message, record.model)
                self.trace.thinking(record.text, model=self._model)
            case Called():
                self._called(record)
            case Returned():
                self._returned(record)
            case Finished():
                self._flush()
                self.finished = record
            case Noted():
                self.note(record.text)

    def close(self) -> None:
        """Tell the last turn, with all that was spent and not told yet."""
        self._flush()
        left = (self.tokens or Tokens()).beyond(self._told)
        if self._turn is not None:
            self._tell(self._turn, also=left)
        elif left.total:
            self._tell(_Turn(message="", model=self._model), also=left)
        self._turn = None
        for called in self._calls.values():
            self.note(f"{self._name(called)} ({called.call}) was called, and never answered")
        self._calls.clear()
        self._tell_untold()
        if self._remarks > _REMARKS:
            self.trace.remark(f"{self._remarks - _REMARKS} more remarks were left out")

    def _tell_untold(self) -> None:
        """An agent that does not speak of a call of our tools has made it all the same."""
        untold = self.answers.untold()
        if untold:
            self.trace.remark(f"the agent did not tell of {len(untold)} calls, which follow")
        for number, done in enumerate(untold, start=1):
            call = done.call if done.call and done.call not in self._told_calls else ""
            call = call or f"untold-{number}"
            self._told_calls.add(call)
            self.trace.tool_use(call, done.tool, done.arguments)
            self.trace.tool_result(call, done.tool, done.answer, duration_s=done.duration_s)

    def note(self, text: str) -> None:
        """A remark; there may be any number of them."""
        self._remarks += 1
        if self._remarks <= _REMARKS:
            self.trace.remark(text)

    def _said(self, record: Said) -> None:
        if not record.piece:
            self._flush()
        self._part_of(record.message, record.model)
        self._pieces.append(record.text)
        if not record.piece or sum(map(len, self._pieces)) > _JOINED_CHARS:
            self._flush()

    def _called(self, record: Called) -> None:
        if record.call in self._calls:
            return
        self._part_of(record.message, record.model)
        self._flush()
        self._calls[record.call] = record
        self._told_calls.add(record.call)
        self._called_at[record.call] = self.clock()
        self.trace.tool_use(record.call, self._name(record), record.arguments)

    def _returned(self, record: Returned) -> None:
        self._flush()
        called = self._calls.pop(record.call, None)
        if called is None:
            self.note(f"a result of a call that was never made: {record.call}")
            return
        if self._turn is not None:
            self._turn.answered = True
        name = self._name(called)
        done = self.answers.take(record.call, name, called.arguments)
        answer = Answer(text=record.text, is_error=record.is_error) if done is None else done.answer
        waited_s = self.clock() - self._called_at.pop(record.call)
        duration_s = waited_s if done is None else done.duration_s
        self.trace.tool_result(record.call, name, answer, duration_s=duration_s)

    def _part_of(self, message: str, model: str) -> None:
        """What comes now belongs to this answer of the model; another one is complete with it."""
        self._model = model or self._model
        turn = self._turn
        if turn is not None and message == turn.message and (message or not turn.answered):
            return
        self._flush()
        if turn is not None:
            self._tell(turn)
        self._turn = _Turn(message=message, model=self._model)
        if not message or message not in self._seen:
            self._told_turns += 1
        self._seen.add(message)

    def _flush(self) -> None:
        text = "".join(self._pieces).strip("\n")
        self._pieces.clear()
        if text:
            self.last_words = text
            self.trace.assistant_text(text, model=self._model)

    def _tell(self, turn: _Turn, *, also: Tokens | None = None) -> None:
        api = self._api.pop(turn.message, None)
        tokens = None if api is None else api.tokens
        if tokens is not None:
            self._told += tokens
        usd = None
        if also is not None:
            rest = also.beyond(tokens or Tokens())
            tokens = rest if tokens is None else tokens + rest
            tokens = tokens if tokens.total else None
            usd = self._believed_usd
        self.trace.turn(_usage(turn, api, tokens, usd))

    def _name(self, called: Called) -> str:
        return called.tool.removeprefix(self.tool_prefix)


def _usage(
    turn: _Turn, api: ApiAnswer | None, tokens: Tokens | None, usd: float | None
) -> TurnUsage:
    return TurnUsage(
        model=turn.model or ("" if api is None else api.model),
        input_tokens=None if tokens is None else tokens.input,
        output_tokens=None if tokens is None else tokens.output,
        cache_read_tokens=None if tokens is None else tokens.cache_read,
        cache_creation_5m_tokens=None if tokens is None else tokens.cache_creation_5m,
        cache_creation_1h_tokens=None if tokens is None else tokens.cache_creation_1h,
        latency_s=None if api is None else api.latency_s,
        reported_usd=usd,
        stop_reason="" if api is None else api.stop_reason,
    )
