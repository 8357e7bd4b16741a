"""kill -9 of each container in the middle of a trial: named, healed, and the campaign goes on.

RATCHET_COMPOSE=1; needs docker and images. One campaign, a container a trial; isolated, so that a
trial that was spoilt leaves no defect to the next one.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.compose_kit import Project, project, why_no_engine

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("RATCHET_COMPOSE") != "1", reason="RATCHET_COMPOSE=1 builds and starts it"
    ),
    pytest.mark.timeout(2400),
]

#: of a trial whose own load is on
UNDER_LOAD = ("disturbed", "repairing", "recovering")
#: container: what the trial in which it is killed is blamed on
SPOILS = {
    "prometheus": "prometheus",
    "loadgen-master": "loadgen",
    "app": "supervisor",
    "postgres": "postgres",
}
#: container: how the log names its end, which spoils nothing
GOES_ON = {
    "loadgen-worker": "loadgen goes on: ",
    "edge": "edge goes on: ",
    # It says nowhere since when it runs, so only a longer absence is seen.
    "grafana": "",
    "campaign": "goes on where it was cut short",
}
#: the operator's: while a session needs it the trial is spoilt, else it goes on
SHELL = "shell"
KILLED = (*SPOILS, *GOES_ON, SHELL)
LADDER = (
    "missing_index",
    "pool_exhaustion",
    "fulltext_search",
    "write_contention",
    "correlated_subquery",
    "notification_mark_read",
    "notification_n_plus_one",
    "notification_payload",
    "notification_counter",
    "streaming_txn",
)
_TRIAL_TIMEOUT_S = 400.0


@dataclass(frozen=True, kw_only=True)
class Played:
    """A finished campaign: a killed container a trial, and none in the last."""

    trials: dict[str, dict[str, Any]]
    log: str
    #: services that were not healthy in the end
    unwell: list[str]


@pytest.fixture(scope="module")
def played() -> Iterator[Played]:
    if problem := why_no_engine():
        pytest.fail(f"RATCHET_COMPOSE=1, but {problem}")
    with project(RATCHET_LADDER=",".join(LADDER), RATCHET_MODE="isolated") as stack:
        stack.run("build", timeout_s=1500)
        stack.run("up", "--detach", "--wait")
        for index, service in enumerate(KILLED):
            _until_under_load(stack, index)
            # As a crash does it: the engine would not restart what it was itself asked to kill.
            os.kill(stack.pid_of(service), signal.SIGKILL)
        state = stack.until("finished", timeout_s=2 * _TRIAL_TIMEOUT_S)
        log = stack.run("logs", "--no-log-prefix", "campaign").stdout
        yield Played(
            trials=dict(zip((*KILLED, "none"), state["trials"], strict=True)),
            log=log,
            unwell=_unwell(stack),
        )


@pytest.mark.parametrize("service", SPOILS)
def test_what_is_judged_rests_on_it_so_the_trial_is_inconclusive(
    service: str, played: Played
) -> None:
    trial = played.trials[service]
    assert (trial["verdict"], trial["fault"]) == ("inconclusive", SPOILS[service]), trial


@pytest.mark.parametrize("service", GOES_ON)
def test_its_end_is_named_and_the_trial_goes_on(service: str, played: Played) -> None:
    trial = played.trials[service]
    assert trial["verdict"] == "resolved", trial
    assert GOES_ON[service] in played.log


def test_the_end_of_the_operators_shell_is_never_the_operators_loss(played: Played) -> None:
    trial = played.trials[SHELL]
    assert (trial["verdict"], trial["fault"]) in {("resolved", None), ("inconclusive", SHELL)}
    assert "shell goes on: " in played.log


def test_the_campaign_went_on_to_its_end_with_all_services_well(played: Played) -> None:
    assert played.trials["none"]["verdict"] == "resolved"
    assert played.unwell == []


def _until_under_load(stack: Project, index: int) -> None:
    deadline = time.monotonic() + _TRIAL_TIMEOUT_S
    while time.monotonic() < deadline:
        state = stack.status()
        judged = [trial for trial in state.get("trials", ()) if trial["verdict"]]
        assert len(judged) <= index, f"trial {index} is over: {judged[index]}"
        if len(judged) == index and state.get("phase") in UNDER_LOAD:
            return
        time.sleep(0.5)  # another container decides, and only answers when it is asked
    raise AssertionError(f"trial {index} had no load within {_TRIAL_TIMEOUT_S:g} s")


def _unwell(stack: Project) -> list[str]:
    """Those that are restarted at a campaign's end take a moment."""
    deadline, unwell = time.monotonic() + 120.0, ["all"]
    while unwell and time.monotonic() < deadline:
        told = stack.run("ps", "--format", "{{.Service}} {{.Health}}").stdout.split("\n")
        unwell = [line for line in told if line and not line.endswith(" healthy")]
        time.sleep(1.0)
    return unwell
