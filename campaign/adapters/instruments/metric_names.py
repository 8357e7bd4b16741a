"""Which series operators see. Everything that is not listed here, and not the app's own, is hidden.

The list is of names; what the app exposes itself (job "app") may have any name. Hidden so are what
the load generator and the harness know of themselves, and the metrics' own server: they would tell
how the campaign is made up, not how the service does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

#: the label that says where a series was scraped, and its value for the app
JOB = "job"
APP_JOB = "app"

#: where something was scraped is nobody's business
HIDDEN_LABELS = frozenset({"instance"})

#: names with what they tell; of a histogram, the name without its endings
_SEEN: Mapping[str, str] = {
    # what clients see
    "loadgen_request_duration_seconds": (
        "Histogram, as clients see it: from the intended start of a request to its answer (of a "
        "stream, to its first token)"
    ),
    "loadgen_first_byte_seconds": "Histogram, streams: from the request to the first token",
    "loadgen_requests_offered_total": "Requests that clients wanted to make",
    "loadgen_requests_started_total": "Requests that clients sent",
    "loadgen_response_bytes_total": "Bytes of bodies that clients received",
    "loadgen_acknowledged_writes_total": "Messages that the app told clients it had stored",
    "loadgen_request_errors_total": "Requests that went wrong for clients, by kind",
    "loadgen_offered_rate_hertz": "Requests per second that clients want to make",
    "loadgen_users": "Clients at work",
    "loadgen_inflight_requests": "Requests sent and not answered to the end",
    "loadgen_unanswered_requests": "Unanswered requests that are older than `older_than_seconds`",
    # the database, seen from outside the app
    "ratchet_database_probe_success": "Whether the last look at the database succeeded",
    "ratchet_database_connections": "Connections of the app's role, by state",
    "ratchet_database_idle_in_transaction_sessions": (
        "Sessions of the app's role that have sat idle in a transaction for half a second"
    ),
    "ratchet_database_max_connections": "Connections that the server accepts",
    "ratchet_database_wal_bytes_total": "Bytes of write-ahead log",
    "ratchet_database_statements_total": "Statements that the app's role executed",
    # what the service is judged by
    "ratchet:invariant_value": "What each invariant is judged by, by invariant",
    "ratchet:invariant_limit": "Above this value an invariant is violated",
    "ratchet:invariant_samples": "How much was measured in the window",
    "ratchet:invariant_offered": "How much was asked for in the window",
    "ALERTS": "1 for each invariant that is violated: alertname, alertstate, invariant",
}
_HISTOGRAMS = frozenset({"loadgen_request_duration_seconds", "loadgen_first_byte_seconds"})
_ENDINGS = ("_bucket", "_count", "_sum")

#: names of the harness, whether they exist or not: asking for them is noticed
_HARNESS = re.compile(r"(ratchet[:_]|loadgen_|prometheus_|ALERTS_FOR_STATE$)")


def _seen_names() -> frozenset[str]:
    names: set[str] = set()
    for name in _SEEN:
        names |= {name + ending for ending in _ENDINGS} if name in _HISTOGRAMS else {name}
    return frozenset(names)


#: every name that may be read, whatever the series' labels are
SEEN_NAMES = _seen_names()
#: the same for a matcher: `__name__=~"…"`, which Prometheus anchors at both ends
SEEN_PATTERN = "|".join(sorted(SEEN_NAMES))


def is_seen(name: str) -> bool:
    return name in SEEN_NAMES


def is_of_the_harness(name: str) -> bool:
    """It is hidden, and no app would call its own so."""
    return name not in SEEN_NAMES and _HARNESS.match(name) is not None


def family(name: str) -> str:
    """The name that a histogram's series have in common; any other name as it is."""
    for ending in _ENDINGS:
        if name.endswith(ending) and name.removesuffix(ending) in _HISTOGRAMS:
            return name.removesuffix(ending)
    return name


def help_of(name: str) -> str:
    return _SEEN.get(family(name), "")
