"""A session whose spend is remembered, so that whoever drives it next goes on counting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from campaign.model import Assignment, OperatorOptions, SessionResult, Spend
from operators.external.traced import TracedTools
from operators.session import Briefing, Session, Tools
from operators.trace.recorder import Recorder


class KeptSession:
    """The same session; implements `Session`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._traced: TracedTools | None = None
        self.spend = Spend()
        #: by drivers that have left
        self._before = Spend()

    def begin_anew(self) -> None:
        """The next driver counts from nothing."""
        self._before = self.spend

    def with_all(self, result: SessionResult) -> SessionResult:
        """With what drivers before it have spent."""
        if result.spend == Spend():
            return replace(result, spend=self.spend)
        return replace(result, spend=_sum(self._before, result.spend))

    def trace_calls(self) -> None:
        """From now on nobody else tells the trace of them."""
        self._traced = TracedTools(self._session)

    async def one_more_turn(self) -> None:
        """What a call from outside costs: nobody tells of its tokens."""
        await self._keep(replace(self.spend, turns=self.spend.turns + 1))

    def count(self, spend: Spend) -> None:
        self.spend = _sum(self._before, spend)
        self._session.count(self.spend)

    async def spent(self, spend: Spend) -> None:
        await self._keep(_sum(self._before, spend))

    async def _keep(self, spend: Spend) -> None:
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
        return self._traced or self._session.tools

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


def _sum(before: Spend, spend: Spend) -> Spend:
    """Nothing is known of what nobody counted, unless nobody had spent anything."""
    if before == Spend():
        return spend
    return Spend(
        turns=before.turns + spend.turns,
        tokens=_plus(before.tokens, spend.tokens),
        usd=_plus(before.usd, spend.usd),
    )


_N = TypeVar("_N", int, float)


def _plus(before: _N | None, more: _N | None) -> _N | None:
    return None if before is None or more is None else before + more
