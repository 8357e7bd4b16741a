from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from campaign.adapters import deployments
from campaign.adapters.deployments import Deployments, unfinished
from campaign.model import DeploymentFinished, DeploymentRequested, Event
from campaign.ports import PortError
from campaign.supervisor.client import ConflictError, SupervisorError
from campaign.supervisor.records import DeploymentRecords
from campaign.supervisor.wire import DeploymentRequest, DeploymentResult, Status


def result(deployment: str = "d1", *, reason: str | None = None) -> DeploymentResult:
    return DeploymentResult(
        id=deployment,
        revision="abc",
        ok=reason is None,
        reason=reason,
        log_tail=tuple(f"line {number}" for number in range(30)),
        drained_first=True,
        duration_s=1.5,
        started_at=10.0,
        finished_at=11.5,
        source_hash="f00",
    )


def requested(deployment: str) -> DeploymentRequested:
    return DeploymentRequested(
        at=10.0,
        trial=3,
        ticket="T004",
        session=1,
        deployment=deployment,
        revision="abc",
        message="mend it",
    )


def finished(deployment: str) -> DeploymentFinished:
    return DeploymentFinished(
        at=11.5, trial=3, deployment=deployment, revision="abc", ok=True, reason="", duration_s=1.5
    )


@pytest.fixture
def records(tmp_path: Path) -> DeploymentRecords:
    return DeploymentRecords(tmp_path / "deployments.jsonl")


def test_what_the_journal_saw_the_end_of_is_not_unfinished(records: DeploymentRecords) -> None:
    assert unfinished([requested("d1"), finished("d1")], records.results(), at=20.0) == []


def test_one_that_the_supervisor_finished_is_told_as_it_says(records: DeploymentRecords) -> None:
    records.finish(result("d1"))
    records.finish(result("d2", reason="no health"))
    one, two = unfinished([requested("d1"), requested("d2")], records.results(), at=20.0)
    assert (one.deployment, one.at, one.trial, one.revision) == ("d1", 20.0, 3, "abc")
    assert (one.ok, one.drained_first, one.source_hash) == (True, True, "f00")
    assert (two.ok, two.reason) == (False, "no health")


def test_one_that_was_under_way_when_the_supervisor_died_did_not_happen(tmp_path: Path) -> None:
    file = tmp_path / "deployments.jsonl"
    request = DeploymentRequest(id="d1", revision="abc", source="/src")
    DeploymentRecords(file).begin(request, at=10.0)
    (one,) = unfinished([requested("d1")], DeploymentRecords(file).results(), at=20.0)
    assert (one.ok, one.reason) == (False, "interrupted")


def test_one_that_the_supervisor_never_heard_of_did_not_happen(records: DeploymentRecords) -> None:
    (one,) = unfinished([requested("d1")], records.results(), at=20.0)
    assert (one.ok, one.reason, one.duration_s) == (False, "interrupted by a crash", 0.0)


def test_each_is_told_once_in_the_order_of_the_requests(records: DeploymentRecords) -> None:
    events: list[Event] = [requested("d2"), requested("d1"), finished("d3")]
    assert [one.deployment for one in unfinished(events, records.results(), at=1.0)] == ["d2", "d1"]


class FakeSupervisor:
    """Answers from a list: an outcome to give, or an error to raise."""

    def __init__(self, *answers: DeploymentResult | Exception, rollouts: list[str | None]) -> None:
        self.answers = list(answers)
        self.rollouts = rollouts

    def __call__(self, _socket: Path) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    async def deploy(self, request: DeploymentRequest) -> DeploymentResult:
        assert request.id == "d1"
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def status(self) -> Status:
        return Status(
            state="running",
            deployment="d0",
            revision="abc",
            pid=1,
            source_hash=None,
            restarts=0,
            since=0.0,
            last_exit=None,
            healthy=True,
            rollout=self.rollouts.pop(0),
        )


Answering = Callable[..., Deployments]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Answering:
    monkeypatch.setattr(deployments, "_BUSY_POLL_S", 0.0)

    def make(
        *answers: DeploymentResult | Exception, rollouts: list[str | None] | None = None
    ) -> Deployments:
        fake = FakeSupervisor(*answers, rollouts=rollouts or [])
        monkeypatch.setattr(deployments, "SupervisorClient", fake)
        return Deployments(Path("/supervisor.sock"))

    return make


async def deploy(supervisor: Deployments) -> tuple[bool, str]:
    done = await supervisor.deploy("d1", "abc", Path("/src"))
    return done.ok, done.reason


async def test_a_success_needs_no_words(answering: Answering) -> None:
    assert await deploy(answering(result())) == (True, "")


async def test_a_failure_comes_with_the_last_lines_of_the_log(answering: Answering) -> None:
    _, reason = await deploy(answering(result(reason="no health in 20 s")))
    lines = reason.splitlines()
    assert (lines[0], lines[1], lines[-1], len(lines)) == (
        "no health in 20 s",
        "line 10",
        "line 29",
        21,
    )


async def test_it_waits_for_its_turn(answering: Answering) -> None:
    busy = ConflictError("another one is under way")
    supervisor = answering(busy, busy, result(), rollouts=["d0", "d0"])
    assert await deploy(supervisor) == (True, "")


async def test_one_that_ended_just_before_it_was_looked_at_is_no_obstacle(
    answering: Answering,
) -> None:
    busy = ConflictError("another one is under way")
    assert await deploy(answering(busy, result(), rollouts=[None])) == (True, "")


async def test_an_id_that_is_taken_is_told_at_once(answering: Answering) -> None:
    taken = ConflictError("d1 belongs to another revision")
    with pytest.raises(PortError, match="belongs to another revision") as caught:
        await deploy(answering(taken, taken, rollouts=[None]))
    assert caught.value.component == "supervisor"


async def test_a_supervisor_that_does_not_answer_is_named(answering: Answering) -> None:
    with pytest.raises(PortError, match="does not answer"):
        await deploy(answering(SupervisorError("the supervisor does not answer: gone")))
