"""What sessions cost: kept from the first note on, and never more than the budgets leave."""

from __future__ import annotations

from dataclasses import replace

import pytest

from campaign.model import (
    Budget,
    CampaignBudget,
    Resumed,
    SessionOutcome,
    Spend,
    SpendNoted,
    StartSession,
    Unresolved,
    at_least,
    total,
)
from campaign.testing import make_plan
from tests.machine_kit import Drive

NOTED = Spend(turns=3, tokens=30_000, usd=0.75)


def plan_with(budget: Budget | None = None, campaign_budget: CampaignBudget | None = None) -> Drive:
    return Drive(
        replace(
            make_plan(2),
            budget=budget or Budget(),
            campaign_budget=campaign_budget or CampaignBudget(),
        )
    )


def killed_and_resumed(drive: Drive) -> Drive:
    """Nothing more came to the journal; another process takes it up, with stack and load."""
    drive.skip(60)
    drive.send(Resumed(at=drive.at)).stack_ready()
    return drive if drive.phase == "recovering" else drive.load_applied()


def started(drive: Drive) -> StartSession:
    (command,) = (each for each in drive.commands if isinstance(each, StartSession))
    return command


def test_the_newest_note_counts_and_the_end_of_the_session_after_it() -> None:
    drive = plan_with().to_repairing().spend(Spend(turns=1, tokens=9, usd=0.1)).spend(NOTED)
    assert drive.trial.spend == NOTED
    drive.end_session(spend=Spend(turns=4, tokens=40_000, usd=1.0))
    assert drive.trial.spend == Spend(turns=4, tokens=40_000, usd=1.0)


def test_an_end_that_does_not_know_the_cost_makes_it_unknown_and_not_zero() -> None:
    drive = plan_with().to_repairing().spend(NOTED).end_session(spend=Spend(turns=4))
    assert drive.trial.spend == Spend(turns=4, tokens=None, usd=None)


def test_a_session_that_crashed_without_a_word_has_cost_what_was_noted() -> None:
    drive = plan_with().to_repairing().spend(NOTED).end_session(SessionOutcome.FAILED)
    assert drive.trial.spend == NOTED


def test_a_note_that_comes_after_the_session_was_cancelled_still_counts() -> None:
    drive = plan_with(Budget(wall_s=20.0)).to_repairing().tick(25)
    assert drive.phase == "recovering"
    assert drive.spend(NOTED).trial.spend == NOTED


@pytest.mark.parametrize("session", [2, 99])
def test_a_note_of_a_session_that_was_never_started_counts_nowhere(session: int) -> None:
    drive = plan_with().to_repairing()
    before = drive.campaign
    assert drive.spend(NOTED, session=session).campaign == before


def test_after_a_kill_the_next_session_has_what_is_left_of_the_ticket() -> None:
    budget = Budget(wall_s=100.0, turns=10, tokens=100_000, usd=2.0)
    drive = plan_with(budget).to_repairing().tick(10).spend(NOTED)
    command = started(killed_and_resumed(drive))
    assert command.session == 2
    assert command.budget == Budget(wall_s=90.0, turns=7, tokens=70_000, usd=1.25)
    drive.end_session(spend=Spend(turns=1, tokens=1_000, usd=0.25))
    assert drive.trial.spend == Spend(turns=4, tokens=31_000, usd=1.0)


def test_no_limit_stays_none() -> None:
    drive = plan_with().to_repairing().spend(NOTED)
    budget = started(killed_and_resumed(drive)).budget
    assert (budget.turns, budget.tokens, budget.usd) == (None, None, None)


def test_the_first_session_has_the_whole_budget() -> None:
    budget = Budget(turns=10, tokens=100_000, usd=2.0)
    assert started(plan_with(budget).to_repairing()).budget == budget


@pytest.mark.parametrize(
    ("budget", "limit", "said"),
    [
        (Budget(turns=3), CampaignBudget(), "the ticket's 3 turns"),
        (Budget(tokens=30_000), CampaignBudget(), "the ticket's 30000 tokens"),
        (Budget(usd=0.5), CampaignBudget(), "the ticket's $0.50"),
        (Budget(), CampaignBudget(usd=0.75), "the campaign's $0.75"),
        (Budget(), CampaignBudget(tokens=100), "the campaign's 100 tokens"),
    ],
)
def test_a_ticket_with_nothing_left_gets_no_further_session_and_is_judged(
    budget: Budget, limit: CampaignBudget, said: str
) -> None:
    drive = plan_with(budget, limit).to_repairing().spend(NOTED)
    killed_and_resumed(drive)
    assert not any(isinstance(command, StartSession) for command in drive.commands)
    assert (drive.phase, drive.trial.sessions) == ("recovering", 1)
    assert drive.trial.session_end == f"budget spent ({said})"
    drive.tick(90, red=["p0_latency"])
    assert drive.trial.verdict == Unresolved(
        reason=f"did not recover: p0_latency; the operator: budget spent ({said})"
    )


def test_the_campaigns_budget_bounds_every_session_of_every_trial() -> None:
    drive = plan_with(Budget(usd=2.0), CampaignBudget(tokens=100_000, usd=2.5)).to_repairing()
    assert started(drive).budget == Budget(tokens=100_000, usd=2.0)
    drive.deploy().resolve().end_session(spend=Spend(turns=9, tokens=80_000, usd=1.5))
    drive.tick(10).load_applied().tick(6).tick(1).load_applied().tick(30).pass_gates()
    drive.load_applied().to_repairing()
    assert drive.index == 1
    assert started(drive).budget == Budget(tokens=20_000, usd=1.0)


def test_a_trial_after_the_campaigns_budget_has_a_ticket_and_a_verdict_but_no_session() -> None:
    drive = plan_with(None, CampaignBudget(usd=1.0)).to_repairing()
    drive.deploy().resolve().end_session(spend=Spend(turns=9, tokens=1, usd=1.2))
    drive.tick(10).load_applied().tick(6).tick(1).load_applied().tick(30).pass_gates()
    drive.load_applied().to_growing().data_grown().load_applied().tick(5, red=["p1_latency"])
    assert (drive.index, drive.phase, drive.trial.sessions) == (1, "recovering", 0)
    assert drive.trial.ticket is not None
    assert drive.commands == ()
    drive.tick(90, red=["p1_latency"])
    assert drive.trial.verdict == Unresolved(
        reason="did not recover: p1_latency; the operator: budget spent (the campaign's $1.00)"
    )


def test_a_late_note_on_a_closed_trial_is_added_to_that_trial() -> None:
    drive = plan_with().to_second_trial()
    ticket = drive.campaign.done[0].ticket
    assert ticket is not None
    before = drive.trial
    drive.send(SpendNoted(at=drive.at, trial=0, ticket=ticket.id, session=1, spend=NOTED))
    assert drive.campaign.done[0].spend == NOTED
    assert drive.trial == before


def test_a_sum_with_an_unknown_part_is_unknown_and_at_least_the_known_one() -> None:
    spends = (Spend(turns=1, tokens=5, usd=None), Spend(turns=2, tokens=6, usd=0.5))
    assert total(spends) == Spend(turns=3, tokens=11, usd=None)
    assert at_least(spends) == Spend(turns=3, tokens=11, usd=0.5)
    assert total(()) == at_least(()) == Spend()
