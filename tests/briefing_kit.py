"""What a briefing is made of, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from operators.session import ToolSpec
from operators.toolbox.instruments import PastDeployment, PastTicket

from campaign.model import Symptom, Ticket

OPENED_AT = 1_767_225_600.0  # 2026-01-01 00:00:00Z

TICKET = Ticket(
    id="T003",
    opened_at=OPENED_AT,
    symptoms=(
        Symptom(
            invariant="history_latency",
            title="Opening a conversation's history takes longer than 0.3 s",
            value=0.4337,
            limit=0.05,
            since=OPENED_AT - 4,
            unit="ratio",
            operations=("list_messages",),
        ),
        Symptom(
            invariant="response_bytes",
            title="An average answer of a list is too large",
            value=1_234_567.8,
            limit=200_000,
            since=OPENED_AT,
            unit="bytes",
        ),
    ),
    offered_hz=36.25,
    users=24,
)

SPECS = tuple(
    ToolSpec(name=name, description=description, parameters={"type": "object"})
    for name, description in (
        ("read_ticket", "Read the ticket again. It takes no arguments."),
        ("sql", "Ask the database as the app does.\nOne statement a call."),
        ("write_note", "Note something for later tickets. Keep it short."),
        ("deploy", "Commit the working copy and run it."),
    )
)


@dataclass(frozen=True, kw_only=True)
class Past:
    """Implements `Records`."""

    past_tickets: Sequence[PastTicket] = ()
    past_deployments: Sequence[PastDeployment] = ()
    past_notes: Sequence[str] = ()

    async def tickets(self) -> Sequence[PastTicket]:
        return self.past_tickets

    async def deployments(self, *, diffs_of: int | None = None) -> Sequence[PastDeployment]:
        assert diffs_of is None
        return self.past_deployments

    async def notes(self) -> Sequence[str]:
        return self.past_notes


def past_ticket(number: int, **changes: str) -> PastTicket:
    known = {"outcome": "resolved: it held under full load once more", "root_cause": "no index"}
    return PastTicket(
        id=f"T{number:03}",
        opened_at=OPENED_AT - 10_000 + number,
        symptoms=(f"Searching takes longer than 0.3 s: {number} %",),
        **{**known, **changes},
    )


def past_deployment(number: int, **changes: str) -> PastDeployment:
    known = {"message": f"Change number {number}", "reason": "", "diff": f"+line {number}\n"}
    return PastDeployment(
        id=f"T{number:03}-s1-d1",
        ticket=f"T{number:03}",
        requested_at=OPENED_AT - 10_000 + number,
        revision=f"{number:040x}",
        ok=not changes.get("reason"),
        **{**known, **changes},
    )
