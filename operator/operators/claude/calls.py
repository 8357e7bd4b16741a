"""The tool calls of one answer, all at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from operators.claude.assembly import Call
from operators.session import Session
from operators.toolbox.answer import Answer

_SILENT = "(it printed nothing)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a call gave."""

    call: Call
    answer: Answer

    @property
    def block(self) -> Mapping[str, Any]:
        """As the API takes it."""
        return {
            "type": "tool_result",
            "tool_use_id": self.call.id,
            "content": self.answer.text if self.answer.text.strip() else _SILENT,
            "is_error": self.answer.is_error,
        }


async def run_calls(session: Session, calls: Sequence[Call]) -> tuple[Result, ...]:
    """Their results in the order of the calls; one that cannot be read is an error.

    The toolbox keeps those in order that change something: an edit and its deployment may come in
    one answer. An exception of a tool is a fault of the harness: the others are ended, and it is
    raised.
    """
    try:
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(_run(session, call), name=f"claude-call-{call.id}")
                for call in calls
            ]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return tuple(
        Result(call=call, answer=task.result()) for call, task in zip(calls, running, strict=True)
    )


async def _run(session: Session, call: Call) -> Answer:
    # What is no object the toolbox refuses, and that is on record like any other call.
    sent: Any = call.arguments
    answer = await session.tools.call(call.tool, sent, call=call.id)
    return replace(answer, text=f"{answer.text}\n{call.problem}") if call.problem else answer
