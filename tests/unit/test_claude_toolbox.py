"""Claude's session with the real toolbox: what is called is done, journaled and on the trace."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from operators import Toolbox
from operators.toolbox.instruments import Rows

from campaign.model import CommandResult, OperatorOptions, SessionOutcome, TicketResolved
from tests.claude_kit import KEY, FakeSession, play, results_in
from tests.fake_messages.misbehaviour import RESOLVE, Script, call, calls
from tests.fake_messages.model import ToolUse
from tests.toolbox_kit import ASSIGNMENT, Bench, Panel

ROWS = Rows(
    columns=("state", "count"), rows=(("active", 17),), cut=False, status="SELECT 1", duration_s=0.1
)


@dataclass(kw_only=True)
class RealTools(FakeSession):
    """A session with the toolbox that every operator has."""

    bench: Bench = field(default_factory=Bench)
    panel: Panel = field(default_factory=Panel)

    def __post_init__(self) -> None:
        self.toolbox = Toolbox(
            self.bench.equipment,
            ASSIGNMENT,
            self.bench,
            instruments=self.panel.instruments,
            shell=self.panel,
            trace=self.tape,
            options=self.options,
        )

    @property
    def tools(self) -> Any:
        return self.toolbox

    @property
    def resolved(self) -> bool:
        return self.toolbox.resolved


STEPS = [
    call("read_ticket"),
    calls(
        ToolUse(name="sql", input={"query": "SELECT state, count(*) FROM pg_stat_activity"}),
        ToolUse(name="bash", input="{not json"),
        ToolUse(name="reboot", input={}),
    ),
    call("bash", command="ls"),
    calls(
        ToolUse(name="write_note", input={"text": "the pool is too small"}),
        ToolUse(name="deploy", input={"message": "A larger pool"}),
    ),
    RESOLVE,
]


@pytest.fixture
def session() -> RealTools:
    panel = Panel(answers=[ROWS, CommandResult(exit_code=0, output="main.py\n")])
    return RealTools(panel=panel)


async def test_a_ticket_is_resolved_through_the_real_toolbox(session: RealTools) -> None:
    played = await play(Script(steps=STEPS), session)
    assert played.result.outcome is SessionOutcome.RESOLVED
    assert played.fake.refused == []
    assert "active" in results_in(played.bodies[2])[0]["content"]
    assert "main.py" in results_in(played.bodies[3])[0]["content"]
    assert any(isinstance(event, TicketResolved) for event in session.bench.events)
    assert session.bench.deployments[0].ok


async def test_every_call_is_journaled_also_those_that_could_not_be_run(
    session: RealTools,
) -> None:
    played = await play(Script(steps=STEPS), session)
    assert Counter(action.tool for action in session.bench.actions) == {
        "read_ticket": 1,
        "bash": 2,
        "reboot": 1,
        "sql": 1,
        "write_note": 1,
        "deploy": 1,
        "resolve": 1,
    }
    wrong = {action.tool for action in session.bench.actions if action.is_error}
    assert wrong == {"bash", "reboot"}
    kinds = played.session.tape.kinds
    assert kinds.count("use") == kinds.count("result") == 8
    assert KEY not in repr(session.bench.events)


async def test_calls_are_named_as_the_model_names_them(session: RealTools) -> None:
    played = await play(Script(steps=STEPS), session)
    named = {result["tool_use_id"] for body in played.bodies[1:] for result in results_in(body)}
    assert named < {action.call for action in session.bench.actions}


async def test_in_plan_mode_the_model_is_told_to_plan_first() -> None:
    session = RealTools(options=OperatorOptions(plan_mode=True))
    played = await play(
        Script(steps=[call("bash", command="touch x"), call("file_plan", plan="x"), RESOLVE]),
        session,
    )
    assert played.result.outcome is SessionOutcome.RESOLVED
    [refused] = results_in(played.bodies[1])
    assert refused["is_error"] is True
    assert "file_plan" in refused["content"]
