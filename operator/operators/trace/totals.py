"""What the totals of a trace are, and which tool results belong to which calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from operators.trace.cost import AGENT_REPORTED, UNKNOWN
from operators.trace.document import (
    AssistantText,
    Event,
    Summary,
    Thinking,
    ToolResult,
    ToolUse,
    Turn,
    Usage,
    total,
)


def paired(events: Sequence[Event]) -> tuple[Event, ...]:
    """The same, with `paired: false` on calls without a result and results without a call.

    An id that comes twice is two calls: its first result is that of the first call.
    """
    waiting: dict[str, list[str]] = {}
    lonely: set[str] = set()
    for event in events:
        if isinstance(event, ToolUse):
            waiting.setdefault(event.tool_use_id, []).append(event.id)
        elif isinstance(event, ToolResult):
            if calls := waiting.get(event.tool_use_id):
                calls.pop(0)
            else:
                lonely.add(event.id)
    lonely.update(event for calls in waiting.values() for event in calls)
    return tuple(
        event.model_copy(update={"paired": False})
        if isinstance(event, ToolUse | ToolResult) and event.id in lonely
        else event
        for event in events
    )


def summary(events: Sequence[Event], turns: Sequence[Turn], *, remarks: int) -> Summary:
    """Counts of events that went through `paired`.

    Who reports no turns (a person, an MCP client) has one wherever it began to act anew.
    """
    calls = [event for event in events if isinstance(event, ToolUse)]
    results = [event for event in events if isinstance(event, ToolResult)]
    return Summary(
        agent_steps=len(turns) or _beginnings(events),
        tool_call_count=len(calls),
        tool_result_count=len(results),
        thinking_count=sum(isinstance(event, Thinking) for event in events),
        assistant_text_count=sum(isinstance(event, AssistantText) for event in events),
        event_count=len(events),
        unpaired_tool_calls=sum(call.paired is False for call in calls),
        unpaired_tool_results=sum(result.paired is False for result in results),
        tool_classes=dict(
            Counter(call.tool_class for call in calls if call.tool_class is not None)
        ),
        remark_count=remarks,
    )


def _beginnings(events: Iterable[Event]) -> int:
    count = 0
    acting = False
    for event in events:
        acts = event.role == "assistant"
        count += acts and not acting
        acting = acts
    return count


def usage(turns: Sequence[Turn], broken: Sequence[Turn] = ()) -> Usage:
    """Sums of what is known; answers that broke off have cost something as well.

    What an agent says it cost counts as a whole: some say it once, at the end. A price that is
    missing for one turn makes the total unknown.
    """
    paid = (*turns, *broken)
    cached = total(tuple(turn.cache_read_tokens for turn in paid))
    created = total(
        tuple(
            count
            for turn in paid
            for count in (turn.cache_creation_5m_tokens, turn.cache_creation_1h_tokens)
        )
    )
    source = _source(paid)
    costs = [
        turn.cost_usd
        for turn in paid
        if turn.cost_usd is not None
        and (source != AGENT_REPORTED or turn.pricing_source == AGENT_REPORTED)
    ]
    latencies = [turn.latency_ms for turn in turns if turn.latency_ms is not None]
    return Usage(
        input_tokens=total(tuple(turn.input_tokens for turn in paid)),
        output_tokens=total(tuple(turn.output_tokens for turn in paid)),
        cached_input_tokens=cached,
        cache_creation_tokens=created,
        cache_read_tokens=cached,
        cache_write_tokens=created,
        total_cost_usd=None if source == UNKNOWN else sum(costs),
        pricing_source=source,
        known_cost_usd=sum(costs) if costs and source == UNKNOWN else None,
        turns_without_tokens=sum(turn.tokens is None for turn in turns),
        latency_ms=sum(latencies) if latencies else None,
    )


def _source(turns: Sequence[Turn]) -> str:
    sources = sorted({turn.pricing_source for turn in turns})
    if AGENT_REPORTED in sources:
        return AGENT_REPORTED
    if not sources or UNKNOWN in sources:
        return UNKNOWN
    return ", ".join(sources)
