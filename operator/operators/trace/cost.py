"""What a turn costs, and who says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from operators.trace.recorder import TurnUsage

#: the agent or its provider said what it cost
AGENT_REPORTED = "agent-reported"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """US dollars; None is unknown, never zero."""

    usd: float | None
    #: `agent-reported`, `price-table:<date>` or `unknown`
    source: str


class Pricing(Protocol):
    """Price tables, such as `operators.prices.Prices`."""

    def cost(self, usage: TurnUsage) -> Cost: ...


class NoPrices:
    """Knows what was reported, and nothing else."""

    def cost(self, usage: TurnUsage) -> Cost:
        if usage.reported_usd is not None:
            return Cost(usd=usage.reported_usd, source=AGENT_REPORTED)
        return Cost(usd=None, source=UNKNOWN)
