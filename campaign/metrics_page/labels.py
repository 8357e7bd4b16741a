"""What bounds each label: the number of its values does not grow with time or traffic.

A label that is new to a registry is refused here until somebody has said what it can say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import get_args

from campaign.adapters.database.exposition import STATES
from campaign.model import TOOL_NAMES, Event, Phase, SessionOutcome, Status, Verdict
from campaign.model.invariant import Kind, Unit
from campaign.webhook.patience import Failure
from campaign.webhook.payload import TYPES
from loadgen.chat_db_app import BEHAVIOURS
from loadgen.master_metrics import STATES as WORKER_STATES
from loadgen.metrics import BUCKETS_S, ErrorKind

#: more values than these are told by their number alone
_MOST_TOLD = 16


class UndocumentedError(LookupError):
    """A series, or a label of it, of which nobody has said what bounds it or what it means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """How many values a label can have, in a few words, and which."""

    #: for the table: a number, or whose choice it is
    most: str
    told: str
    #: all of them; None: the plan or the target app's clients decide, before anything is played
    values: frozenset[str] | None = None


def one_of(values: Iterable[str], what: str) -> Bound:
    """A label that can say these and nothing else."""
    known = tuple(values)
    listed = f": {', '.join(f'`{value}`' for value in known)}" if len(known) <= _MOST_TOLD else ""
    return Bound(most=str(len(known)), told=what + listed, values=frozenset(known))


def bound_of(job: str, metric: str, label: str) -> Bound:
    """What bounds `label` of `metric`, which `job` exports; of no job: a rule.

    Raises:
        UndocumentedError: nobody has said it.
    """
    for bounds in (_OF_METRIC.get(metric, {}), _OF_JOB.get(job, {})):
        if label in bounds:
            return bounds[label]
    raise UndocumentedError(
        f"nothing bounds the label {label} of {metric}: say in {__name__} what it can say"
    )


def _kinds(union: object) -> tuple[str, ...]:
    return tuple(one.__dataclass_fields__["kind"].default for one in get_args(union))


_INVARIANT = Bound(
    most="the plan's",
    told="the id of an invariant of the plan, from the target's `invariants.yaml`",
)

_OF_JOB: Mapping[str, Mapping[str, Bound]] = {
    "loadgen": {
        "behaviour": Bound(
            most="the target's",
            told=(
                "what a user does: a name in the target's `BEHAVIOURS`, any other is refused with "
                f"the load vector; chat_db_app has {len(BEHAVIOURS)}"
            ),
        ),
        "operation": Bound(
            most="the behaviour's",
            told="what is asked of the app: of the few that the behaviour's code names, one or two",
        ),
        "older_than_seconds": one_of(
            (str(edge) for edge in BUCKETS_S), "the edges of the histogram of durations"
        ),
    },
    "ratchet": {
        "phase": one_of(_kinds(Phase), "the phases of a trial, and of a campaign"),
        "verdict": one_of(_kinds(Verdict), "what a trial can end with"),
        "invariant": _INVARIANT,
        "trial": Bound(most="the plan's", told="the number of a trial of the plan, from 1 on"),
        "title": Bound(most="1 an invariant", told="the invariant's own, with its limit in it"),
        "unit": one_of(get_args(Unit), "the units of invariants"),
        "tool": one_of(
            sorted({*TOOL_NAMES, "apply_patch", "other"}),
            "the tools of the toolbox, `apply_patch` of the scripts, and `other` for all else",
        ),
        "result": one_of(("ok", "error"), "how a tool call was answered"),
    },
    "": {
        "invariant": _INVARIANT,
        "alertname": one_of(("InvariantViolated",), "one alert for all invariants"),
        "alertstate": one_of(("pending", "firing"), "Prometheus's own"),
    },
}

_KIND_OF_INVARIANT = one_of(get_args(Kind), "the kinds of invariants")

_OF_METRIC: Mapping[str, Mapping[str, Bound]] = {
    "loadgen_master_workers": {"state": one_of(WORKER_STATES, "what a worker can be")},
    "loadgen_request_errors_total": {
        "kind": one_of(ErrorKind, "why an arrival went wrong"),
    },
    "ratchet_events_total": {
        "kind": one_of(_kinds(Event), "the kinds of events that a journal can hold"),
    },
    "ratchet_database_connections": {
        "state": one_of(STATES, "the states of `pg_stat_activity`, and all that is none of them"),
    },
    "ratchet_campaign_deployments": {
        "outcome": one_of(
            ("ok", "failed", "pending"), "how a deployment ended, or that it has not yet"
        ),
    },
    "ratchet_deployment_finished_timestamp_seconds": {
        "outcome": one_of(("ok", "failed"), "how a deployment ended"),
    },
    "ratchet_database_transactions_total": {
        "outcome": one_of(("committed", "rolled_back"), "how a transaction ended"),
    },
    "ratchet_database_rows_total": {
        "access": one_of(("read", "written"), "what was done to a row"),
    },
    "ratchet_database_blocks_total": {
        "source": one_of(("cache", "system"), "where a block came from"),
    },
    "ratchet_invariant_info": {"kind": _KIND_OF_INVARIANT},
    "ALERTS": {"kind": _KIND_OF_INVARIANT},
    "ratchet_operator_sessions_total": {
        "outcome": one_of(SessionOutcome, "how a session can end"),
    },
    "ratchet_webhook_deliveries_total": {
        "type": one_of(TYPES, "what a notice is about"),
    },
    "ratchet_webhook_failures_total": {
        "reason": one_of(Failure, "why a notice was not acknowledged"),
    },
    "ratchet_invariant_status": {
        "status": one_of(Status, "what one evaluation can say of an invariant"),
    },
}
