"""Scripted operators: what happens on a ticket, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from campaign.model import (
    ActionTaken,
    DeploymentFinished,
    DeploymentRequested,
    Event,
    SessionEnded,
    SessionOutcome,
    Spend,
    SpendNoted,
    StartSession,
    TicketResolved,
)
from campaign.testing.world import World

#: What happens at a time; None when nothing comes of it.
Happening = Callable[[float], Event | None]
#: Seconds after the session's start, and what happens then.
Planned = tuple[float, Happening]


class Stage(Protocol):
    """Where a script plays: the simulation."""

    @property
    def world(self) -> World: ...

    def at(self, delay: float, happening: Happening) -> int:
        """Let something happen that goes on without the session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One session's acts, ready to be put into a script."""

    stage: Stage
    command: StartSession

    def edit(self, after_s: float) -> Planned:
        return after_s, lambda at: ActionTaken(
            at=at,
            trial=self.command.trial,
            ticket=self.command.ticket.id,
            session=self.command.session,
            tool="apply_patch",
            arguments={},
            result="",
            is_error=False,
            duration_s=0.1,
            edit=True,
        )

    def deploy(
        self, after_s: float, *, mends: frozenset[str], takes_s: float = 2.0, number: int = 1
    ) -> Planned:
        """Asks for it; the supervisor then goes on by itself, whatever becomes of the session."""
        deployment = f"{self.command.ticket.id}-s{self.command.session}-d{number}"
        revision = f"{deployment}-rev"

        def finished(at: float) -> Event:
            self.stage.world.deploy(deployment, revision, mends, at=at)
            return DeploymentFinished(
                at=at,
                trial=self.command.trial,
                deployment=deployment,
                revision=revision,
                ok=True,
                reason="",
                duration_s=takes_s,
            )

        def requested(at: float) -> Event:
            self.stage.at(takes_s, finished)
            return DeploymentRequested(
                at=at,
                trial=self.command.trial,
                ticket=self.command.ticket.id,
                session=self.command.session,
                deployment=deployment,
                revision=revision,
                message="",
            )

        return after_s, requested

    def resolve(self, after_s: float) -> Planned:
        return after_s, lambda at: TicketResolved(
            at=at,
            trial=self.command.trial,
            ticket=self.command.ticket.id,
            session=self.command.session,
            root_cause="found it",
        )

    def spend(self, after_s: float, spend: Spend) -> Planned:
        """What the session has cost so far is put on record."""
        return after_s, lambda at: SpendNoted(
            at=at,
            trial=self.command.trial,
            ticket=self.command.ticket.id,
            session=self.command.session,
            spend=spend,
        )

    def end(
        self,
        after_s: float,
        outcome: SessionOutcome,
        *,
        reason: str = "",
        spend: Spend | None = None,
    ) -> Planned:
        return after_s, lambda at: SessionEnded(
            at=at,
            trial=self.command.trial,
            ticket=self.command.ticket.id,
            session=self.command.session,
            outcome=outcome,
            reason=reason,
            spend=spend or Spend(),
        )


def nobody(stage: Stage, command: StartSession) -> Sequence[Planned]:
    """The `none` operator."""
    return (Scene(stage=stage, command=command).end(0.1, SessionOutcome.GAVE_UP),)


def sleeper(stage: Stage, command: StartSession) -> Sequence[Planned]:
    """Never does anything, never ends."""
    del stage, command
    return ()


def mender(stage: Stage, command: StartSession) -> Sequence[Planned]:
    """The reference operator: edits, deploys what mends the trial's profile, resolves."""
    profile = stage.world.plan.profiles[command.trial].id
    return _repair(stage, command, frozenset({profile}))


def idler(stage: Stage, command: StartSession) -> Sequence[Planned]:
    """Resolves with a deployment that changes nothing."""
    return _repair(stage, command, frozenset())


#: what a session of `spender` costs, and what each of its turns does
SESSION_COST = Spend(turns=4, tokens=4_000, usd=0.4)
TURN_COST = Spend(turns=1, tokens=1_000, usd=0.1)


def spender(stage: Stage, command: StartSession) -> Sequence[Planned]:
    """Mends like the reference operator, and says after each of four turns what it has cost."""
    scene = Scene(stage=stage, command=command)
    turns = (
        scene.spend(
            0.8 * number,
            Spend(turns=number, tokens=1_000 * number, usd=number * (TURN_COST.usd or 0.0)),
        )
        for number in range(1, 4)
    )
    *acts, _ = mender(stage, command)
    end = scene.end(3.2, SessionOutcome.RESOLVED, spend=SESSION_COST)
    return (*turns, *acts, end)


def away(stage: Stage, command: StartSession) -> Sequence[Planned]:
    """Cannot be reached in the first session on a ticket; mends in the next."""
    if command.session > 1:
        return mender(stage, command)
    scene = Scene(stage=stage, command=command)
    return (
        scene.spend(1.0, TURN_COST),
        scene.end(
            2.0, SessionOutcome.UNAVAILABLE, reason="the provider is overloaded", spend=TURN_COST
        ),
    )


def _repair(stage: Stage, command: StartSession, mends: frozenset[str]) -> Sequence[Planned]:
    scene = Scene(stage=stage, command=command)
    return (
        scene.edit(0.5),
        scene.deploy(1.0, mends=mends),
        scene.resolve(3.1),
        scene.end(3.2, SessionOutcome.RESOLVED),
    )
