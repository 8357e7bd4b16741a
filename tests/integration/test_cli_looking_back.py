"""`replay`, `immunity` and `trial --revision` before anything is played: what they refuse."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from campaign.model import Event
from campaign.testing import Simulation, World, make_plan
from tests.runs_kit import played, ratchet, write_run


def _journal(*, snapshots: bool) -> list[Event]:
    events: list[Event] = []
    plan = replace(make_plan(2), campaign="past", snapshots=snapshots)
    Simulation(World(plan=plan), events, begin_at=1_000.0).run()
    return events


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    write_run(tmp_path, "past", _journal(snapshots=True))
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("past", "7"), "campaign past has played no trial 7"),
        (("nobody", "1"), "there is no campaign nobody"),
        (("past", "1"), "is not in"),
        (("past", "p1"), "ratchet trial p1"),
    ],
)
def test_a_replay_without_a_past_is_refused(runs: Path, words: tuple[str, ...], said: str) -> None:
    ended = ratchet("replay", *words, "--runs", runs)
    assert ended.returncode == 2
    assert said in " ".join(ended.stderr.split())
    assert [folder.name for folder in runs.iterdir()] == ["past"]


def test_a_replay_of_a_campaign_without_snapshots_says_so(tmp_path: Path) -> None:
    write_run(tmp_path, "past", _journal(snapshots=False))
    ended = ratchet("replay", "past", "1", "--runs", tmp_path)
    assert ended.returncode == 2
    assert "--no-snapshots" in ended.stderr


def test_where_nothing_is_immune_nothing_is_probed(runs: Path) -> None:
    ended = ratchet("immunity", "past", "--runs", runs, "--json")
    assert ended.returncode == 0
    assert json.loads(ended.stdout) == {"campaign": "past", "estimated_s": 0, "trials": []}
    assert "no trial ended immune" in ended.stderr


def test_a_trial_that_was_not_immune_needs_no_explanation(runs: Path) -> None:
    ended = ratchet("immunity", "past", "1", "--runs", runs)
    assert (ended.returncode, "ended resolved" in ended.stderr) == (2, True)


def test_the_matrix_says_first_how_long_it_takes(runs: Path) -> None:
    ended = ratchet("immunity", "past", "--matrix", "--dry-run", "--runs", runs, "--json")
    assert ended.returncode == 0
    told = json.loads(ended.stdout)
    # As delivered, and after each of two trials.
    assert [rung["profile"] for rung in told["revisions"]] == [None, "p0", "p1"]
    assert told["outcomes"] == {"p0": {}, "p1": {}}
    assert told["estimated_s"] > 6 * 30
    assert "6 probes to make, about" in ended.stderr


def test_the_matrix_is_of_no_single_trial(runs: Path) -> None:
    assert ratchet("immunity", "past", "1", "--matrix", "--runs", runs).returncode == 2


def test_a_revision_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path, "past", played(1, name="past"))
    for words in (("--revision", "abcdef1"), ("--revision", "abcdef1", "--from", "past")):
        ended = ratchet("trial", "missing_index", *words, "--runs", tmp_path)
        assert ended.returncode == 2
        assert "no revision abcdef1" in ended.stderr


def test_a_campaign_without_a_revision_to_look_for_is_a_mistake(tmp_path: Path) -> None:
    ended = ratchet("trial", "missing_index", "--from", "past", "--runs", tmp_path)
    assert (ended.returncode, "--revision" in ended.stderr) == (2, True)
