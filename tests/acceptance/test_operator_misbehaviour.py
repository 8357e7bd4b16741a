"""A model that misbehaves in another way on each ticket of a campaign, and a provider that is out.

Each ends in the right verdict, within its budget, with the reason on record. The unit tests play
every misbehaviour there is; here are those that a campaign has to do with. RATCHET_LONG=1 plays it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from campaign.model import ActionTaken, DeploymentFinished, SessionEnded, SessionOutcome
from tests.acceptance_kit import disagreements, reachable_folder
from tests.fake_messages.misbehaviour import (
    CONTEXT_FULL,
    OVERLOADED,
    RATE_LIMITED_FOR_AN_HOUR,
    REFUSAL,
    Answer,
    DeploysSyntaxErrors,
    NeverStops,
    ResolvesAtOnce,
    Script,
    Storm,
    call,
)
from tests.fake_messages.model import (
    CutStream,
    DroppedConnection,
    Model,
    Reply,
    StreamError,
    Text,
    ToolUse,
)
from tests.fake_messages.server import running_fake
from tests.operator_kit import LONG, Ended, Place, Record
from tests.operator_models import KEY, MODEL, ByTicket, Metered, Stumbling

NAME = "odd"
TURNS = 60
#: one ticket each, in this order
PROFILES = (
    "pool_exhaustion",
    "streaming_txn",
    "fulltext_search",
    "write_contention",
    "missing_index",
)
IDLE, BROKEN, REFUSING, ENDLESS, STORMY = (f"T00{number}" for number in range(1, 6))

CAMPAIGN = f"""\
target: chat_db_app
operator: claude
mode: isolated
profiles: [{", ".join(PROFILES)}]
timings: {{recovery_patience_s: 12.0}}
budget: {{turns: {TURNS}}}
operator_options: {{model: {MODEL}}}
"""

LOOK = call("read_ticket")
#: what passes: each once, with a good answer in between, so that no call fails for long
STUMBLES: tuple[Answer, ...] = (
    StreamError(reply=LOOK),
    LOOK,
    CutStream(reply=LOOK),
    call("restart_server", now=True),
    DroppedConnection(reply=LOOK),
    Reply(content=(ToolUse(name="sql", input='{"query": "SELECT 1"'),)),
    RATE_LIMITED_FOR_AN_HOUR,
    Reply(content=(Text(text="One moment."),), stop_reason="pause_turn"),
    CONTEXT_FULL,
)
#: words of the remarks that they leave
REMARKS = (
    "overloaded_error: Overloaded",
    "it ended before it was whole",
    "the answer was cut",
    "which asks for 3600 s of rest",
    "a new conversation",
)

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not LONG, reason="RATCHET_LONG=1 plays it"),
]


@dataclass(frozen=True, kw_only=True)
class Played:
    """The campaign at its stop, and at its end."""

    stopped: Ended
    #: at the stop
    session: SessionEnded
    ended: Ended
    record: Record
    disagreements: list[str]

    def trial(self, ticket: str) -> dict[str, Any]:
        [trial] = [trial for trial in self.ended.outcome["trials"] if trial["ticket"] == ticket]
        return dict(trial)

    def over(self, ticket: str) -> SessionEnded:
        """How its last session ended."""
        session = self.trial(ticket)["sessions"]
        [over] = self.record.of_session(SessionEnded, ticket, session)
        return over


@pytest.fixture(scope="module")
def played() -> Iterator[Played]:
    with reachable_folder() as root:
        yield asyncio.run(_play(Place(root=root)))


async def _play(place: Place) -> Played:
    models: dict[str, Model] = {
        IDLE: ResolvesAtOnce(),
        BROKEN: DeploysSyntaxErrors(),
        REFUSING: Script(steps=[LOOK, REFUSAL]),
        ENDLESS: NeverStops(),
        STORMY: Storm(fault=OVERLOADED),
    }
    file = place.root / "campaign.yaml"
    file.write_text(CAMPAIGN)
    run = place.run(NAME)
    async with running_fake(Metered(model=ByTicket(models=models)), api_key=KEY) as fake:
        env = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": fake.base_url}
        stopped = await place.play("run", str(file), "--name", NAME, **env)
        then = await Record.of(run)
        models[STORMY] = Stumbling(answers=STUMBLES)
        ended = await place.play("resume", NAME, **env)
    return Played(
        stopped=stopped,
        session=next(e for e in reversed(then.events) if isinstance(e, SessionEnded)),
        ended=ended,
        record=await Record.of(run),
        disagreements=await disagreements(run),
    )


def test_a_provider_that_is_out_stops_the_campaign_and_loses_no_trial(played: Played) -> None:
    assert played.stopped.code == 4, played.stopped.said
    assert played.stopped.outcome["state"] == "stopped"
    assert "529" in played.stopped.outcome["operator_away"]
    assert played.stopped.outcome["failure"] is None
    assert "ratchet resume" in played.stopped.said
    last = played.stopped.outcome["trials"][-1]
    assert (last["ticket"], last["verdict"]) == (STORMY, None)
    assert (played.session.ticket, played.session.outcome) == (STORMY, SessionOutcome.UNAVAILABLE)


def test_once_it_is_back_a_fresh_session_resolves_whatever_else_goes_wrong(played: Played) -> None:
    trial = played.trial(STORMY)
    assert trial["verdict"] == "resolved", trial
    assert trial["sessions"] == 2
    assert played.over(STORMY).outcome is SessionOutcome.RESOLVED
    trace = played.record.trace(STORMY, 2)
    remarks = "\n".join(remark.text for remark in trace.remarks)
    assert [words for words in REMARKS if words not in remarks] == []
    failed = [
        action.tool
        for action in played.record.of_session(ActionTaken, STORMY, 2)
        if action.is_error and action.tool in {"restart_server", "sql"}
    ]
    assert {"restart_server", "sql"} <= set(failed)


def test_a_model_that_resolves_without_doing_anything_has_not(played: Played) -> None:
    trial = played.trial(IDLE)
    assert trial["verdict"] == "unresolved"
    assert re.search("did not recover|violated again", trial["reason"])
    assert (trial["deployments"], trial["session_end"]) == (0, "resolved")
    assert trial["root_cause"] == "it went away by itself"


def test_a_syntax_error_that_is_deployed_thrice_is_rolled_back_thrice(played: Played) -> None:
    trial = played.trial(BROKEN)
    assert trial["verdict"] == "unresolved"
    assert (trial["deployments"], trial["deployments_failed"]) == (3, 3)
    finished = [
        event
        for event in played.record.events
        if isinstance(event, DeploymentFinished) and event.deployment.startswith(BROKEN)
    ]
    assert len(finished) == 3
    assert all("SyntaxError" in event.reason for event in finished)
    # What ran before went on serving: the trial ends with the code that it began with.
    assert trial["revision"] == trial["revision_before"]
    assert played.over(BROKEN).outcome is SessionOutcome.GAVE_UP


def test_a_refusal_is_given_up_with_the_models_own_reason(played: Played) -> None:
    trial = played.trial(REFUSING)
    assert trial["verdict"] == "unresolved"
    over = played.over(REFUSING)
    assert over.outcome is SessionOutcome.GAVE_UP
    assert over.reason == "the model refused: this looks like an attack on a live service"
    assert over.reason in trial["session_end"]
    assert over.spend.turns == 2


def test_a_model_that_never_stops_is_ended_by_its_budget(played: Played) -> None:
    trial = played.trial(ENDLESS)
    assert trial["verdict"] == "unresolved"
    over = played.over(ENDLESS)
    assert over.outcome is SessionOutcome.BUDGET_SPENT
    assert over.reason == f"turns: {TURNS} of {TURNS}"
    assert over.spend.turns == trial["spend"]["turns"] == TURNS
    assert len(played.record.of_session(ActionTaken, ENDLESS, 1)) == TURNS


def test_the_campaign_ends_with_all_of_it_on_record(played: Played) -> None:
    assert played.ended.code == 1
    assert played.ended.outcome["state"] == "finished"
    assert played.ended.outcome["verdicts"] == {
        "resolved": 1,
        "unresolved": 4,
        "immune": 0,
        "inconclusive": 0,
    }
    assert played.disagreements == []
    assert played.record.holding(KEY) == []
