"""The moderation service's client.

Outside production there is no moderation service; this stand-in gives the answers a text of
ordinary words gets, after the time the real one takes in the median.
"""

from __future__ import annotations

import asyncio

LATENCY_S = 0.010
BLOCKED_WORDS = frozenset({"casino", "lottery", "viagra"})


async def classify(content: str) -> dict[str, object]:
    """Labels for a text, to be kept with the message."""
    await asyncio.sleep(LATENCY_S)
    flagged = sorted(BLOCKED_WORDS.intersection(content.lower().split()))
    return {"flagged": bool(flagged), "words": flagged}
