"""A session in a few lines, from its trace; the same trace always gives the same lines."""

from __future__ import annotations

from collections.abc import Iterator

from operators.briefing.quoting import cut
from operators.trace.document import AssistantText, ToolClass, ToolResult, ToolUse, Trace

_LAST_WORDS_CHARS = 1_500
_CAUSE_CHARS = 1_500
_NOTE_CHARS = 1_000
_MOST = 20


def digest(trace: Trace) -> str:
    """Turns, calls by class, edits, deployments, notes, the cause that was stated, last words."""
    return "\n".join(_lines(trace))


def _lines(trace: Trace) -> Iterator[str]:
    summary = trace.summary
    counts = sorted(summary.tool_classes.items(), key=lambda item: (-item[1], item[0]))
    classes = ", ".join(f"{kind} {count}" for kind, count in counts)
    yield f"{summary.agent_steps} turns, {summary.tool_call_count} calls: {classes or 'none'}"
    if not trace.complete:
        yield "it was cut off"
    answers = _answers(trace)
    calls = [event for event in trace.events if isinstance(event, ToolUse)]
    if edited := list(dict.fromkeys(_edited(calls, answers))):
        yield f"edited: {', '.join(edited[:_MOST])}"
    for call in calls:
        yield from _said(call, answers.get(call.tool_use_id))
    texts = [event.content for event in trace.events if isinstance(event, AssistantText)]
    if texts:
        yield f"last words: {cut(texts[-1].strip(), limit=_LAST_WORDS_CHARS)}"


def _said(call: ToolUse, answer: ToolResult | None) -> Iterator[str]:
    name = call.name.rpartition("__")[2]
    if name == "deploy":
        yield f"deployed: {call.input.get('message', '')} -> {_first_line(answer)}"
    elif name == "resolve":
        cause = str(call.input.get("root_cause", ""))
        yield f"root cause as it was stated: {cut(cause, limit=_CAUSE_CHARS)}"
    elif name == "write_note":
        yield f"note: {cut(str(call.input.get('text', '')), limit=_NOTE_CHARS)}"


def _edited(calls: list[ToolUse], answers: dict[str, ToolResult]) -> Iterator[str]:
    """Files as the tools were told of them, or as their diffs name them."""
    for call in calls:
        answer = answers.get(call.tool_use_id)
        if call.tool_class is not ToolClass.EDIT or answer is None or answer.is_error:
            continue
        path = call.input.get("path") or call.input.get("file_path")
        if path:
            yield str(path).removeprefix("/srv/app/")
        elif answer.diff:
            yield from _files(answer.diff)


def _files(diff: str) -> Iterator[str]:
    for line in diff.splitlines():
        if line.startswith("+++ b/"):
            yield line.removeprefix("+++ b/")


def _answers(trace: Trace) -> dict[str, ToolResult]:
    return {event.tool_use_id: event for event in trace.events if isinstance(event, ToolResult)}


def _first_line(answer: ToolResult | None) -> str:
    if answer is None:
        return "its end is not on record"
    return next(iter(answer.content.strip().splitlines()), "no answer")
