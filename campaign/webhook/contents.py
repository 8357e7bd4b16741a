"""What there is to tell after an event: a pure function of the state before and after it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from campaign.machine import Campaign
from campaign.model import (
    Deployment,
    Event,
    Inconclusive,
    SessionEnded,
    SessionOutcome,
    Spend,
    Symptom,
    TrialRecord,
)
from campaign.webhook.payload import (
    DeploymentNotice,
    DeploymentOver,
    Payload,
    SessionNotice,
    SessionOver,
    SpendPart,
    SymptomPart,
    TicketOpened,
    TicketOpenedNotice,
    TrialOver,
    TrialPart,
    VerdictNotice,
)
from reports.words import duration, quantity, revision, short

#: the most of each in one notice, so that a body stays below `MOST_BYTES`
_SYMPTOMS, _OPERATIONS, _NAMES = 12, 6, 20
_NAME_CHARS, _TITLE_CHARS, _LINE_CHARS, _TEXT_CHARS = 80, 120, 240, 1000
#: no body is longer, whatever it is written in; nearly all are below 2 kB
MOST_BYTES = 64_000


def contents(
    before: Campaign | None, event: Event, after: Campaign, *, sequence: int = 1
) -> tuple[Payload, ...]:
    """What an event gives to tell, oldest first; nearly always nothing.

    `sequence` is the event's number in the journal.
    """
    told = _Told(after, event, sequence)
    indices = {after.trial.index} if before is None else {before.trial.index, after.trial.index}
    indices.add(getattr(event, "trial", after.trial.index))
    found: list[Payload] = []
    for index in sorted(indices):
        now = after.record_of(index)
        if now is not None:
            was = None if before is None else before.record_of(index)
            found.extend(told.of_trial(was or _blank(now), now))
    if after.operator_away and (before is None or not before.operator_away):
        found.append(told.session(after.trial, f"{SessionOutcome.UNAVAILABLE} ({after.trouble})"))
    return tuple(found)


def _blank(record: TrialRecord) -> TrialRecord:
    return TrialRecord(
        index=record.index,
        profile=record.profile,
        started_at=record.started_at,
        revision_before=record.revision_before,
    )


class _Told:
    """Notices about one event."""

    def __init__(self, campaign: Campaign, event: Event, sequence: int) -> None:
        self._campaign = campaign
        self._event = event
        self._sequence = sequence
        self._timestamp = moment(event.at)

    def of_trial(self, was: TrialRecord, now: TrialRecord) -> Iterator[Payload]:
        if was is now:
            return
        if was.ticket is None and now.ticket is not None:
            yield self._opened(now)
        over = {deployment.id for deployment in was.deployments if deployment.ok is not None}
        for deployment in now.deployments:
            if deployment.ok is not None and deployment.id not in over:
                yield self._deployed(now, deployment)
        if not was.session_end and now.session_end:
            yield self.session(now, now.session_end)
        if was.verdict is None and now.verdict is not None:
            yield self._judged(now)

    def _opened(self, record: TrialRecord) -> Payload:
        ticket = record.ticket
        assert ticket is not None  # noqa: S101 - of_trial looked
        shown = tuple(map(_symptom, ticket.symptoms[:_SYMPTOMS]))
        summary = f"{ticket.id}: {'; '.join(symptom.text for symptom in shown)}"
        data = TicketOpened(
            **self._common(record, summary),
            ticket=ticket.id,
            symptoms=shown,
            symptoms_left_out=len(ticket.symptoms) - len(shown),
            offered_hz=ticket.offered_hz,
            users=ticket.users,
        )
        return TicketOpenedNotice(timestamp=self._timestamp, data=data)

    def _deployed(self, record: TrialRecord, deployment: Deployment) -> Payload:
        ended_at, ok = deployment.finished_at, bool(deployment.ok)
        how = "runs" if ok else f"failed: {deployment.reason}"
        data = DeploymentOver(
            **self._common(record, f"{_ticket(record)}: {revision(deployment.revision)} {how}"),
            ticket=None if record.ticket is None else record.ticket.id,
            deployment=short(deployment.id, _NAME_CHARS),
            revision=short(deployment.revision, _NAME_CHARS),
            ok=ok,
            reason=short(deployment.reason, _TEXT_CHARS),
            duration_s=None if ended_at is None else max(0.0, ended_at - deployment.requested_at),
        )
        return DeploymentNotice(timestamp=self._timestamp, data=data)

    def session(self, record: TrialRecord, end: str) -> Payload:
        data = SessionOver(
            **self._common(record, f"{_ticket(record)}: the operator is done: {end}"),
            ticket=_ticket(record),
            session=max(1, record.sessions),
            outcome=self._outcome(end),
            end=short(end, _TEXT_CHARS),
            root_cause=short(record.root_cause, _TEXT_CHARS),
            places=_names(record.places),
            spend=_spend(record.spend),
        )
        return SessionNotice(timestamp=self._timestamp, data=data)

    def _outcome(self, end: str) -> SessionOutcome:
        """Of the event that ended it; a budget ends a session without one, and so does a crash."""
        if isinstance(self._event, SessionEnded):
            return self._event.outcome
        return next(
            (each for each in SessionOutcome if end.startswith(each)), SessionOutcome.FAILED
        )

    def _judged(self, record: TrialRecord) -> Payload:
        verdict = record.verdict
        assert verdict is not None  # noqa: S101 - of_trial looked
        repaired_in = record.time_to_repair_s
        more = (
            f" ({verdict.reason})" if verdict.reason else "",
            "" if repaired_in is None else f", repaired in {duration(repaired_in)}",
        )
        name = f"trial {record.index + 1}, {record.profile}"
        data = TrialOver(
            **self._common(record, f"{name}: {verdict.kind}{''.join(more)}"),
            ticket=None if record.ticket is None else record.ticket.id,
            verdict=verdict.kind,
            reason=short(verdict.reason, _TEXT_CHARS),
            fault=short(verdict.fault, _LINE_CHARS) if isinstance(verdict, Inconclusive) else None,
            lost=_names(record.lost),
            time_to_detect_s=record.time_to_detect_s,
            time_to_repair_s=repaired_in,
            deployments=len(record.deployments),
            spend=_spend(record.spend),
        )
        return VerdictNotice(timestamp=self._timestamp, data=data)

    def _common(self, record: TrialRecord, summary: str) -> dict[str, Any]:
        plan = self._campaign.plan
        profile = plan.profiles[record.index]
        return {
            "campaign": short(plan.campaign, _NAME_CHARS),
            "target": short(plan.target, _NAME_CHARS),
            "operator": short(plan.operator, _NAME_CHARS),
            "sequence": self._sequence,
            "summary": short(summary, _LINE_CHARS),
            "trial": TrialPart(
                number=record.index + 1,
                of=len(plan.profiles),
                profile=short(profile.id, _NAME_CHARS),
                title=short(profile.title, _TITLE_CHARS),
            ),
        }


def moment(at: float) -> datetime:
    """Epoch seconds as notices have them: UTC, to the millisecond."""
    return datetime.fromtimestamp(math.floor(at * 1000) / 1000, tz=UTC)


def _ticket(record: TrialRecord) -> str:
    return "no ticket" if record.ticket is None else record.ticket.id


def _symptom(symptom: Symptom) -> SymptomPart:
    value, limit = quantity(symptom.value, symptom.unit), quantity(symptom.limit, symptom.unit)
    title = short(symptom.title, _TITLE_CHARS)
    return SymptomPart(
        invariant=short(symptom.invariant, _NAME_CHARS),
        title=title,
        text=f"{title}: {value} (limit {limit})",
        value=symptom.value,
        limit=symptom.limit,
        unit=symptom.unit,
        since=moment(symptom.since),
        operations=tuple(short(each, _NAME_CHARS) for each in symptom.operations[:_OPERATIONS]),
    )


def _names(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(short(name, _NAME_CHARS) for name in names[:_NAMES])


def _spend(spend: Spend) -> SpendPart:
    return SpendPart(turns=spend.turns, tokens=spend.tokens, usd=spend.usd)
