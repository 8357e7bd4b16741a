"""A shell over in-memory ports, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TypeVar

from campaign.machine import Campaign
from campaign.model import Event, Plan
from campaign.shell import Observer, Shell
from campaign.testing import FakeStack, MemoryJournal, Work, World, fake_ports, make_plan, mend

_Kind = TypeVar("_Kind", bound=Event)


@dataclass(slots=True)
class Stage:
    """One world and one journal; as many shells over them as a test needs."""

    plan: Plan = field(default_factory=lambda: make_plan(2))
    does: Work = mend
    observers: tuple[Observer, ...] = ()
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    stack: FakeStack = field(init=False)
    shell: Shell = field(init=False)

    def __post_init__(self) -> None:
        self.stack = FakeStack(World(plan=self.plan))
        self.raise_curtain()

    def raise_curtain(self) -> Shell:
        """A new shell, as after a restart of the process."""
        ports = fake_ports(self.stack, self.journal, does=self.does)
        self.shell = Shell(ports, observers=self.observers)
        return self.shell

    async def run(self) -> Campaign:
        return await self.shell.run(self.plan)

    def start(self) -> asyncio.Task[Campaign]:
        return asyncio.create_task(self.run(), name="run")

    async def until(self, phase: str) -> None:
        """Returns as soon as the campaign is in that phase."""
        while not self._is_in(phase):  # noqa: ASYNC110 - virtual time costs nothing
            await asyncio.sleep(0.05)

    def _is_in(self, phase: str) -> bool:
        campaign = self.shell.campaign
        return campaign is not None and campaign.phase.kind == phase

    def recorded(self, kind: type[_Kind]) -> list[_Kind]:
        return [event for event in self.journal.events if isinstance(event, kind)]
