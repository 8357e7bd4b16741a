"""A trace as some session would write it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from operators.prices import shipped_prices
from operators.toolbox.answer import Answer
from operators.trace import TraceWriter, TurnUsage

MODEL = "claude-opus-4-8"
BEGAN_AT = 1_767_225_600.0  # 2026-01-01T00:00:00Z


#: a price table of a user's own
OWN_PRICES = """\
schema: 1
date: "2027-01-02"
source: our contract
prices:
  - models: [claude-opus-5, house-model]
    tokens: {input: 1, output: 2.5, cache_read: 0, cache_write_5m: 1, cache_write_1h: 1}
"""


@dataclass(kw_only=True)
class Ticking:
    """A clock that goes on by a second whenever it is looked at."""

    at: float = BEGAN_AT

    def __call__(self) -> float:
        self.at += 1.0
        return self.at


def usage(**changes: object) -> TurnUsage:
    known: dict[str, object] = {
        "model": MODEL,
        "input_tokens": 1_000,
        "output_tokens": 200,
        "latency_s": 1.5,
        "stop_reason": "tool_use",
    }
    return TurnUsage(**{**known, **changes})  # type: ignore[arg-type]


def writer(folder: Path, *, session_id: str = "T001-s1", **options: object) -> TraceWriter:
    known: dict[str, object] = {
        "source": "claude",
        "clock": Ticking(),
        "prices": shipped_prices(),
    }
    return TraceWriter(folder, session_id=session_id, **{**known, **options})  # type: ignore[arg-type]


def work(trace: TraceWriter) -> None:
    """Looks, edits, deploys and verifies, in three turns."""
    trace.user_message("Ticket T001: history is slow")
    trace.thinking("Perhaps an index is missing.", model=MODEL)
    trace.turn(usage(input_tokens=1_000, output_tokens=200))
    trace.tool_use("c1", "sql", {"query": "EXPLAIN SELECT 1"})
    trace.tool_use("c2", "query_metrics", {"query": "up"})
    trace.tool_result("c2", "query_metrics", Answer(text="up 1"), duration_s=0.2)
    trace.tool_result("c1", "sql", Answer(text="Seq Scan"), duration_s=0.1)
    trace.assistant_text("I add one.", model=MODEL)
    trace.turn(usage(input_tokens=500, output_tokens=100, cache_read_tokens=1_200))
    trace.tool_use(
        "c3", "str_replace_based_edit_tool", {"command": "str_replace", "path": "schema.py"}
    )
    diff = "--- a/schema.py\n+++ b/schema.py\n@@ -1 +1 @@\n-a\n+b\n"
    trace.tool_result("c3", "x", Answer(text="edited", diff=diff), duration_s=0.01)
    trace.tool_use("c4", "deploy", {"message": "Index messages"})
    trace.tool_result("c4", "deploy", Answer(text="deployed 0123"), duration_s=2.5)
    trace.tool_use("c5", "query_metrics", {"query": "up"})
    trace.tool_result("c5", "query_metrics", Answer(text="up 1"), duration_s=0.2)
    trace.remark("retried after 529")
    trace.turn(usage(input_tokens=10, output_tokens=20))
