"""A trace as a person reads it on a terminal."""

from __future__ import annotations

import json
from typing import Any

from operators.trace import ToolClass, Trace
from operators.trace.document import AssistantText, Thinking, ToolResult, ToolUse, Turn, UserMessage
from operators.trace.lines import BrokenLine, EndLine, Line, RemarkLine, SessionLine, TurnLine
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from campaign.cli.plain import plain

_RESULT_LINES = 8
_ARGUMENT_CHARS = 300
_COLOURS = {
    ToolClass.LOGS: "cyan",
    ToolClass.METRICS: "cyan",
    ToolClass.DATABASE: "blue",
    ToolClass.CODE: "cyan",
    ToolClass.EDIT: "yellow",
    ToolClass.DEPLOY: "magenta",
    ToolClass.VERIFY: "green",
    ToolClass.OTHER: "dim",
}


class TraceView:
    """What a line of a trace looks like."""

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole
        self._turns = 0

    def show(self, line: Line) -> RenderableType:  # noqa: C901 - one case for each kind of line
        match line:
            case SessionLine():
                return Text(f"{line.session_id}  {line.source}  {line.timestamp}", style="bold")
            case UserMessage():
                return _said("user", "cyan", self._cut(line.content))
            case Thinking():
                return Padding(Text(self._cut(line.content), style="dim italic"), (0, 0, 0, 2))
            case AssistantText():
                return Padding(Text(plain(line.content)), (0, 0, 0, 2))
            case ToolUse():
                return self._call(line)
            case ToolResult():
                return self._result(line)
            case TurnLine():
                self._turns += 1
                return Text(f"{_clock(line.timestamp)} turn {self._turns}{_turn(line)}", "dim")
            case BrokenLine():
                return Text(f"{_clock(line.timestamp)} broken off{_turn(line)}", "dim")
            case RemarkLine():
                return Text(f"{_clock(line.timestamp)} {plain(line.text)}", style="yellow")
            case EndLine():
                return Text(f"{_clock(line.timestamp)} end of the session", style="bold")

    def _call(self, call: ToolUse) -> Text:
        kind = call.tool_class or ToolClass.OTHER
        text = Text(f"{_clock(call.timestamp)} ", style="dim")
        text.append(plain(call.name), style=f"bold not dim {_COLOURS[kind]}")
        text.append(f" [{kind}] ", style=f"not dim {_COLOURS[kind]}")
        text.append(self._arguments(call.input), style="not dim")
        return text

    def _arguments(self, arguments: dict[str, Any]) -> str:
        parts = (
            f"{name}={value if isinstance(value, str) else json.dumps(value)}"
            for name, value in arguments.items()
        )
        text = plain("  ".join(parts))
        if self._whole or len(text) <= _ARGUMENT_CHARS:
            return text
        return f"{text[:_ARGUMENT_CHARS]}…"

    def _result(self, result: ToolResult) -> RenderableType:
        facts = [
            "error" if result.is_error else "",
            "" if result.exit_code is None else f"exit {result.exit_code}",
            "" if result.duration_ms is None else f"{result.duration_ms / 1000:.2f} s",
            "" if result.cut_chars is None else f"{result.cut_chars:,} characters not kept",
        ]
        head = ", ".join(fact for fact in facts if fact)
        style = "red" if result.is_error else "dim"
        parts: list[Text] = [Text(head, style=style), Text(self._cut(result.content), style=style)]
        if result.diff:
            parts.append(Text(self._cut(result.diff), style="yellow"))
        return Padding(Group(*(part for part in parts if part.plain)), (0, 0, 0, 9))

    def _cut(self, content: str) -> str:
        lines = plain(content).rstrip().split("\n")
        over = len(lines) - _RESULT_LINES
        if self._whole or over <= 1:
            return "\n".join(lines)
        return "\n".join([*lines[:_RESULT_LINES], f"… {over} more lines (--whole)"])


def totals(trace: Trace) -> Text:
    """What it came to, in a line."""
    summary = trace.summary
    classes = ", ".join(f"{kind} {count}" for kind, count in _by_count(trace))
    parts = [
        f"{summary.agent_steps} turns",
        f"{summary.tool_call_count} calls" + (f" ({classes})" if classes else ""),
        _tokens(trace),
        f"cost {money(trace)} ({trace.usage.pricing_source})",
    ]
    if summary.unpaired_tool_calls:
        parts.append(f"{summary.unpaired_tool_calls} calls without a result")
    return Text(" · ".join(part for part in parts if part), style="bold")


def overview(traces: dict[str, Trace | None]) -> Table:
    """One session a line; None is one that cannot be read."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("session", "operator", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("turns", "calls", "edits", "deploys", "cost"):
        table.add_column(name, justify="right")
    for name, trace in traces.items():
        if trace is None:
            table.add_row(name, "", "[red]unreadable[/]")
            continue
        classes = trace.summary.tool_classes
        table.add_row(
            name,
            plain(trace.source),
            "over" if trace.complete else "[yellow]at work, or killed[/]",
            str(trace.summary.agent_steps),
            str(trace.summary.tool_call_count),
            str(classes.get(ToolClass.EDIT, 0)),
            str(classes.get(ToolClass.DEPLOY, 0)),
            money(trace),
        )
    return table


def money(trace: Trace) -> str:
    usage = trace.usage
    if usage.total_cost_usd is not None:
        return f"${usage.total_cost_usd:.4f}"
    if usage.known_cost_usd is not None:
        return f"over ${usage.known_cost_usd:.4f}"
    return "unknown"


def _said(who: str, style: str, content: str) -> Group:
    return Group(Text(who, style=f"bold {style}"), Padding(Text(content), (0, 0, 0, 2)))


def _clock(timestamp: str) -> str:
    return timestamp[11:19]


def _turn(turn: Turn) -> str:
    cost = "" if turn.cost_usd is None else f"${turn.cost_usd:.4f}"
    facts = (
        plain(turn.model),
        _count(turn.input_tokens, "in"),
        _count(turn.output_tokens, "out"),
        _count(turn.cache_read_tokens, "cached"),
        "" if turn.latency_ms is None else f"{turn.latency_ms / 1000:.1f} s",
        cost or "cost unknown",
    )
    return "".join(f" · {fact}" for fact in facts if fact)


def _tokens(trace: Trace) -> str:
    usage = trace.usage
    parts = (
        _count(usage.input_tokens, "in"),
        _count(usage.output_tokens, "out"),
        _count(usage.cache_read_tokens, "cached"),
    )
    return " ".join(part for part in parts if part)


def _count(tokens: int | None, name: str) -> str:
    return "" if tokens is None else f"{tokens:,} {name}"


def _by_count(trace: Trace) -> list[tuple[ToolClass, int]]:
    return sorted(trace.summary.tool_classes.items(), key=lambda item: -item[1])
