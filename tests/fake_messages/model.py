"""What is behind the fake Messages API: a scripted model, and what it can answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

StopReason: TypeAlias = Literal[
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """What it says."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """What it thinks, summarised; the server signs it and wants it back unmodified."""

    thinking: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """One call of a tool."""

    name: str
    #: a string is sent as it is, piece by piece: JSON that is malformed or cut short
    input: Mapping[str, Any] | str
    #: empty: the server makes one up
    id: str = ""


Block: TypeAlias = Text | Thinking | ToolUse


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens; None: the server counts about four characters a token, and plays the prompt cache."""

    #: not in the cache and not put there
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_creation_5m_tokens: int | None = None
    cache_creation_1h_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One whole answer."""

    content: tuple[Block, ...]
    #: None: tool_use when there is a call in it, else end_turn
    stop_reason: StopReason | None = None
    #: why it refused, for people
    explanation: str = ""
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpError:
    """No answer at all but an error."""

    status: int
    #: as the API names them: rate_limit_error, overloaded_error, api_error, authentication_error …
    type: str
    message: str
    retry_after_s: float | None = None
    #: instead of the JSON form: what a proxy in between would say
    body: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamError:
    """An `error` event after so many events of the reply's stream."""

    reply: Reply
    after_events: int = 4
    type: str = "overloaded_error"
    message: str = "Overloaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class CutStream:
    """The stream comes to a clean end after so many events, as if that were all."""

    reply: Reply
    after_events: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedConnection:
    """The connection is reset after so many events; 0: before any byte."""

    reply: Reply
    after_events: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Hang:
    """Nothing more comes after so many events, and nothing ends; 0: not one byte."""

    reply: Reply
    after_events: int = 0


Misbehaviour: TypeAlias = HttpError | StreamError | CutStream | DroppedConnection | Hang


class Model(Protocol):
    """Decides on an answer from the request alone."""

    def answer(self, request: dict[str, Any]) -> Reply | Misbehaviour:
        """One call of the API; the request is its whole JSON body, already found valid.

        `request["messages"]` is the conversation so far, each `content` a string or a list of
        blocks (`text`, `thinking`, `tool_use`, `tool_result`); the results of the calls made last
        are in the last message. `request["tools"]` are those it may call: by `name`, which an MCP
        client prefixes (`mcp__<server>__<name>`). The real `claude` also asks side questions
        without tools (a title, a summary): answer them with any short text. Several conversations
        may come in turns, so what is remembered should be found in the request.
        """
