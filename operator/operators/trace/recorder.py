"""Where a session's trace is told what happens, as it happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from operators.toolbox.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnUsage:
    """Tokens of one answer of a model, as its provider counts them; None is unknown."""

    model: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_creation_5m_tokens: int | None = None
    cache_creation_1h_tokens: int | None = None
    #: from the request to the whole answer, seconds
    latency_s: float | None = None
    #: what the provider or agent itself says it cost
    reported_usd: float | None = None
    stop_reason: str = ""


class Recorder(Protocol):
    """Each call is on disk when it returns."""

    def user_message(self, text: str) -> None: ...

    def thinking(self, text: str, *, model: str) -> None: ...

    def assistant_text(self, text: str, *, model: str) -> None: ...

    def tool_use(self, call: str, tool: str, arguments: Mapping[str, Any]) -> None: ...

    def tool_result(self, call: str, tool: str, answer: Answer, *, duration_s: float) -> None: ...

    def turn(self, usage: TurnUsage) -> None:
        """One answer of the model is complete."""

    def broken_off(self, usage: TurnUsage) -> None:
        """One that will never be complete: what it is known to have cost counts, but no turn."""

    def remark(self, text: str) -> None:
        """Something that is no event of schema "2": a retry, a compaction, an interruption."""


class NoRecorder:
    """For a toolbox whose calls somebody else tells the trace of."""

    def user_message(self, text: str) -> None: ...

    def thinking(self, text: str, *, model: str) -> None: ...

    def assistant_text(self, text: str, *, model: str) -> None: ...

    def tool_use(self, call: str, tool: str, arguments: Mapping[str, Any]) -> None: ...

    def tool_result(self, call: str, tool: str, answer: Answer, *, duration_s: float) -> None: ...

    def turn(self, usage: TurnUsage) -> None: ...

    def broken_off(self, usage: TurnUsage) -> None: ...

    def remark(self, text: str) -> None: ...
