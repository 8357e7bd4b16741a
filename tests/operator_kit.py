"""Campaigns of operators that work with tools, as people start them; and what is left of them."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from operators.command import RunnerError, load_adapter
from operators.trace import Trace
from operators.trace.folder import TRACES, find_session

from campaign import sandbox
from campaign.adapters.agents.executable import find_executable
from campaign.identity import app_identity
from campaign.model import ActionTaken, Event, SessionEnded, SpendNoted
from tests.acceptance_kit import Process, read_events

LONG = bool(os.environ.get("RATCHET_LONG"))

#: of whoever runs the tests, and not to be heard by what they start
_OURS = re.compile(r"ANTHROPIC_|CLAUDE_|RATCHET_(URL|RUNS|PROFILES|SEAT_TOKEN|SESSION_TOKEN)$")
_JOIN = re.compile(r"export RATCHET_URL=(\S+) RATCHET_SEAT_TOKEN=(\S+)")
#: a campaign that was interrupted heals its load and stops its stack
_STOP_S = 60.0
_LOG_CHARS = 6_000

SessionEventT = TypeVar("SessionEventT", ActionTaken, SessionEnded, SpendNoted)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    #: the object at the end, of one with --json
    outcome: dict[str, Any]
    #: the last of what it said
    said: str

    @property
    def verdicts(self) -> list[str]:
        """Each trial's; with the reason when it is not the best, so that a failure says why."""
        return [
            trial["verdict"]
            if trial["verdict"] == "resolved"
            else f"{trial['verdict']}: {trial['fault'] or ''}: {trial['reason']}"
            for trial in self.outcome["trials"]
        ]


@dataclass(frozen=True, kw_only=True)
class Command:
    """`ratchet …` while it runs."""

    process: Process
    out: Path
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text()[-_LOG_CHARS:]

    async def ended(self) -> Ended:
        code = await self.process.ended()
        text = self.out.read_text()
        return Ended(code=code, outcome=json.loads(text) if text else {}, said=self.said)

    async def happened(self, event: asyncio.Event) -> None:
        """Waits for it, and fails when the command ends first."""
        waiting = asyncio.create_task(event.wait())
        running = asyncio.create_task(self.process.ended())
        try:
            await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            running.cancel()
        assert event.is_set(), f"it ended before that:\n{self.said}"

    async def invitation(self) -> dict[str, str]:
        """The variables that it prints for whoever joins."""
        while (found := _JOIN.search(self.log.read_text())) is None:
            assert self.process.is_running, self.said
            await asyncio.sleep(0.1)
        return {"RATCHET_URL": found[1], "RATCHET_SEAT_TOKEN": found[2]}


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder of campaigns, with settings of its own."""

    root: Path

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    def env(self, **more: str) -> dict[str, str]:
        """Ours, without our settings and secrets."""
        kept = {name: value for name, value in os.environ.items() if not _OURS.match(name)}
        config, state = str(self.root / "config"), str(self.root / "state")
        return {**kept, "XDG_CONFIG_HOME": config, "XDG_STATE_HOME": state, **more}

    @asynccontextmanager
    async def ratchet(self, *words: str, **env: str) -> AsyncIterator[Command]:
        """Ended when the block is left, if it has not by itself."""
        number = len(list(self.root.glob("*.log"))) + 1
        out, log = self.root / f"{number}.out", self.root / f"{number}.log"
        process = Process(
            *words, "--runs", str(self.runs), "--json", log=log, out=out, env=self.env(**env)
        )
        try:
            yield Command(process=process, out=out, log=log)
        finally:
            if process.is_running:
                await _end(process)

    async def play(self, *words: str, **env: str) -> Ended:
        """The same, to its own end."""
        async with self.ratchet(*words, **env) as command:
            return await command.ended()

    def run(self, name: str) -> Path:
        return self.runs / name


async def _end(process: Process) -> None:
    process.interrupt()
    ending = asyncio.create_task(process.ended())
    await asyncio.wait({ending}, timeout=_STOP_S)
    if not ending.done():
        process.kill()
    await ending


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a campaign left behind."""

    run: Path
    events: Sequence[Event] = field(default_factory=tuple)

    @classmethod
    async def of(cls, run: Path) -> Record:
        return cls(run=run, events=await read_events(run))

    def of_session(
        self, kind: type[SessionEventT], ticket: str, session: int
    ) -> list[SessionEventT]:
        return [
            event
            for event in self.events
            if isinstance(event, kind) and (event.ticket, event.session) == (ticket, session)
        ]

    def trace(self, ticket: str, session: int = 1) -> Trace:
        found = find_session(self.run / TRACES, f"{ticket}-s{session}")
        assert found is not None, f"{ticket}-s{session} has no trace"
        return found.read()

    def files(self) -> Iterator[Path]:
        """Everything that it left, folders left out."""
        return (path for path in self.run.rglob("*") if path.is_file())

    def holding(self, secret: str) -> list[str]:
        """The files that have it in them."""
        return [
            str(path.relative_to(self.run))
            for path in self.files()
            if secret.encode() in path.read_bytes()
        ]


def require_paired(trace: Trace, actions: Sequence[ActionTaken]) -> None:
    """The trace and the journal tell of the same calls: names, results, exit codes, diffs."""
    uses = {event.tool_use_id: event for event in trace.events if event.kind == "tool_use"}
    results = {event.tool_use_id: event for event in trace.events if event.kind == "tool_result"}
    summary = trace.summary
    assert summary.tool_call_count == summary.tool_result_count == len(actions)
    assert (summary.unpaired_tool_calls, summary.unpaired_tool_results) == (0, 0)
    assert sum(summary.tool_classes.values()) == len(actions)
    told = {call: uses[call].name.rpartition("__")[2] for call in uses}
    assert told == {action.call: action.tool for action in actions}
    for action in actions:
        result = results[action.call]
        assert (result.is_error, result.exit_code, bool(result.diff)) == (
            action.is_error,
            action.exit_code,
            bool(action.diff),
        ), action


def no_real_claude() -> str:
    """Why the real `claude` cannot be run here; empty: it can."""
    try:
        find_executable(load_adapter("claude-code"))
    except RunnerError as error:
        return str(error)
    return sandbox.unavailable(app_identity()) or ""


def price_source(trace: Trace) -> str:
    """Who says what it cost, without the date of a table."""
    return trace.usage.pricing_source.partition(":")[0]
