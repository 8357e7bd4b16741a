"""A trace while it is written: one JSON object a line, and the document that follows from them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from operators.trace.document import (
    AssistantText,
    Part,
    Remark,
    Thinking,
    ToolResult,
    ToolUse,
    Trace,
    Turn,
    UserMessage,
    without_nulls,
)
from operators.trace.totals import paired, summary, usage


class TraceError(Exception):
    """A trace cannot be read; the message says which, and where."""


class SessionLine(Part):
    """The first line."""

    kind: Literal["session"] = "session"
    schema_version: Literal["2"] = "2"
    source: str
    session_id: str
    timestamp: str


class TurnLine(Turn):
    """One answer of the model was complete."""

    kind: Literal["turn"] = "turn"


class BrokenLine(Turn):
    """An answer of the model broke off."""

    kind: Literal["broken_answer"] = "broken_answer"


class RemarkLine(Remark):
    """A remark was made."""

    kind: Literal["remark"] = "remark"


class EndLine(Part):
    """The last line of a session that came to its end."""

    kind: Literal["end"] = "end"
    timestamp: str


Line: TypeAlias = Annotated[
    SessionLine
    | UserMessage
    | Thinking
    | AssistantText
    | ToolUse
    | ToolResult
    | TurnLine
    | BrokenLine
    | RemarkLine
    | EndLine,
    Field(discriminator="kind"),
]

_LINE: TypeAdapter[Line] = TypeAdapter(Line)


def written(line: Line) -> bytes:
    """As it stands in the file."""
    content: dict[str, Any] = line.model_dump(mode="json", by_alias=True)
    return json.dumps(without_nulls(content)).encode() + b"\n"


def read_trace(path: Path) -> Trace:
    """The document of a file of either kind: `.jsonl`, also while it is written, or `.json`.

    Raises:
        TraceError: it cannot be read, or is no trace.
    """
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise TraceError(f"{path}: {problem.strerror}") from problem
    if path.suffix == ".jsonl":
        return trace_of(read_lines(content, name=str(path)), name=str(path))
    try:
        return Trace.model_validate_json(content)
    except ValidationError as problem:
        raise TraceError(f"{path} is no trace: {_first(problem)}") from problem


def read_lines(content: bytes, *, name: str) -> Iterator[Line]:
    """What is there whole: a last line without its end is still being written, or was torn.

    Raises:
        TraceError: another line is broken; it says which one.
    """
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            yield _LINE.validate_json(line)
        except ValidationError as problem:
            raise TraceError(f"{name}:{number} is no line of a trace: {_first(problem)}") from None


def trace_of(lines: Iterator[Line] | list[Line], *, name: str = "the trace") -> Trace:
    """The document so far.

    Raises:
        TraceError: there is no line that says whose it is.
    """
    head: SessionLine | None = None
    end: EndLine | None = None
    events: list[UserMessage | Thinking | AssistantText | ToolUse | ToolResult] = []
    turns: list[Turn] = []
    broken: list[Turn] = []
    remarks: list[Remark] = []
    for line in lines:
        match line:
            case SessionLine():
                head = head or line
            case EndLine():
                end = line
            case TurnLine():
                turns.append(Turn.model_validate(line.model_dump(exclude={"kind"})))
            case BrokenLine():
                broken.append(Turn.model_validate(line.model_dump(exclude={"kind"})))
            case RemarkLine():
                remarks.append(Remark.model_validate(line.model_dump(exclude={"kind"})))
            case _:
                events.append(line)
    if head is None:
        raise TraceError(f"{name} does not say whose session it is: its first line is missing")
    done = paired(events)
    return Trace(
        source=head.source,
        session_id=head.session_id,
        summary=summary(done, turns, remarks=len(remarks)),
        usage=usage(turns, broken),
        events=done,
        turns=tuple(turns),
        broken_answers=tuple(broken),
        remarks=tuple(remarks),
        started_at=head.timestamp,
        ended_at=None if end is None else end.timestamp,
        complete=end is not None,
    )


def _first(problem: ValidationError) -> str:
    error = problem.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(step) for step in error["loc"])
    return f"{place}: {error['msg']}" if place else error["msg"]
