"""The moments of a trial that its charts mark with a vertical line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from campaign.model import Deployment, TrialRecord
from reports import words

MarkerKind: TypeAlias = Literal["load", "bad", "ticket", "deployed", "refused", "good"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """`flag` is what fits on a chart; `label` is the whole sentence."""

    #: epoch seconds
    at: float
    flag: str
    kind: MarkerKind
    label: str


def markers(record: TrialRecord) -> tuple[Marker, ...]:
    """In order of time; what did not happen has no marker."""
    return tuple(sorted(_markers(record), key=lambda marker: marker.at))


def _markers(record: TrialRecord) -> Iterator[Marker]:
    moments: tuple[tuple[float | None, str, MarkerKind, str], ...] = (
        (record.full_load_at, "L", "load", "full load"),
        (record.violated_at, "V", "bad", f"violated: {', '.join(record.violated)}"),
        (record.resolved_at, "R", "ticket", "the operator says: resolved"),
        (record.first_green_at, "G", "good", "green: the clean period begins"),
        (record.confirmed_at, "C", "good", "confirmed at full load"),
    )
    for at, flag, kind, label in moments:
        if at is not None:
            yield Marker(at=at, flag=flag, kind=kind, label=label)
    if record.ticket is not None:
        label = f"ticket {record.ticket.id}"
        yield Marker(at=record.ticket.opened_at, flag="T", kind="ticket", label=label)
    for number, deployment in enumerate(record.deployments, start=1):
        yield _deployment(number, deployment)


def _deployment(number: int, deployment: Deployment) -> Marker:
    at = deployment.finished_at or deployment.requested_at
    revision = words.revision(deployment.revision)
    if deployment.ok is None:
        label = f"deployment {number} of {revision} requested, not finished"
        return Marker(at=at, flag=f"{number}…", kind="ticket", label=label)
    if deployment.ok:
        label = f"deployment {number} of {revision} ok"
        return Marker(at=at, flag=f"{number}✓", kind="deployed", label=label)
    label = f"deployment {number} of {revision} failed: {words.short(deployment.reason, 200)}"
    return Marker(at=at, flag=f"{number}✗", kind="refused", label=label)
