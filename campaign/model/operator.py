"""How an operator is set up: part of the plan, so that a campaign says who played it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

#: baseline: the ticket says the symptoms only; informed: also which tools and metrics there are
Persona: TypeAlias = Literal["baseline", "informed"]
#: what a session is told of those before it
Memory: TypeAlias = Literal["none", "history", "summary"]
Provider: TypeAlias = Literal["anthropic", "bedrock", "vertex"]
Effort: TypeAlias = Literal["low", "medium", "high", "xhigh", "max"]
#: every tool that an operator may find in its toolbox
ToolName: TypeAlias = Literal[
    "read_ticket",
    "bash",
    "str_replace_based_edit_tool",
    "search_files",
    "http_request",
    "sql",
    "list_metrics",
    "query_metrics",
    "read_logs",
    "list_deployments",
    "file_plan",
    "write_note",
    "acknowledge",
    "deploy",
    "resolve",
]
TOOL_NAMES: tuple[str, ...] = get_args(ToolName)


def is_adapter_file(agent: str) -> bool:
    """A path, not a preset's name."""
    return "/" in agent or agent.endswith((".yaml", ".yml"))


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorOptions:
    """What can be chosen; an operator that has no use for an option leaves it alone."""

    persona: Persona = "baseline"
    memory: Memory = "history"
    #: whatever changes files, data or what runs is refused until a plan is filed
    plan_mode: bool = False
    #: the tools whose every call waits for a person's approval
    approve: tuple[str, ...] = ()
    #: None: the operator's own default
    model: str | None = None
    effort: Effort | None = None
    provider: Provider = "anthropic"
    base_url: str | None = None
    #: command: a preset's name, or an adapter file
    agent: str = "claude-code"
    #: replay: the campaign whose sessions are played again
    recording: str | None = None


def said_by_a_person(text: str) -> str:
    """A message to a session, as whoever is at work reads it."""
    return f"A person who watches this session says: {text}"
