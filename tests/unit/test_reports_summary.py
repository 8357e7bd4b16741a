"""The campaign as a JSON object."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from campaign.machine import Campaign, fold
from campaign.model import Event, Reading, Status
from reports import summarise
from tests import specimen


@pytest.fixture(scope="module")
def journal() -> list[Event]:
    return specimen.journal()


@pytest.fixture(scope="module")
def campaign(journal: list[Event]) -> Campaign:
    folded = fold(journal)
    assert folded is not None
    return folded


@pytest.fixture(scope="module")
def summary(campaign: Campaign) -> dict[str, Any]:
    return summarise(campaign)


def test_the_win_rate_is_resolved_of_all_with_the_others_counted_apart(
    summary: dict[str, Any],
) -> None:
    assert summary["verdicts"] == {"resolved": 2, "unresolved": 1, "immune": 1, "inconclusive": 1}
    assert summary["win_rate"] == pytest.approx(2 / 5)


def test_each_trial_tells_its_verdict_times_and_revision(summary: dict[str, Any]) -> None:
    trial = summary["trials"][2]

    assert (
        trial["profile"],
        trial["verdict"],
        trial["violated"],
        trial["deployments"],
    ) == ("streaming_txn", "resolved", ["idle_in_transaction"], 2)
    assert trial["time_to_detect_s"] > 0
    assert trial["time_to_repair_s"] > trial["time_to_detect_s"]
    assert trial["revision"] != trial["revision_before"]


def test_each_trial_tells_what_its_gates_found(summary: dict[str, Any]) -> None:
    first, unresolved = summary["trials"][0]["gates"], summary["trials"][1]["gates"]

    assert [(each["gate"], each["name"], each["state"]) for each in first] == [
        ("functional", "healthy", "pass"),
        ("correct", "token_counts_are_exact", "pass"),
        ("correct", "pages_are_complete", "skipped"),
    ]
    assert first[0]["message"] == "GET /healthz answered 200"
    assert first[0]["details"]["expected"] == [1, 2, 3]
    assert first[0]["details"]["rate"] is None
    assert unresolved == []


def test_an_inconclusive_trial_names_the_part_at_fault(summary: dict[str, Any]) -> None:
    trial = summary["trials"][4]

    assert (trial["verdict"], trial["fault"]) == ("inconclusive", "loadgen")
    assert "exited" in trial["reason"]


def test_what_is_not_known_is_null_never_zero(summary: dict[str, Any]) -> None:
    immune = summary["trials"][3]

    assert immune["time_to_detect_s"] is None
    assert immune["time_to_repair_s"] is None
    assert immune["spend"]["usd"] is None


def test_a_campaign_under_way_has_no_verdict_and_no_win_rate_yet(journal: list[Event]) -> None:
    campaign = fold([event for event in journal if event.at < specimen.BEGAN_AT + 30])
    assert campaign is not None

    summary = summarise(campaign)

    assert (
        summary["state"],
        summary["win_rate"],
        summary["trials_planned"],
    ) == ("running", None, 5)
    assert [trial["verdict"] for trial in summary["trials"]] == [None]


def test_it_is_strict_json_even_when_something_was_beyond_all_numbers(campaign: Campaign) -> None:
    endless = Reading(invariant="errors", status=Status.VIOLATED, limit=0.02, value=float("inf"))
    last = replace(campaign.done[-1], worst=(endless,))

    text = json.dumps(summarise(campaign.evolve(done=(*campaign.done[:-1], last))), allow_nan=False)

    assert json.loads(text)["trials"][-1]["worst"][0]["status"] == "violated"
