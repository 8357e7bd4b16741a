"""The trace of one session: schema "2" of normalised traces, and what we add to it.

Kinds, field names and totals of schema "2" mean what they mean there. All that is ours is optional,
so a document of schema "2" from elsewhere is read as well.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class ToolClass(StrEnum):
    """What a tool call was for; see `operators.trace.classify`."""

    LOGS = "logs"
    METRICS = "metrics"
    DATABASE = "database"
    CODE = "code"
    EDIT = "edit"
    DEPLOY = "deploy"
    VERIFY = "verify"
    #: the ticket, notes, plans: neither looking nor changing
    OTHER = "other"


class Part(BaseModel):
    """What all parts of a trace have in common: names in camelCase, and no change."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        frozen=True,
        use_attribute_docstrings=True,
    )


class _Event(Part):
    id: str
    """`evt-1`, `evt-2` … in the order in which they happened."""
    timestamp: str
    """ISO 8601, UTC, milliseconds."""
    cut_chars: int | None = None
    """So many characters were left out of this event, which was too long to keep whole."""


class UserMessage(_Event):
    """What the operator was told: its briefing, and what people said to it."""

    kind: Literal["user_message"] = "user_message"
    role: Literal["user"] = "user"
    content: str


class Thinking(_Event):
    """What the model thought, as far as its provider shows that."""

    kind: Literal["thinking"] = "thinking"
    role: Literal["assistant"] = "assistant"
    model: str | None = None
    content: str


class AssistantText(_Event):
    """What the model said."""

    kind: Literal["assistant_text"] = "assistant_text"
    role: Literal["assistant"] = "assistant"
    model: str | None = None
    content: str


class ToolUse(_Event):
    """A tool was called."""

    kind: Literal["tool_use"] = "tool_use"
    role: Literal["assistant"] = "assistant"
    model: str | None = None
    name: str
    tool_use_id: str
    """The result has the same."""
    input: dict[str, Any]
    tool_class: ToolClass | None = None
    """What the call was for."""
    paired: bool | None = None
    """False: there is no result of this call."""


class ToolResult(_Event):
    """What the tool gave back."""

    kind: Literal["tool_result"] = "tool_result"
    role: Literal["tool"] = "tool"
    tool_use_id: str
    tool_name: str
    is_error: bool = False
    content: str
    duration_ms: float | None = None
    """From the call to the result, milliseconds."""
    exit_code: int | None = None
    """Of a command."""
    diff: str | None = None
    """What the call changed in the workspace, as a unified diff."""
    paired: bool | None = None
    """False: there is no call that this is the result of."""


Event: TypeAlias = Annotated[
    UserMessage | Thinking | AssistantText | ToolUse | ToolResult, Field(discriminator="kind")
]


class Turn(Part):
    """One answer of the model; tokens are null where they are unknown."""

    timestamp: str
    """When the answer was complete."""
    after_event: str | None = None
    """The last event that was on record then."""
    model: str
    input_tokens: int | None = None
    """Not from the cache and not written to it."""
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_creation_5m_tokens: int | None = None
    cache_creation_1h_tokens: int | None = None
    latency_ms: float | None = None
    """From the request to the whole answer, milliseconds."""
    cost_usd: float | None = None
    """Null: unknown."""
    pricing_source: str = "unknown"
    """As in `usage`."""
    stop_reason: str | None = None

    @property
    def tokens(self) -> int | None:
        """All that are known, together; None when none is."""
        return total(
            (
                self.input_tokens,
                self.output_tokens,
                self.cache_read_tokens,
                self.cache_creation_5m_tokens,
                self.cache_creation_1h_tokens,
            )
        )


class Remark(Part):
    """Something that is no event: a retry, a compaction, an interruption."""

    timestamp: str
    after_event: str | None = None
    """The last event that was on record then."""
    text: str


class Summary(Part):
    """Counts of the events."""

    agent_steps: int
    """Turns: answers of the model."""
    tool_call_count: int
    tool_result_count: int
    thinking_count: int
    assistant_text_count: int
    event_count: int
    unpaired_tool_calls: int = 0
    """Calls without a result; their events say `paired: false`."""
    unpaired_tool_results: int = 0
    """Results without a call."""
    tool_classes: dict[ToolClass, int] = Field(default_factory=dict)
    """How many calls there were of each class."""
    remark_count: int = 0


class Usage(Part):
    """Tokens and money of the session; null is unknown, never zero."""

    input_tokens: int | None
    """Not from the cache and not written to it."""
    output_tokens: int | None
    cached_input_tokens: int | None
    """The same as `cacheReadTokens`, by its other name."""
    cache_creation_tokens: int | None
    """Written to the cache, for five minutes or an hour."""
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    """The same as `cacheCreationTokens`, by its other name."""
    total_cost_usd: float | None
    pricing_source: str
    """`agent-reported`, `price-table:<date>` or `unknown`."""
    known_cost_usd: float | None = None
    """What is known of a cost that is not known as a whole."""
    turns_without_tokens: int = 0
    """Turns whose tokens nobody told."""
    latency_ms: float | None = None
    """Of all turns together."""


class Trace(Part):
    """One session's work on one ticket."""

    schema_version: Literal["2"] = "2"
    source: str
    """Which kind of operator wrote it, such as `claude`."""
    session_id: str
    """The ticket and the session, such as `T003-s1`."""
    summary: Summary
    usage: Usage
    events: tuple[Event, ...]
    turns: tuple[Turn, ...] = ()
    """Latency and usage of each answer of the model."""
    broken_answers: tuple[Turn, ...] = ()
    """Answers that broke off: they count as no turn, and their tokens and cost in `usage`."""
    remarks: tuple[Remark, ...] = ()
    started_at: str | None = None
    ended_at: str | None = None
    complete: bool = True
    """False: the session is still at work, or was killed."""


def total(values: tuple[int | None, ...]) -> int | None:
    """The sum of those that are known; None when none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def as_document(trace: Trace) -> dict[str, Any]:
    """As JSON has it; what an event or turn has not is left out."""
    document = trace.model_dump(mode="json", by_alias=True)
    for part in ("events", "turns", "brokenAnswers", "remarks"):
        document[part] = [without_nulls(item) for item in document[part]]
    return document


def without_nulls(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if value is not None}


def trace_schema_text() -> str:
    """The JSON Schema of the document, as the text of its file."""
    return json.dumps({"$schema": _DIALECT, **Trace.model_json_schema()}, indent=2) + "\n"
