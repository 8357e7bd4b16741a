"""Runs the gates against the live app: one after the other, the assertions of each side by side."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from campaign.gates.app import AppDatabase, LiveApp
from campaign.gates.client import AppClient, connected
from campaign.gates.discovery import Assertion, assertions
from campaign.gates.finding import AppFailedError, Finding, Skip
from campaign.model.gate import DECIDING_GATES, AssertionResult, AssertionState

log = structlog.get_logger()

#: an assertion that takes longer has waited for the app too often
PATIENCE_S = 12.0
#: assertions at work at a time; more would be load, and wait for each other
AT_ONCE = 6

_ENDS_A_GATE = frozenset({AssertionState.FAIL, AssertionState.ERROR})


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRunner:
    """Implements `ports.Gates` for one target app.

    A gate in which something failed blocks the gates after it; within a gate only what is vital
    blocks the rest.
    """

    app_socket: Path
    database: AppDatabase
    #: the target's name, for the assertions that only its app has to meet
    target: str
    #: where `prepare_gates` left the first revision's OpenAPI document, in the campaign's folder
    document: Path
    #: of this machine, for what is costly to make from the document
    cache_dir: Path
    seed: int
    patience_s: float = PATIENCE_S
    gates: Sequence[str] = DECIDING_GATES
    find: Callable[..., Iterable[Assertion]] = field(default=assertions)

    async def audit(self, trial: int, audit: str) -> AsyncIterator[AssertionResult]:
        """What each assertion found, as it is found; see `ports.Gates`."""
        async with connected(self.app_socket) as client:
            # Another one each time: the same audit is done again after a crash, on what it left.
            chance = f"{self.seed}:{audit}:{time.time_ns()}"
            log.info("the gates are asked", action="audit", audit=audit, chance=chance)
            visit = _Visit(runner=self, client=client, trial=trial, chance=chance)
            blocked_by = ""
            for gate in self.gates:
                found = tuple(self.find(gate, target=self.target))
                async with aclosing(visit.gate(found, blocked_by=blocked_by)) as results:
                    async for result in results:
                        if result.state in _ENDS_A_GATE:
                            blocked_by = blocked_by or f"{gate}: {result.name}"
                        yield result


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    """One audit of the live app."""

    runner: GateRunner
    client: AppClient
    trial: int
    #: what all that is drawn comes from
    chance: str

    async def gate(
        self, found: Sequence[Assertion], *, blocked_by: str
    ) -> AsyncGenerator[AssertionResult, None]:
        """The results of one gate, what is vital first."""
        for is_vital in (True, False):
            group = [assertion for assertion in found if assertion.vital is is_vital]
            if blocked_by:
                for assertion in group:
                    yield _blocked(assertion, blocked_by)
                continue
            async with aclosing(self._side_by_side(group)) as results:
                async for result in results:
                    if is_vital and result.state in _ENDS_A_GATE:
                        blocked_by = blocked_by or f"{result.gate}: {result.name}"
                    yield result

    async def _side_by_side(
        self, group: Sequence[Assertion]
    ) -> AsyncGenerator[AssertionResult, None]:
        turn = asyncio.Semaphore(AT_ONCE)

        async def judged(assertion: Assertion) -> AssertionResult:
            async with turn:
                return await self._judged(assertion)

        tasks = [
            asyncio.create_task(judged(assertion), name=f"{assertion.gate}-{assertion.name}")
            for assertion in group
        ]
        try:
            for done in asyncio.as_completed(tasks):
                yield await done
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _judged(self, assertion: Assertion) -> AssertionResult:
        began_s = time.monotonic()
        state, finding = await self._found(assertion)
        return AssertionResult(
            gate=assertion.gate,
            name=assertion.name,
            state=state,
            message=finding.message,
            details=dict(finding.details),
            duration_s=time.monotonic() - began_s,
        )

    async def _found(self, assertion: Assertion) -> tuple[AssertionState, Finding]:
        client = self.client.another()
        try:
            async with asyncio.timeout(self.runner.patience_s) as patience:
                finding = await assertion.check(self._app(assertion, client))
        except Skip as skip:
            return AssertionState.SKIPPED, Finding(passed=False, message=str(skip))
        except AppFailedError as failure:
            return AssertionState.FAIL, failure.finding()
        except Exception as error:
            if patience.expired():
                return self._out_of_patience(client)
            log.exception("an assertion broke", action="assertion_error", name=assertion.name)
            return AssertionState.ERROR, Finding(passed=False, message=repr(error))
        return AssertionState.PASS if finding.passed else AssertionState.FAIL, finding

    def _out_of_patience(self, client: AppClient) -> tuple[AssertionState, Finding]:
        """The app's failure if it was the app that was waited for."""
        limit_s, waited_s = self.runner.patience_s, round(client.waited_s, 3)
        by_app = client.waited_s >= limit_s / 2
        state = AssertionState.FAIL if by_app else AssertionState.ERROR
        finding = Finding(
            passed=False,
            message=f"not done after {limit_s:g} s, {waited_s:g} s of it in waiting for the app",
            details={"expected": f"within {limit_s:g} s", "actual": "still not done"},
        )
        return state, finding

    def _app(self, assertion: Assertion, client: AppClient) -> LiveApp:
        own = f"{self.chance}:{assertion.gate}:{assertion.name}"
        return LiveApp(
            client=client,
            database=self.runner.database,
            base_document=self._base_document(),
            cache_dir=self.runner.cache_dir,
            memory=self.runner.document.parent / "gates",
            trial=self.trial,
            tag=hashlib.blake2b(self.chance.encode(), digest_size=5).hexdigest(),
            draw=random.Random(own),  # noqa: S311 - can be drawn again from what is logged
        )

    def _base_document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.runner.document.read_text())
        return document


def _blocked(assertion: Assertion, by: str) -> AssertionResult:
    return AssertionResult(
        gate=assertion.gate,
        name=assertion.name,
        state=AssertionState.BLOCKED,
        message=f"not asked: {by} came first",
        details={},
        duration_s=0.0,
    )
