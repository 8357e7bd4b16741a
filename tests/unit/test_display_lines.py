"""What a plain log of a campaign says, line by line."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from campaign.display_lines import describe
from campaign.machine import Campaign, fold, step
from campaign.model import (
    AccessRefused,
    ActionTaken,
    ApprovalAnswered,
    ApprovalAsked,
    CampaignBudget,
    CommandFailed,
    ComponentDown,
    ComponentUp,
    Evaluated,
    Event,
    LoadApplied,
    MessageSent,
    NoteWritten,
    PauseRequested,
    PlanFiled,
    Resumed,
    SessionEnded,
    SessionOutcome,
    Spend,
    SpendNoted,
    StackFailed,
    StackReady,
    StopRequested,
    TicketAcknowledged,
    TicketResolved,
)
from campaign.testing import make_plan
from tests import specimen
from tests.machine_kit import Drive


def _lines(events: list[Event]) -> list[str]:
    """Every line of a journal, without the moments at which nothing was to be said."""
    campaign: Campaign | None = None
    lines = []
    for event in events:
        before, campaign = campaign, step(campaign, event).campaign
        lines.append(describe(before, event, campaign))
    return [line for line in lines if line is not None]


def _after(journal: list[Event], seconds: float) -> Campaign:
    campaign = fold([event for event in journal if event.at < specimen.BEGAN_AT + seconds])
    assert campaign is not None
    return campaign


def _say(campaign: Campaign, event: Event) -> str | None:
    return describe(campaign, event, step(campaign, event).campaign)


@pytest.fixture(scope="module")
def journal() -> list[Event]:
    return specimen.journal()


@pytest.fixture(scope="module")
def said(journal: list[Event]) -> list[str]:
    return _lines(journal)


@pytest.mark.parametrize(
    "happening",
    [
        "campaign 2025-11-21-ladder: 5 trials of chat_db_app, continuous, operator claude",
        "the stack is ready",
        "baseline green",
        "data grown: 10 rows",
        "full load applied: 35/s from 40 users",
        r"violated canary_slow \([\d.]+ % > 5 %\), messages_slow",
        "ticket T001, session started",
        "T001 edit_file(path=models.py",
        "deployment of 01c4f7e2 requested: Mend what the ticket says",
        "deployment of 01c4f7e2 ok in 2.4 s",
        "T001 resolved: No index on messages",
        "session ended: resolved",
        "green again, repaired in",
        "green at base load; confirming at full load",
        "trial 1/5 missing_index: RESOLVED",
        "trial 2/5 pool_exhaustion started",
        "deployment of 11c4f7e2 failed in 2.4 s: the app did not answer",
        "trial 2/5 pool_exhaustion: UNRESOLVED",
        "trial 4/5 notification_payload: IMMUNE",
        "trial 5/5 counter_race: INCONCLUSIVE (loadgen: exited",
        "campaign finished: 2 resolved, 1 unresolved, 1 immune, 1 inconclusive",
    ],
)
def test_everything_that_matters_is_said(said: list[str], happening: str) -> None:
    pattern = happening if "\\" in happening else re.escape(happening)

    assert any(re.search(pattern, line) for line in said)


def test_each_happening_is_one_line_that_begins_with_the_campaigns_clock(said: list[str]) -> None:
    assert all(re.match(r" *\d+:\d\d  \S", line) for line in said)
    assert not any("\n" in line or "\x1b" in line for line in said)


def test_evaluations_that_change_nothing_say_nothing(journal: list[Event], said: list[str]) -> None:
    evaluations = sum(isinstance(event, Evaluated) for event in journal)

    assert len(said) < len(journal) - evaluations + 25


def test_what_an_operator_writes_cannot_move_the_cursor(journal: list[Event]) -> None:
    action = next(event for event in journal if isinstance(event, ActionTaken))
    hostile = replace(action, arguments={"command": "\x1b[2J\x1b]0;owned\x07\nsecond line"})

    line = _say(_after(journal, 20), replace(hostile, at=specimen.BEGAN_AT + 20))

    assert line is not None
    assert line.isprintable()


def test_a_crash_and_what_follows_is_said(journal: list[Event]) -> None:
    campaign = _after(journal, 20)
    at = specimen.BEGAN_AT + 60
    ready = next(event for event in journal if isinstance(event, StackReady))
    resumed = Resumed(at=at)

    assert "resumed" in (_say(campaign, resumed) or "")

    restoring = step(campaign, resumed).campaign
    ready = replace(ready, at=at + 2)
    assert "the stack is back: going on with repairing" in (_say(restoring, ready) or "")
    applied = LoadApplied(at=at + 3, trial=0, load_id="t0-again")
    line = _say(step(restoring, ready).campaign, applied) or ""
    assert "the load is back: session 2 started" in line


def test_a_stack_that_does_not_come_up_ends_it_and_says_why(journal: list[Event]) -> None:
    at = specimen.BEGAN_AT + 60
    failed = StackFailed(at=at + 1, trial=0, component="postgres", reason="no disk")
    resumed = step(_after(journal, 20), Resumed(at=at)).campaign

    for campaign in (_after(journal, 1), resumed):
        assert "the harness gave up: postgres: no disk" in (_say(campaign, failed) or "")


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (StopRequested(at=0, reason="Ctrl-C"), "stopped: Ctrl-C; healing the load"),
        (PauseRequested(at=0), "will pause before the next trial"),
        (ComponentUp(at=0, trial=0, component="loadgen"), "loadgen is up again"),
        (
            ComponentDown(at=0, trial=0, component="loadgen", reason="killed"),
            "INCONCLUSIVE (loadgen: killed",
        ),
        (
            CommandFailed(at=0, trial=0, command="apply_load", component="loadgen", reason="400"),
            "INCONCLUSIVE (loadgen: 400",
        ),
    ],
)
def test_what_befalls_the_harness_is_said(journal: list[Event], event: Event, said: str) -> None:
    campaign = _after(journal, 20)

    assert said in (_say(campaign, replace(event, at=specimen.BEGAN_AT + 20)) or "")


WHOSE: dict[str, Any] = {"at": specimen.BEGAN_AT + 30, "trial": 0, "ticket": "T001", "session": 1}


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (TicketAcknowledged(**WHOSE), "T001 acknowledged"),
        (TicketAcknowledged(**WHOSE, message="on it"), "T001 acknowledged: on it"),
        (PlanFiled(**WHOSE, plan="look\nmend"), "T001 plan filed: look mend"),
        (NoteWritten(**WHOSE, text="the index"), "T001 note written: the index"),
        (MessageSent(**WHOSE, text="hurry"), "T001 told by a person: hurry"),
        (
            ApprovalAsked(**WHOSE, approval="a", tool="deploy", arguments={"message": "m"}),
            "T001 waits for approval of deploy(message=m)",
        ),
        (
            ApprovalAnswered(**WHOSE, approval="a", granted=False, reason="not now"),
            "T001 not approved by a person: not now",
        ),
        (ApprovalAnswered(**WHOSE, approval="a", granted=True), "T001 approved by a person"),
        (AccessRefused(**WHOSE, what="open\x1b[2J /root"), "T001 tried what it may not: open [2J"),
        (
            TicketResolved(**WHOSE, root_cause="no index", places=("a.py", "b.py:f")),
            "T001 resolved: no index (in a.py, b.py:f)",
        ),
    ],
)
def test_what_goes_on_in_a_session_is_said(journal: list[Event], event: Event, said: str) -> None:
    assert said in (_say(_after(journal, 20), event) or "")


def test_what_a_session_costs_is_no_line_of_its_own(journal: list[Event]) -> None:
    assert _say(_after(journal, 20), SpendNoted(**WHOSE, spend=Spend(turns=1))) is None


def test_an_operator_that_cannot_be_reached_is_said_with_its_ticket(journal: list[Event]) -> None:
    ended = SessionEnded(**WHOSE, outcome=SessionOutcome.UNAVAILABLE, reason="529 for an hour")
    line = _say(_after(journal, 20), ended) or ""
    assert "the operator cannot be reached: 529 for an hour; stopped with ticket T001 open" in line


def test_a_ticket_that_gets_no_session_is_said_with_the_reason() -> None:
    plan = replace(make_plan(1), campaign_budget=CampaignBudget(usd=1.0))
    drive = Drive(plan).to_repairing().spend(Spend(turns=1, tokens=1, usd=1.5))
    drive.end_session(SessionOutcome.UNAVAILABLE).send(Resumed(at=drive.at))
    before = drive.campaign
    drive.stack_ready()
    line = describe(before, drive.journal[-1], drive.campaign) or ""
    assert "session ended: budget spent (the campaign's $1.00)" in line


def test_a_trial_after_the_campaigns_budget_says_why_nobody_works_on_it() -> None:
    plan = replace(make_plan(2), campaign_budget=CampaignBudget(usd=1.0))
    drive = Drive(plan).to_repairing().deploy().resolve()
    drive.end_session(spend=Spend(turns=1, tokens=1, usd=1.5)).tick(10).load_applied().tick(6)
    drive.tick(1).load_applied().tick(30).pass_gates().load_applied()
    drive.to_growing().data_grown().load_applied()
    while drive.trial.ticket is None:
        before = drive.campaign
        drive.tick(red=drive.broken)
    line = describe(before, drive.journal[-1], drive.campaign) or ""
    assert "violated p1_latency (80 % > 5 %): ticket T002: no session: budget spent" in line
