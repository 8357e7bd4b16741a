"""Tools whose calls the trace is told of here, because nobody else does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from operators.session import Session, ToolSpec
from operators.toolbox.answer import Answer
from operators.toolbox.bounds import bounded
from operators.toolbox.calls import JOURNALED_CHARS

_CUT_OFF = Answer(text="the call ended before it was answered", is_error=True)


class TracedTools:
    """Implements `Tools`: of a session whose driver told the trace itself, and has left."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._made = 0

    @property
    def specs(self) -> Sequence[ToolSpec]:
        return self._session.tools.specs

    async def call(self, tool: str, arguments: Mapping[str, Any], *, call: str = "") -> Answer:
        session, assignment = self._session, self._session.assignment
        self._made += 1
        name = call or f"{assignment.ticket.id}-s{assignment.session}-p{self._made}"
        began_at, answer = session.now(), _CUT_OFF
        session.trace.tool_use(name, tool, bounded(arguments, chars=JOURNALED_CHARS))
        try:
            answer = await session.tools.call(tool, arguments, call=name)
        finally:
            session.trace.tool_result(name, tool, answer, duration_s=session.now() - began_at)
        return answer
