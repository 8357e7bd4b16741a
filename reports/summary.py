"""The campaign as one JSON object: `summary.json` and `ratchet run --json`."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict
from typing import Any

from campaign.model import Inconclusive, Invariant, Reading, TrialRecord
from reports import gates, spending
from reports.view import CampaignView, away, failure, revision_after, started_at, state, trials

VERDICTS = ("resolved", "unresolved", "immune", "inconclusive")


def summarise(campaign: CampaignView) -> dict[str, Any]:
    """Plain JSON values; times in seconds, None is unknown, `win_rate` is resolved of all judged.

    A trial that is still being played is listed with `verdict: null` and counted nowhere.
    """
    records = trials(campaign)
    return {
        "campaign": campaign.plan.campaign,
        "target": campaign.plan.target,
        "operator": campaign.plan.operator,
        "mode": campaign.plan.mode,
        "seed": campaign.plan.seed,
        "state": state(campaign),
        "failure": failure(campaign) or None,
        "operator_away": away(campaign) or None,
        "started_at": started_at(campaign),
        "duration_s": campaign.at - started_at(campaign),
        "trials_planned": len(campaign.plan.profiles),
        "verdicts": verdicts(records),
        "win_rate": win_rate(records),
        "spend": spending.as_json(spending.of_all(records)),
        "calibration": None if campaign.calibration is None else asdict(campaign.calibration),
        "trials": [_trial(record, campaign.invariants) for record in records],
    }


def verdicts(records: tuple[TrialRecord, ...]) -> dict[str, int]:
    """How many trials ended in each verdict; every verdict is a key."""
    kinds = (record.verdict.kind for record in records if record.verdict is not None)
    counted: Counter[str] = Counter(kinds)
    return {verdict: counted[verdict] for verdict in VERDICTS}


def win_rate(records: tuple[TrialRecord, ...]) -> float | None:
    """Resolved of all that have a verdict (immune and inconclusive too); None before the first."""
    judged = sum(verdicts(records).values())
    return verdicts(records)["resolved"] / judged if judged else None


def _trial(record: TrialRecord, invariants: tuple[Invariant, ...]) -> dict[str, Any]:
    verdict = record.verdict
    return {
        "index": record.index,
        "profile": record.profile,
        "verdict": None if verdict is None else verdict.kind,
        "reason": "" if verdict is None else verdict.reason,
        "fault": verdict.fault if isinstance(verdict, Inconclusive) else None,
        "violated": list(record.violated),
        "worst": [_reading(reading, invariants) for reading in record.worst],
        "after": [_reading(reading, invariants) for reading in record.after],
        "time_to_detect_s": record.time_to_detect_s,
        "time_to_repair_s": record.time_to_repair_s,
        "deployments": len(record.deployments),
        "deployments_failed": sum(deployment.ok is False for deployment in record.deployments),
        "revision_before": record.revision_before or None,
        "revision": revision_after(record) or None,
        "snapshot": None if record.snapshot is None else record.snapshot.id,
        "snapshot_failure": record.snapshot_failure or None,
        "ticket": None if record.ticket is None else record.ticket.id,
        "session_end": record.session_end or None,
        "sessions": record.sessions,
        "root_cause": record.root_cause or None,
        "places": list(record.places),
        "acknowledged_at": record.acknowledged_at,
        "spend": spending.as_json(record.spends),
        "gates": gates.as_json(record),
        "faults": [asdict(fault) for fault in record.faults],
        "started_at": record.started_at,
        "ended_at": record.ended_at,
    }


def _reading(reading: Reading, invariants: tuple[Invariant, ...]) -> dict[str, Any]:
    unit = next((inv.unit for inv in invariants if inv.id == reading.invariant), None)
    return {
        "invariant": reading.invariant,
        "status": reading.status.value,
        "value": finite(reading.value),
        "limit": reading.limit,
        "unit": unit,
    }


def finite(value: float | None) -> float | None:
    """JSON has no infinities; what is beyond all numbers keeps its status and loses its value."""
    return value if value is not None and math.isfinite(value) else None
