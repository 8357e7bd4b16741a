"""A person who is asked before a tool acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the person said; the reason goes to the operator."""

    granted: bool
    reason: str = ""


class Approvals(Protocol):
    """The way to that person; waits for as long as it takes."""

    async def ask(self, approval: str, tool: str, arguments: Mapping[str, Any]) -> Decision:
        """`approval` is the name that the question has on record."""
