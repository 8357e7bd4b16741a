"""What the acceptance tests read out of requests, and the model that stumbles, without a stack."""

from __future__ import annotations

from pathlib import Path

import pytest
from operators.briefing import make_briefing
from operators.toolbox.instruments import PastDeployment, PastTicket

from campaign.model import ActionTaken, Budget, OperatorOptions, SessionOutcome, Symptom, Ticket
from tests.acceptance.test_operator_misbehaviour import REMARKS, STUMBLES
from tests.claude_kit import play
from tests.fake_messages.oncall import OnCall
from tests.oncall_faults import FAULTS
from tests.oncall_kit import Ward
from tests.operator_models import (
    Metered,
    Stumbling,
    briefing,
    role,
    session_of,
    ticket_of,
    turns_so_far,
)
from tests.unit.test_oncall_claude import OnDuty

SYMPTOM = Symptom(invariant="x", title="It is slow", value=1.0, limit=0.5, since=1_000.0)
TICKET = Ticket(id="T002", opened_at=1_000.0, symptoms=(SYMPTOM,), offered_hz=5.0, users=3)


class _Records:
    async def notes(self) -> list[str]:
        return ["T001: a note.\nTicket T007 is another matter"]

    async def tickets(self) -> list[PastTicket]:
        return [
            PastTicket(
                id="T001",
                opened_at=10.0,
                symptoms=("slow",),
                outcome="resolved: it held",
                root_cause="no index",
            )
        ]

    async def deployments(self, *, diffs_of: int | None = None) -> list[PastDeployment]:
        assert diffs_of is None
        return []


@pytest.mark.parametrize("session", [1, 2])
async def test_a_request_tells_its_ticket_and_session(session: int) -> None:
    told = await make_briefing(
        TICKET,
        options=OperatorOptions(),
        budget=Budget(turns=74),
        specs=(),
        records=_Records(),
        session=session,
    )
    parts = [{"type": "text", "text": text} for text in (told.prior, told.ticket)]
    request = {
        "system": [{"type": "text", "text": told.role}],
        "messages": [{"role": "user", "content": parts}],
    }
    assert (ticket_of(request), session_of(request)) == ("T002", session)
    assert "a note." in briefing(request)
    assert "74 turns" in role(request)
    assert turns_so_far(request) == 0
    # A command-line agent is told all of it at once.
    whole = f"{told.role}\n\n{told.prior}\n\n{told.ticket}"
    alone = {"messages": [{"role": "user", "content": whole}]}
    assert (ticket_of(alone), session_of(alone)) == ("T002", session)


async def test_a_model_that_stumbles_resolves_and_each_answer_is_counted(tmp_path: Path) -> None:
    ward = Ward.of(FAULTS["unindexed"], tmp_path)
    session = OnDuty(toolbox=ward.toolbox())
    model = Metered(model=Stumbling(answers=STUMBLES, model=OnCall()))
    played = await play(model, session)
    assert played.result.outcome is SessionOutcome.RESOLVED, played.result.reason
    assert played.fake.refused == []
    remarks = "\n".join(session.tape.of("remark"))
    assert [words for words in REMARKS if words not in remarks] == []
    failed = {e.tool for e in ward.events if isinstance(e, ActionTaken) and e.is_error}
    assert {"restart_server", "sql"} <= failed
    assert played.result.spend.turns == model.answers
