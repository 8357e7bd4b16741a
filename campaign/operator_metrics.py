"""What operators do, as counters; the state of the session at work is in `state_metrics`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from campaign.model import TOOL_NAMES, ActionTaken, Event, SessionEnded, SessionOutcome

#: edges in seconds: from reading a file to a deployment that waits for a migration
BUCKETS_S = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0)

#: what the scripted operators call; any other name is the caller's invention
_TOOLS = frozenset({*TOOL_NAMES, "apply_patch"})
_OTHER = "other"


class OperatorMetrics:
    """Counts what sessions put on record. Every series is there, at zero, from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "ratchet_operator_tool_calls",
            "Tool calls of operators, by tool and result: ok, error.",
            ["tool", "result"],
            registry=registry,
        )
        self._durations = Histogram(
            "ratchet_operator_tool_duration_seconds",
            "How long operators' tool calls took, by tool.",
            ["tool"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._edits = Counter(
            "ratchet_operator_edits",
            "Tool calls of operators that changed the workspace.",
            registry=registry,
        )
        self._sessions = Counter(
            "ratchet_operator_sessions",
            f"Operators' sessions that ended, by outcome: {', '.join(SessionOutcome)}.",
            ["outcome"],
            registry=registry,
        )
        for tool in (*sorted(_TOOLS), _OTHER):
            self._durations.labels(tool=tool)
            for result in ("ok", "error"):
                self._calls.labels(tool=tool, result=result)
        for outcome in SessionOutcome:
            self._sessions.labels(outcome=outcome)

    def observe(self, event: Event) -> None:
        if isinstance(event, ActionTaken):
            tool = event.tool if event.tool in _TOOLS else _OTHER
            self._calls.labels(tool=tool, result="error" if event.is_error else "ok").inc()
            self._durations.labels(tool=tool).observe(event.duration_s)
            self._edits.inc(event.edit)
        elif isinstance(event, SessionEnded):
            self._sessions.labels(outcome=event.outcome).inc()
