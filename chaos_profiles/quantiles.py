"""What a latency invariant leaves out: how slow its requests are while they are quick enough.

An invariant judges the fraction slower than L, which is 0 for a p95 just below L and for one of a
millisecond alike. A gauge tells the two apart. It is measured and judged by nobody: its limit is
out of reach.
"""

from __future__ import annotations

from dataclasses import replace

from campaign.model import Invariant

#: seconds; more than any client waits
_OUT_OF_REACH = 1e6
_P95 = (
    "histogram_quantile(0.95, sum by (le) "
    '(increase(loadgen_request_duration_seconds_bucket{{job="loadgen",{select}}}[$RANGE])))'
)


def p95_name(invariant: str) -> str:
    """The id of the gauge beside an invariant."""
    return f"{invariant}_p95"


def p95_gauge(invariant: Invariant) -> Invariant | None:
    """The p95 of the requests that a latency invariant judges, in seconds; None for any other.

    Interpolated within the histogram's buckets, as `histogram_quantile` does.
    """
    if invariant.latency is None or invariant.select is None:
        return None
    return replace(
        invariant,
        id=p95_name(invariant.id),
        title=f"p95 of what is judged by {invariant.id}",
        unit="seconds",
        value=_P95.format(select=invariant.select),
        limit=_OUT_OF_REACH,
    )
