"""How a command that played a campaign ends: in words, and by its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaign.cli.ending import exit_code, say_end
from campaign.cli.exit_codes import EXIT_AWAY, EXIT_HARNESS, EXIT_STOPPED
from campaign.cli.playing import say_left
from campaign.machine import Campaign
from campaign.model import Resumed, SessionOutcome, StackFailed, StopRequested
from campaign.runs import RunFolder
from campaign.testing import Simulation, World, away, make_plan
from campaign.webhook import Left
from tests.machine_kit import Drive

RUN = RunFolder(path=Path("/runs/one"))


def without_operator() -> Campaign:
    return Simulation(World(plan=make_plan(1)), [], operator=away).run()


def test_an_operator_that_cannot_be_reached_has_an_exit_code_of_its_own() -> None:
    assert exit_code(without_operator()) == EXIT_AWAY == 4


def test_it_is_said_what_became_of_the_ticket_and_how_to_go_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say_end(RUN, without_operator())
    assert capsys.readouterr().err.splitlines() == [
        (
            "the operator cannot be reached: the provider is overloaded; T001 stays open, "
            "and no verdict was given"
        ),
        "once it can be reached, a fresh session takes the ticket up with the time it had left",
        "stopped; go on with: ratchet resume one --runs /runs",
    ]


def test_in_a_container_the_line_to_go_on_is_one_for_outside_of_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its user has neither its shell nor its folders."""
    monkeypatch.setenv("RATCHET_STACK", "compose")
    say_end(RUN, without_operator())
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "stopped; go on with: docker compose run --rm campaign resume one"


def test_what_a_webhook_did_not_take_is_delivered_from_outside_of_a_container(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATCHET_STACK", "compose")
    say_left(RUN, Left(count=2, words=""))
    assert capsys.readouterr().err.endswith(": docker compose run --rm campaign resume one\n")


def test_a_stop_that_was_asked_for_and_a_stack_that_fails_end_as_before() -> None:
    drive = Drive().to_baseline()
    drive.send(StopRequested(at=drive.at))
    assert exit_code(drive.campaign) == EXIT_STOPPED
    drive.send(Resumed(at=drive.at)).send(
        StackFailed(at=drive.at, trial=0, component="postgres", reason="gone")
    )
    assert exit_code(drive.campaign) == EXIT_HARNESS


def test_a_stack_that_fails_when_an_absence_is_over_is_the_harness_fault() -> None:
    drive = Drive().to_repairing().end_session(SessionOutcome.UNAVAILABLE)
    drive.send(Resumed(at=drive.at)).send(
        StackFailed(at=drive.at, trial=0, component="postgres", reason="gone")
    )
    assert exit_code(drive.campaign) == EXIT_HARNESS
