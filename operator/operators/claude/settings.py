"""What of the Claude operator is not an option of the campaign."""

from __future__ import annotations

from dataclasses import dataclass, field

from operators.claude.retries import Patience

DEFAULT_MODEL = "claude-opus-5-5"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaudeSettings:
    """Limits that every session has, whatever its budget."""

    #: of one answer, its thinking included
    max_output_tokens: int = 64_000
    #: without a byte from the provider for so long, the connection counts as lost
    silence_s: float = 180.0
    patience: Patience = field(default_factory=Patience)
    #: from here on the provider is asked to clear the results of old tool calls
    clear_above_tokens: int = 100_000
    #: clearing costs the prompt's cache once: less than this is not worth it
    clear_at_least_tokens: int = 20_000
    #: the results that are always kept, counted from the newest
    keep_results: int = 8
    #: how often a session begins anew when it has outgrown the context window all the same
    fresh_starts: int = 3
