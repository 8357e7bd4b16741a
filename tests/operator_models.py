"""Models for whole campaigns: what they are asked, what an answer costs, when they fall silent."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.fake_messages.misbehaviour import Answer, call
from tests.fake_messages.model import Hang, Misbehaviour, Model, Reply, Usage
from tests.fake_messages.oncall import OnCall

KEY = "sk-ant-api03-acceptance-0123456789"
MODEL = "claude-sonnet-4-5"
#: of every answer, so that sums can be said beforehand
USAGE = Usage(
    input_tokens=1000, output_tokens=100, cache_read_tokens=40, cache_creation_5m_tokens=8
)
TURN_TOKENS = 1148
#: published for that model, in dollars for a million tokens; by hand and on purpose not our table
TURN_USD = (1000 * 3 + 100 * 15 + 40 * 0.3 + 8 * 3.75) / 1e6

_TICKET = re.compile(r"^Ticket (T\d{3}), opened ", re.MULTILINE)
_SESSION = re.compile(r"^This is session (\d+) on it", re.MULTILINE)


def texts(content: Any) -> Iterator[str]:
    """Of a message's content, a system prompt or a tool's result."""
    if isinstance(content, str):
        yield content
        return
    for block in content or ():
        if block.get("type") == "tool_result":
            yield from texts(block.get("content"))
        elif "text" in block:
            yield str(block["text"])


def briefing(request: Mapping[str, Any]) -> str:
    """What the operator was told at the beginning, its role left out."""
    return "\n".join(texts(request["messages"][0]["content"]))


def role(request: Mapping[str, Any]) -> str:
    return "\n".join(texts(request.get("system")))


def told(request: Mapping[str, Any]) -> str:
    """Everything in a request but the model's own words."""
    said = [str(request.get("tools")), role(request)]
    for message in request["messages"]:
        if message["role"] != "assistant":
            said += texts(message["content"])
    return "\n".join(said)


def ticket_of(request: Mapping[str, Any]) -> str:
    """Its own: it stands below what is told of earlier ones. Empty: there is none."""
    found: list[str] = _TICKET.findall(briefing(request))
    return found[-1] if found else ""


def session_of(request: Mapping[str, Any]) -> int:
    found = _SESSION.findall(briefing(request))
    return int(found[-1]) if found else 1


def turns_so_far(request: Mapping[str, Any]) -> int:
    return sum(message["role"] == "assistant" for message in request["messages"])


@dataclass(kw_only=True)
class Metered:
    """The model behind it; each of its answers costs the same."""

    model: Model = field(default_factory=OnCall)
    answers: int = 0

    def answer(self, request: dict[str, Any]) -> Reply | Misbehaviour:
        said = self.model.answer(request)
        if not isinstance(said, Reply):
            return said
        self.answers += 1
        return replace(said, usage=USAGE)


@dataclass(kw_only=True)
class ByTicket:
    """Each ticket has a model of its own; the others have `otherwise`."""

    models: dict[str, Model]
    otherwise: Model = field(default_factory=OnCall)

    def answer(self, request: dict[str, Any]) -> Reply | Misbehaviour:
        return self.models.get(ticket_of(request), self.otherwise).answer(request)


@dataclass(kw_only=True)
class CutShort:
    """In the first session on one ticket it leaves a note, looks around, and is never heard again.

    Everywhere else the model behind it answers; a later session waits for a moment first.
    """

    ticket: str
    note: str
    #: that it gives in that session
    answers: int
    model: Model = field(default_factory=OnCall)
    silent: asyncio.Event = field(default_factory=asyncio.Event)

    def answer(self, request: dict[str, Any]) -> Reply | Misbehaviour:
        turns, session = turns_so_far(request), session_of(request)
        if turns == 0 and session > 1:
            # The load has just come back: rates over some seconds are not to be had yet.
            return call("bash", command="sleep 10")
        if (ticket_of(request), session) != (self.ticket, 1):
            return self.model.answer(request)
        if turns == 0:
            return call("write_note", text=self.note)
        if turns < self.answers:
            return self.model.answer(request)
        self.silent.set()
        return Hang(reply=Reply(content=()))


@dataclass(kw_only=True)
class Stumbling:
    """Each of these once and in this order; the model behind it answers after that."""

    answers: Sequence[Answer]
    model: Model = field(default_factory=OnCall)
    asked: int = 0

    def answer(self, request: dict[str, Any]) -> Reply | Misbehaviour:
        self.asked += 1
        if self.asked <= len(self.answers):
            return self.answers[self.asked - 1]
        return self.model.answer(request)
