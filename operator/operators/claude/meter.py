"""What a session has cost so far. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from campaign.model import Spend
from operators.trace.recorder import TurnUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """Once a part is unknown the sum is unknown: None."""

    turns: int = 0
    tokens: int | None = 0
    usd: float | None = 0.0

    @property
    def spend(self) -> Spend:
        return Spend(turns=self.turns, tokens=self.tokens, usd=self.usd)

    def turn(self, usage: TurnUsage, usd: float | None) -> Meter:
        """One whole answer more."""
        added = self.broken(usage, usd)
        return replace(added, turns=self.turns + 1)

    def broken(self, usage: TurnUsage, usd: float | None) -> Meter:
        """An answer that broke off: what it is known to have cost, but no turn."""
        tokens = tokens_of(usage)
        return replace(
            self,
            tokens=None if self.tokens is None or tokens is None else self.tokens + tokens,
            usd=None if self.usd is None or usd is None else self.usd + usd,
        )


def tokens_of(usage: TurnUsage) -> int | None:
    """Read, put into the cache, read from it, and written; None when the provider did not say."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return (
        usage.input_tokens
        + usage.output_tokens
        + (usage.cache_read_tokens or 0)
        + (usage.cache_creation_5m_tokens or 0)
        + (usage.cache_creation_1h_tokens or 0)
    )
