"""What agents write on their standard output, line by line. A format is a pure function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

from operators.command.records import Parser
from operators.command.streams.claude import claude_line
from operators.command.streams.codex import codex_line
from operators.command.streams.gemini import gemini_line
from operators.command.streams.generic import generic_line
from operators.command.streams.text import text_line

Format: TypeAlias = Literal[
    "claude-stream-json", "codex-json", "gemini-stream-json", "generic-jsonl", "text"
]

PARSERS: Mapping[Format, Parser] = {
    "claude-stream-json": claude_line,
    "codex-json": codex_line,
    "gemini-stream-json": gemini_line,
    "generic-jsonl": generic_line,
    "text": text_line,
}

#: in these the agent tells of its tool calls itself
TELLS_CALLS: frozenset[Format] = frozenset(get_args(Format)) - {"text"}

__all__ = ["PARSERS", "TELLS_CALLS", "Format"]
