"""A session whose spend is remembered, so that a second driver of it goes on counting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from campaign.model import Assignment, OperatorOptions, Spend
from operators.session import Briefing, Session, Tools
from operators.trace.recorder import Recorder


class KeptSession:
    """The same session; implements `Session`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.spend = Spend()

    async def one_more_turn(self) -> None:
        """What a call from outside costs: nobody tells of its tokens."""
        await self.spent(replace(self.spend, turns=self.spend.turns + 1))

    async def spent(self, spend: Spend) -> None:
        self.spend = spend
        await self._session.spent(spend)

    @property
    def assignment(self) -> Assignment:
        return self._session.assignment

    @property
    def options(self) -> OperatorOptions:
        return self._session.options

    @property
    def briefing(self) -> Briefing:
        return self._session.briefing

    @property
    def tools(self) -> Tools:
        return self._session.tools

    @property
    def trace(self) -> Recorder:
        return self._session.trace

    @property
    def resolved(self) -> bool:
        return self._session.resolved

    def now(self) -> float:
        return self._session.now()

    def over_budget(self) -> str:
        return self._session.over_budget()

    async def messages(self) -> Sequence[str]:
        return await self._session.messages()
