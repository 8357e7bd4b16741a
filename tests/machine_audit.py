"""What must be true after every step of the core, whatever happened; checked from outside."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from campaign.machine import Campaign
from campaign.model import (
    AssertionState,
    Auditing,
    CancelGates,
    Command,
    ComponentDown,
    Event,
    GatesFinished,
    Inconclusive,
    Resolved,
    RunGates,
    Status,
)

SPOILT_BY_A_FAULT = {
    "growing",
    "disturbed",
    "repairing",
    "recovering",
    "confirming",
    "auditing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One evaluation that was judged, as an auditor would note it."""

    at: float
    trial: int
    statuses: dict[str, Status]
    full_load: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTaken:
    """What one step started from, and what it led to."""

    before: Campaign
    event: Event
    after: Campaign
    commands: tuple[Command, ...]


def audit(taken: StepTaken, looks: list[Look]) -> None:
    """Every clause; `looks` is everything that was evaluated so far."""
    before, after = taken.before, taken.after
    _finished_is_final(taken)
    _trials_are_played_in_order(before, after)
    _commands_are_for_the_trial_at_hand(taken)
    _the_base_load_is_what_was_proved(after)
    _a_fault_makes_it_inconclusive(taken)
    _gates_run_under_base_load_and_under_a_name_of_their_own(taken)
    _gates_that_are_left_are_ended(taken)
    verdict, had = after.trial.verdict, before.trial.verdict
    if isinstance(verdict, Resolved) and had is None:
        assert before.phase.kind == "auditing"
        _a_resolved_trial_was_proved(after, looks)


def _finished_is_final(taken: StepTaken) -> None:
    if taken.before.phase.kind == "finished":
        assert taken.after.evolve(at=taken.before.at) == taken.before
        assert taken.commands == ()


def _trials_are_played_in_order(before: Campaign, after: Campaign) -> None:
    assert len(after.done) - len(before.done) in (0, 1)
    assert [record.index for record in after.done] == list(range(len(after.done)))
    assert after.trial.index in (before.trial.index, before.trial.index + 1)
    assert all(record.verdict is not None for record in after.done)


def _commands_are_for_the_trial_at_hand(taken: StepTaken) -> None:
    assert all(command.trial == taken.after.trial.index for command in taken.commands)


def _the_base_load_is_what_was_proved(after: Campaign) -> None:
    records = [*after.done, *([after.trial] if after.trial.index == len(after.done) else [])]
    expected = after.plan.base_load
    for record in records:
        if record.verdict is not None and record.verdict.kind in ("resolved", "immune"):
            expected += after.plan.profiles[record.index].ratchet
    assert after.base_load == expected


def _a_fault_makes_it_inconclusive(taken: StepTaken) -> None:
    before = taken.before
    running = not (before.stopped or before.restoring)
    spoils = isinstance(taken.event, ComponentDown) and before.phase.kind in SPOILT_BY_A_FAULT
    if running and spoils:
        assert isinstance(taken.after.trial.verdict, Inconclusive)


def _gates_run_under_base_load_and_under_a_name_of_their_own(taken: StepTaken) -> None:
    after = taken.after
    for command in taken.commands:
        if isinstance(command, RunGates):
            assert after.phase.kind == "auditing"
            assert after.load == after.base_load
            assert command.id.endswith(f"-{after.trial.audits}")
            assert after.trial.assertions == ()


def _gates_that_are_left_are_ended(taken: StepTaken) -> None:
    """Whoever goes on while they are at work says so; a process that dies takes them along."""
    before, after = taken.before.phase, taken.after.phase
    at_work = isinstance(before, Auditing) and before.applied_at is not None
    if not at_work or taken.before.down or taken.after.down or after.kind == "auditing":
        return
    ended = any(isinstance(command, CancelGates) for command in taken.commands)
    assert ended is not isinstance(taken.event, GatesFinished)


def _a_resolved_trial_was_proved(after: Campaign, looks: list[Look]) -> None:
    trial, timings = after.trial, after.plan.timings
    assert trial.violated
    assert trial.first_green_at is not None
    assert trial.confirmed_at is not None
    assert not after.deploying
    assert trial.assertions
    assert {result.state for result in trial.assertions} <= {AssertionState.PASS}
    mine = [look for look in looks if look.trial == trial.index]
    deployed_at = trial.last_deployed_at or 0.0
    green, last = trial.first_green_at, trial.confirmed_at
    assert deployed_at <= green
    _all_clean(mine, trial.violated, green, green + timings.clean_period_s, timings.range_s)
    began = last - timings.clean_period_s
    assert began >= green + timings.clean_period_s
    _all_clean(mine, trial.violated, began, last, timings.range_s)
    assert all(look.full_load for look in mine if began <= look.at <= last)


def _all_clean(
    looks: list[Look], violated: tuple[str, ...], began: float, ended: float, range_s: float
) -> None:
    """Looked at without a hole from `began` to `ended`, and every time held."""
    within = [look for look in looks if began <= look.at <= ended]
    times = [began, *(look.at for look in within), ended]
    assert all(later - earlier <= range_s for earlier, later in pairwise(times))
    for look in within:
        assert all(look.statuses[name] is Status.HELD for name in violated)
        assert set(look.statuses.values()) <= {Status.HELD, Status.IDLE}
