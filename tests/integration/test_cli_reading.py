"""What is told of campaigns that were played, of profiles and of this machine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from campaign.model import Evaluated, StackFailed, StackReady, StopRequested
from campaign.runs import RunFolder
from campaign.testing import nobody
from tests import specimen
from tests.runs_kit import played, ratchet, write_run


def told(*arguments: str | Path, code: int = 0) -> Any:
    """The one JSON object that a command writes to standard output."""
    done = ratchet(*arguments, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def won(tmp_path: Path) -> RunFolder:
    return write_run(tmp_path, "won", played(2, name="won"))


@pytest.fixture
def lost(tmp_path: Path) -> RunFolder:
    return write_run(tmp_path, "lost", played(2, operator=nobody, name="lost"))


def stopped(tmp_path: Path) -> RunFolder:
    events = played(2, name="stopped")
    cut = next(number for number, event in enumerate(events) if isinstance(event, Evaluated)) + 5
    return write_run(
        tmp_path, "stopped", [*events[:cut], StopRequested(at=events[cut - 1].at, reason="SIGINT")]
    )


def failed(tmp_path: Path) -> RunFolder:
    events = played(1, name="failed")
    cut = next(number for number, event in enumerate(events) if isinstance(event, StackReady))
    fault = StackFailed(
        at=events[cut].at, trial=0, component="postgres", reason="it does not start"
    )
    return write_run(tmp_path, "failed", [*events[:cut], fault])


def test_status_tells_where_a_campaign_is(won: RunFolder) -> None:
    done = ratchet("status", "--runs", won.path.parent)
    assert done.returncode == 0
    headline, heading, first, *_ = done.stdout.splitlines()
    assert headline == "won  finished  2 resolved"
    assert heading.split() == ["trial", "profile", "verdict", "detected", "repaired"]
    assert first.split()[:3] == ["1", "p0", "resolved"]


def test_status_as_json_holds_what_a_program_needs(won: RunFolder) -> None:
    state = told("status", "won", "--runs", won.path.parent)
    assert (state["campaign"], state["phase"], state["pid"]) == ("won", "finished", None)
    assert state["verdicts"]["resolved"] == 2
    assert [trial["profile"] for trial in state["trials"]] == ["p0", "p1"]


def test_status_of_all_hides_none_behind_a_journal_that_cannot_be_read(
    won: RunFolder, lost: RunFolder
) -> None:
    runs = won.path.parent
    (runs / "bad").mkdir()
    (runs / "bad" / "journal.db").write_text("no database")
    states = told("status", "--all", "--runs", runs)
    assert {state["campaign"]: state["phase"] for state in states} == {
        "won": "finished",
        lost.name: "finished",
        "bad": "unreadable",
    }
    assert told_lines(ratchet("status", "--all", "--runs", runs).stdout) == 3
    done = ratchet("status", "bad", "--runs", runs)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("ratchet: ")
    assert "Traceback" not in done.stderr


def told_lines(text: str) -> int:
    """Lines that begin something: what is wrapped goes on with the same campaign."""
    return sum(line.startswith(("won", "lost", "bad")) for line in text.splitlines())


def test_without_runs_the_list_of_all_is_empty(tmp_path: Path) -> None:
    assert told("status", "--all", "--runs", tmp_path / "none") == []


def test_a_journal_that_was_changed_is_refused_loudly(won: RunFolder) -> None:
    data = won.journal_file.read_bytes()
    won.journal_file.write_bytes(data.replace(b'"campaign":"won"', b'"campaign":"wan"'))
    done = ratchet("report", "--runs", won.path.parent)
    assert done.returncode == 3
    assert "was changed after it was written" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_watch_shows_what_happened_and_ends_as_the_campaign_did(
    won: RunFolder, lost: RunFolder
) -> None:
    done = ratchet("watch", "won", "--runs", won.path.parent)
    assert done.returncode == 0
    assert "campaign finished: 2 resolved" in done.stdout
    assert ratchet("watch", lost.name, "--runs", lost.path.parent).returncode == 1


def test_a_finished_campaign_is_not_resumed(won: RunFolder, lost: RunFolder) -> None:
    before = won.journal_file.read_bytes()
    done = ratchet("resume", "won", "--runs", won.path.parent)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("campaign won is finished already\nreport: ")
    assert told("resume", lost.name, "--runs", lost.path.parent, code=1)["win_rate"] == 0
    assert won.journal_file.read_bytes() == before


def test_a_stopped_campaign_and_one_that_the_harness_failed_are_told_apart(tmp_path: Path) -> None:
    stopped(tmp_path)
    assert ratchet("watch", "stopped", "--runs", tmp_path).returncode == 130
    failed(tmp_path)
    assert ratchet("watch", "failed", "--runs", tmp_path).returncode == 3
    line = ratchet("status", "failed", "--runs", tmp_path).stdout.splitlines()[0]
    assert line == "failed  finished  postgres: it does not start"


def test_the_report_is_made_anew_from_the_journal_alone(tmp_path: Path) -> None:
    run = write_run(tmp_path, "specimen", specimen.journal())
    done = ratchet("report", "--runs", tmp_path)
    assert done.stdout == f"{run.report / 'index.html'}\n"
    assert run.report.joinpath("index.html").is_file()
    pages = told("report", "specimen", "--runs", tmp_path)
    assert json.loads(Path(pages["summary"]).read_text())["campaign"] == "2025-11-21-ladder"


def test_a_campaign_without_events_has_no_report(tmp_path: Path) -> None:
    write_run(tmp_path, "none", [])
    done = ratchet("report", "--runs", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "campaign none has no events yet" in done.stderr


def test_profiles_are_listed_in_the_ladders_order() -> None:
    names = ["missing_index", "pool_exhaustion", "streaming_txn", "fulltext_search"]
    assert [profile["id"] for profile in told("profiles", "list")["profiles"]][:4] == names
    done = ratchet("profiles", "list")
    assert [line.split()[1] for line in done.stdout.splitlines()[1:5]] == names
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_profile_is_shown_with_its_fix_as_it_is() -> None:
    profile = told("profiles", "show", "missing_index")
    assert profile["breaks"] == ["history_latency"]
    patch = Path(__file__).parents[2] / "chaos_profiles/chat_db_app/01_missing_index/fix.patch"
    assert profile["fix"] == patch.read_text()
    shown = ratchet("profiles", "show", "01_missing_index").stdout.splitlines()
    for line in patch.read_text().splitlines():
        assert line.rstrip() in map(str.rstrip, shown)


def test_the_doctor_tells_the_same_to_people_and_programs() -> None:
    done = ratchet("doctor", "--json")
    checks = json.loads(done.stdout)
    assert done.returncode == (0 if checks["ready"] else 2)
    assert {"Python", "PostgreSQL", "Prometheus"} <= {check["name"] for check in checks["checks"]}
    shown = ratchet("doctor")
    assert shown.returncode == done.returncode
    assert shown.stdout.startswith("Python")


def test_the_doctor_says_how_to_get_what_is_missing(tmp_path: Path) -> None:
    done = ratchet("doctor", env={"PATH": str(tmp_path)})
    assert done.returncode == 2
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["git", "missing", "not", "on", "PATH"] in lines
    assert any(line[:1] == ["→"] for line in lines)
    assert lines[-1][:2] == ["not", "ready:"]


def test_a_dry_run_shows_the_plan_and_starts_nothing(tmp_path: Path) -> None:
    done = ratchet("run", "--first", "2", "--dry-run", "--runs", tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("chat_db_app, continuous, operator reference:\n")
    assert "nothing was started" in done.stdout
    plan = told("run", "--first", "2", "--operator", "none", "--dry-run", "--runs", tmp_path)
    assert [trial["profile"] for trial in plan["trials"]] == ["missing_index", "pool_exhaustion"]
    assert (plan["operator"], plan["mode"]) == ("none", "continuous")
    assert plan["estimated_s"] > 30
    assert told("trial", "streaming_txn", "--dry-run", "--runs", tmp_path)["mode"] == "isolated"
    assert list(tmp_path.iterdir()) == []


def test_a_campaign_file_can_be_tried_dry(tmp_path: Path) -> None:
    file = tmp_path / "campaign.yaml"
    file.write_text(
        "target: chat_db_app\noperator: none\nmode: isolated\nprofiles: [fulltext_search]\n"
    )
    plan = told("run", file, "--dry-run", "--runs", tmp_path / "runs")
    assert (plan["mode"], plan["trials"][0]["profile"]) == ("isolated", "fulltext_search")
    assert not (tmp_path / "runs").exists()


def test_without_a_command_there_is_help() -> None:
    done = ratchet()
    assert (done.returncode, done.stderr) == (2, "")
    assert "Usage: ratchet" in done.stdout


def test_runs_are_found_by_a_relative_name_and_by_the_environment(won: RunFolder) -> None:
    here = os.path.relpath(won.path.parent)
    assert told("status", "--runs", here)["campaign"] == "won"
    done = ratchet("status", env={"RATCHET_RUNS": str(won.path.parent)})
    assert done.stdout.startswith("won")
