"""What sessions cost, as reports tell it, and what else sessions say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from campaign.machine import step
from campaign.model import (
    AccessRefused,
    ApprovalAnswered,
    ApprovalAsked,
    CampaignBudget,
    Event,
    MessageSent,
    NoteWritten,
    PlanFiled,
    Resumed,
    SessionOutcome,
    Spend,
    TicketAcknowledged,
    TicketResolved,
)
from campaign.testing import make_plan
from reports import history, summarise
from reports.actions import Act, acts
from reports.page import render
from reports.spending import as_json, spent
from tests.machine_kit import Drive
from tests.specimen import HOSTILE

KNOWN = Spend(turns=12, tokens=34_000, usd=0.41)
WHOSE: dict[str, Any] = {"at": 1_100.0, "trial": 0, "ticket": "T001", "session": 1}


@pytest.mark.parametrize(
    ("spends", "told"),
    [
        ((), ""),
        ((Spend(),), ""),
        ((KNOWN,), "12 turns, 34\u202f000 tokens, $0.41"),
        ((Spend(turns=1),), "1 turn, tokens unknown, cost unknown"),
        ((Spend(turns=1, tokens=5),), "1 turn, 5 tokens, cost unknown"),
        (
            (KNOWN, Spend(turns=1)),
            "13 turns, at least 34\u202f000 tokens, at least $0.41",
        ),
        ((KNOWN, Spend()), "12 turns, at least 34\u202f000 tokens, at least $0.41"),
        ((KNOWN, KNOWN), "24 turns, 68\u202f000 tokens, $0.82"),
        ((Spend(turns=1, tokens=0, usd=0.0),), "1 turn, 0 tokens, $0.00"),
    ],
)
def test_what_is_unknown_is_said_to_be_unknown(spends: tuple[Spend, ...], told: str) -> None:
    assert spent(spends) == told


def test_a_program_is_told_what_is_known_apart_from_what_it_is() -> None:
    assert as_json((KNOWN, Spend(turns=1, tokens=6))) == {
        "turns": 13,
        "tokens": 34_006,
        "usd": None,
        "at_least_tokens": 34_006,
        "at_least_usd": 0.41,
    }


def with_costs() -> Drive:
    drive = Drive(make_plan(1)).to_repairing().spend(KNOWN)
    drive.send(Resumed(at=drive.at)).stack_ready().load_applied()
    return drive.deploy().resolve().end_session(spend=KNOWN)


def test_the_summary_has_the_spend_of_each_trial_and_of_all() -> None:
    summary = summarise(with_costs().campaign)
    assert summary["spend"] == summary["trials"][0]["spend"] == as_json((KNOWN, KNOWN))
    assert summary["trials"][0]["sessions"] == 2


def test_the_page_tells_it_too() -> None:
    page = render(history(with_costs().journal, step))
    assert page.count("24 turns, 68\u202f000 tokens, $0.82") == 2


def test_the_places_of_the_root_cause_are_on_the_page_and_in_the_summary() -> None:
    drive = Drive(make_plan(1)).to_repairing()
    places = ("app/db.py", f"app/{HOSTILE}.py:query")
    drive.send(TicketResolved(**WHOSE, root_cause="no index", places=places))
    assert summarise(drive.campaign)["trials"][0]["places"] == list(places)
    page = render(history(drive.journal, step))
    assert "<code>app/db.py</code>" in page
    assert HOSTILE not in page


def test_an_absence_is_no_failure_of_the_harness() -> None:
    drive = Drive(make_plan(1)).to_repairing()
    drive.end_session(SessionOutcome.UNAVAILABLE, reason="the provider answers 529")
    summary = summarise(drive.campaign)
    assert (summary["state"], summary["failure"]) == ("stopped", None)
    assert summary["operator_away"] == "the provider answers 529"
    page = render(history(drive.journal, step))
    assert "The operator cannot be reached:</b> the provider answers 529" in page
    assert "gave up" not in page


def act_of(event: Event) -> Act:
    drive = Drive(replace(make_plan(1), campaign_budget=CampaignBudget())).to_repairing()
    (told,) = history([*drive.journal, event], step).trials
    return acts(told)[-1]


@pytest.mark.parametrize(
    ("event", "kind", "what", "detail"),
    [
        (TicketAcknowledged(**WHOSE, message="on it"), "ticket", "acknowledged", "on it"),
        (PlanFiled(**WHOSE, plan="1. look\n2. mend"), "words", "plan filed", "1. look"),
        (
            NoteWritten(**WHOSE, text="it was the index"),
            "words",
            "note written",
            "it was the index",
        ),
        (MessageSent(**WHOSE, text="hurry"), "person", "message", "hurry"),
        (
            ApprovalAsked(**WHOSE, approval="a", tool="deploy", arguments={"message": "m"}),
            "person",
            "approval asked",
            "deploy(message=m)",
        ),
        (ApprovalAnswered(**WHOSE, approval="a", granted=True), "person", "approved", ""),
        (
            ApprovalAnswered(**WHOSE, approval="a", granted=False, reason="not now"),
            "person",
            "not approved",
            "not now",
        ),
        (AccessRefused(**WHOSE, what="open /root"), "security", "refused", "open /root"),
        (
            TicketResolved(**WHOSE, root_cause="x", places=("a.py", "b.py:f")),
            "ticket",
            "ticket resolved",
            "T001: a.py, b.py:f",
        ),
    ],
)
def test_what_a_session_says_is_listed(event: Event, kind: str, what: str, detail: str) -> None:
    act = act_of(event)
    assert (act.kind, act.what, act.detail) == (kind, what, detail)


def test_a_refusal_stands_out_and_a_long_plan_can_be_unfolded() -> None:
    assert act_of(AccessRefused(**WHOSE, what="open /root")).is_error
    assert act_of(PlanFiled(**WHOSE, plan="1. look\n2. mend")).result == "1. look\n2. mend"
    assert act_of(NoteWritten(**WHOSE, text="short")).result == ""
