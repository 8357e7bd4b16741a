"""The real toolbox, worked from outside: what it journals, and that `resolve` is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operators.external import ExternalDriver, SessionFacts, expected_tools
from operators.session import ToolSpec
from operators.toolbox import Toolbox
from operators.toolbox.answer import Answer
from operators.toolbox.approvals import Decision

from campaign.model import (
    ActionTaken,
    ApprovalAnswered,
    ApprovalAsked,
    DeploymentFinished,
    DeploymentRequested,
    OperatorOptions,
    SessionOutcome,
    SessionResult,
    Spend,
    TicketResolved,
)
from campaign.seats import Register
from tests.seats_kit import FakeSession, until
from tests.toolbox_kit import ASSIGNMENT, Bench


@dataclass(kw_only=True)
class RealTools:
    """The toolbox; the session hears of its end."""

    toolbox: Toolbox
    session: FakeSession

    @property
    def specs(self) -> Sequence[ToolSpec]:
        return self.toolbox.specs

    async def call(self, tool: str, arguments: Mapping[str, Any], *, call: str = "") -> Answer:
        answer = await self.toolbox.call(tool, arguments, call=call)
        self.session.resolved = self.toolbox.resolved
        return answer


async def work(register: Register, bench: Bench) -> SessionResult:
    facts = SessionFacts(assignment=ASSIGNMENT, operator="external")
    async with register.open(facts, bench) as seat:
        session = FakeSession(assignment=ASSIGNMENT, seat=seat)
        options = OperatorOptions(approve=("deploy",))
        toolbox = Toolbox(bench.equipment, ASSIGNMENT, bench, options=options, approvals=seat)
        tools = RealTools(toolbox=toolbox, session=session)
        session.tools = tools  # type: ignore[assignment]
        return await seat.drive(ExternalDriver(seats=register), session)


async def test_a_deployment_is_approved_made_and_the_ticket_resolved() -> None:
    register, bench = Register(campaign="one", url=""), Bench()
    working = asyncio.create_task(work(register, bench))
    key = register.claim(register.seat_token or "")
    taken = await register.take(key, wait_s=10, again=False, gone=lambda: False)
    seat = taken.seat
    assert seat is not None
    deploying = asyncio.create_task(seat.call("deploy", {"message": "An index"}))
    await until(lambda: bool(seat.approvals.waiting))
    seat.approvals.answer(seat.approvals.waiting[0].approval, Decision(granted=True))
    deployed = (await deploying).answer
    assert not deployed.is_error, deployed.text
    wrong = (await seat.call("deploy", {"nonsense": 1})).answer
    assert wrong.is_error
    resolved = (await seat.call("resolve", {"root_cause": "locks"})).answer
    assert (resolved.is_error, resolved.ends_session) == (False, True)
    assert await working == SessionResult(outcome=SessionOutcome.RESOLVED, spend=Spend(turns=3))
    kinds = (ApprovalAsked, ApprovalAnswered, DeploymentRequested, DeploymentFinished)
    happened = [type(event) for event in bench.events]
    assert [kind for kind in happened if kind in kinds] == list(kinds)
    assert happened.count(TicketResolved) == 1
    assert [event.tool for event in bench.events if isinstance(event, ActionTaken)] == [
        "deploy",
        "deploy",
        "resolve",
    ]


async def test_a_client_that_leaves_during_a_deployment_does_not_end_it() -> None:
    register, bench = Register(campaign="one", url=""), Bench()
    working = asyncio.create_task(work(register, bench))
    key = register.claim(register.seat_token or "")
    seat = (await register.take(key, wait_s=10, again=False, gone=lambda: False)).seat
    assert seat is not None
    bench.may_finish.clear()
    deploying = asyncio.create_task(seat.call("deploy", {"message": "An index"}))
    await until(lambda: bool(seat.approvals.waiting))
    seat.approvals.answer(seat.approvals.waiting[0].approval, Decision(granted=True))
    await bench.begun.wait()
    deploying.cancel()
    await asyncio.gather(deploying, return_exceptions=True)
    bench.may_finish.set()
    await until(lambda: bool(bench.deployments))
    assert bench.deployments[0].ok
    seat.release("done")
    assert (await working).outcome is SessionOutcome.GAVE_UP


def test_the_tools_that_are_told_before_a_session_are_the_real_ones() -> None:
    names = [spec.name for spec in expected_tools(OperatorOptions())]
    assert {"read_ticket", "bash", "sql", "deploy", "resolve"} <= set(names)
    assert "file_plan" not in names
    planned = {spec.name for spec in expected_tools(OperatorOptions(plan_mode=True))}
    assert planned - set(names) == {"file_plan"}
