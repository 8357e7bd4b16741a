"""What an operator is told of its past: what is its own, and nothing that gives a trial away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from campaign.model import (
    AssertionState,
    Event,
    NoteWritten,
    Plan,
    SessionOutcome,
    Unresolved,
)
from campaign.operator_records import JournalRecords
from campaign.testing import finding, make_plan
from campaign.testing.world import make_invariant
from tests.machine_kit import Drive

LOST = "lost_tokens"
HOST_PATH = "/home/someone/ratchet/campaign/rig.py"


@dataclass(kw_only=True)
class Counted:
    """A journal that knows how much of it was read."""

    events: list[Event]
    handed_out: int = 0

    async def append(self, event: Event) -> int:
        raise AssertionError(event)

    async def read(self, *, after: int = 0) -> Sequence[Event]:
        found = self.events[after:]
        self.handed_out += len(found)
        return found


@dataclass(kw_only=True)
class Commits:
    asked: list[str] = field(default_factory=list)

    async def parent(self, revision: str) -> str | None:
        return None if revision == "first" else f"before {revision}"

    async def diff(self, before: str, after: str) -> str:
        assert before == f"before {after}"
        self.asked.append(after)
        return f"+{after}\n"


def records(events: list[Event], commits: Commits | None = None) -> JournalRecords:
    return JournalRecords(journal=Counted(events=events), history=commits or Commits())


def plan() -> Plan:
    """The first profile breaks a correctness invariant beside its latency."""
    made = make_plan(3)
    profiles = tuple(
        replace(profile, id=f"secret_{number}", title=f"Secret {number}")
        for number, profile in enumerate(made.profiles)
    )
    first = replace(profiles[0], breaks=(*profiles[0].breaks, LOST))
    return replace(
        made,
        invariants=(*made.invariants, replace(make_invariant(LOST), kind="correctness")),
        profiles=(first, *profiles[1:]),
    )


async def outcome(drive: Drive) -> str:
    """Of the trial at hand, once the next has begun."""
    assert isinstance(drive.trial.verdict, Unresolved)
    number = drive.index
    drive.load_applied()
    return (await records(drive.journal).tickets())[number].outcome


# -- how tickets ended ---------------------------------------------------------------------------


async def test_a_regression_names_what_was_lost_and_never_the_profile_that_proved_it() -> None:
    drive = Drive(plan()).to_second_trial().to_full_load().tick(3).tick(2, red=[LOST])
    assert "secret_0" in drive.trial.verdict.reason  # type: ignore[union-attr]
    told = await outcome(drive)
    assert told == "not resolved: these were out of bounds at the end: lost_tokens"


async def test_what_did_not_recover_is_named() -> None:
    drive = Drive(plan()).to_recovering().tick(61, red=["p0_latency"])
    assert await outcome(drive) == "not resolved: these were out of bounds at the end: p0_latency"


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (SessionOutcome.GAVE_UP, "it was given up"),
        (SessionOutcome.BUDGET_SPENT, "its budget was spent before it was resolved"),
        (SessionOutcome.FAILED, "the session broke off before it was resolved"),
    ],
)
async def test_how_a_session_broke_off_is_said_without_its_insides(
    ended: SessionOutcome, said: str
) -> None:
    drive = Drive(plan()).to_repairing().tick(3, red=["p0_latency"])
    drive.end_session(ended, reason=f"OSError({HOST_PATH}) secret_1").tick(61, red=["p0_latency"])
    assert HOST_PATH in drive.trial.verdict.reason  # type: ignore[union-attr]
    told = await outcome(drive)
    assert told == f"not resolved: these were out of bounds at the end: p0_latency; {said}"


async def test_a_ticket_whose_wall_time_was_over_says_so() -> None:
    drive = Drive(replace(plan(), budget=replace(plan().budget, wall_s=20.0)))
    drive.to_repairing().tick(25, red=["p0_latency"]).tick(61, red=["p0_latency"])
    assert "its budget was spent" in await outcome(drive)


async def test_gates_that_failed_are_named_without_their_words_and_graders_not_at_all() -> None:
    failed = finding("functional", "healthy", AssertionState.FAIL, f"{HOST_PATH}: secret_2")
    graded = finding("quality", "tidy", AssertionState.FAIL, "secret_1")
    drive = Drive(plan()).to_gates().gates_finished(failed, graded)
    assert await outcome(drive) == "not resolved: checked from outside, these failed: healthy"


# -- what is read for it -------------------------------------------------------------------------


async def test_each_event_is_read_once_however_often_is_asked() -> None:
    drive = Drive(plan()).to_second_trial()
    journal = Counted(events=drive.journal)
    past = JournalRecords(journal=journal, history=Commits())
    for _ in range(3):
        await past.tickets()
        await past.deployments()
        await past.notes()
    assert journal.handed_out == len(drive.journal)
    drive.to_repairing().deploy("d7").resolve()
    drive.send(NoteWritten(at=drive.at, trial=1, ticket="T002", session=1, text="look here"))
    assert [each.id for each in await past.deployments()] == ["d1", "d7"]
    assert await past.notes() == ("T002: look here",)
    assert [each.id for each in await past.tickets()] == ["T001"]
    assert journal.handed_out == len(drive.journal)


async def test_only_the_diffs_that_are_wanted_are_made_and_each_of_them_once() -> None:
    drive, commits = Drive(plan()).to_repairing(), Commits()
    for number in range(6):
        drive.deploy(f"d{number}", revision=f"r{number}")
    past = records(drive.journal, commits)
    assert [each.diff for each in await past.deployments(diffs_of=0)] == [""] * 6
    assert commits.asked == []
    assert [each.diff for each in await past.deployments(diffs_of=2)][-3:] == ["", "+r4\n", "+r5\n"]
    assert commits.asked == ["r4", "r5"]
    assert all(each.diff for each in await past.deployments())
    assert sorted(commits.asked) == [f"r{number}" for number in range(6)]


async def test_a_first_revision_changed_nothing() -> None:
    drive = Drive(plan()).to_repairing().deploy(revision="first")
    assert [each.diff for each in await records(drive.journal).deployments()] == [""]
