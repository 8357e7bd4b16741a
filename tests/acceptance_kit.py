"""Plays real campaigns for the acceptance tests, and looks at what they leave behind."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
from operators import Repair

from campaign.adapters.journal import open_reader
from campaign.adapters.workspace import Workspace
from campaign.host import Host
from campaign.machine import Campaign
from campaign.model import DeploymentFinished, DeploymentRequested, Event, Inconclusive, Timings
from campaign.orders import Order, specify
from campaign.player import Performance
from campaign.rig import Rig, RigOptions
from campaign.runs import RunFolder
from campaign.shell import Observer, Shell
from campaign.stack.processes import is_alive
from campaign.supervisor.records import DeploymentRecords

RATCHET = Path(sys.executable).with_name("ratchet")
SHORT = replace(Timings(), recovery_patience_s=12.0)
_OTHER_FIXES = Path(__file__).with_name("fixtures") / "alternative_fixes"


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """A temporary folder that the app's user can enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="ratchet-acceptance-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A campaign to play in this process."""

    profiles: tuple[str, ...]
    operator: str = "reference"
    mode: str = "isolated"
    timings: Timings = SHORT
    fixes: Mapping[str, Path] | None = None
    observers: tuple[Observer, ...] = ()
    on_shell: Callable[[Shell], None] = lambda _: None
    on_rig: Callable[[Rig], None] = lambda _: None


async def play(wish: Wish, root: Path, *, name: str) -> Campaign:
    order = Order(
        operator=wish.operator,
        mode="isolated" if wish.mode == "isolated" else "continuous",
        profiles=wish.profiles,
    )
    spec = replace(specify(order), timings=wish.timings)
    fixes = wish.fixes or {}
    repairs = {
        trial: Repair(patch=fixes[profile.id].read_text(), root_cause=profile.title)
        for trial, profile in enumerate(spec.profiles)
        if profile.id in fixes
    }
    async with Host(root) as host:
        return await host.play(
            Performance(
                run=RunFolder(path=root / name),
                plan=spec.plan(name),
                options=RigOptions(),
                observers=wish.observers,
                on_shell=wish.on_shell,
                on_rig=wish.on_rig,
                repairs=repairs,
            )
        )


def other_fix(profile: str) -> Path:
    """A patch that mends the profile's fault in another way than its reference fix."""
    (patch,) = _OTHER_FIXES.glob(f"*_{profile}.patch")
    return patch


def kinds(campaign: Campaign) -> list[str]:
    """Each trial's verdict; an inconclusive one says why, so that a failure explains itself."""
    return [
        f"{trial.verdict.kind}: {trial.verdict.fault}: {trial.verdict.reason}"
        if isinstance(trial.verdict, Inconclusive)
        else str(trial.verdict and trial.verdict.kind)
        for trial in campaign.done
    ]


class Process:
    """`ratchet …` in a process of its own, in a session of its own."""

    def __init__(
        self, *words: str, log: Path, out: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        """`out`: for its standard output, else `log` too; `env`: None is our own."""
        with log.open("a") as stream, (out or log).open("a") as told:
            self._process = subprocess.Popen(
                [str(RATCHET), *words],
                stdout=told,
                stderr=stream,
                env=env,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def family(self) -> list[psutil.Process]:
        """The process and all that it has started so far."""
        process = psutil.Process(self.pid)
        return [process, *process.children(recursive=True)]

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    async def ended(self) -> int:
        return await asyncio.to_thread(self._process.wait)


async def follow(run: Path, *, while_running: Process) -> AsyncIterator[Event]:
    """The events of a campaign that another process plays, as they are journaled."""
    seen = 0
    while while_running.is_running:
        if (run / "journal.db").exists():
            break
        await asyncio.sleep(0.05)
    async with open_reader(run) as journal:
        while while_running.is_running:
            for event in await journal.read(after=seen):
                seen += 1
                yield event
            await asyncio.sleep(0.05)


async def all_gone(family: list[psutil.Process], *, within_s: float = 60.0) -> list[str]:
    """What is still there after a while, as it was; whoever inherits one may collect it later."""
    deadline = time.monotonic() + within_s
    while left := [str(each) for each in family if is_alive(each)]:
        if time.monotonic() > deadline:
            return left
        await asyncio.sleep(0.05)
    return []


async def read_events(run: Path) -> list[Event]:
    async with open_reader(run) as journal:
        return list(await journal.read())


async def disagreements(run: Path) -> list[str]:
    """Where journal, supervisor and git tell different stories; empty when they agree."""
    events = await read_events(run)
    requested = [event for event in events if isinstance(event, DeploymentRequested)]
    finished = [event for event in events if isinstance(event, DeploymentFinished)]
    found = []
    if sorted(e.deployment for e in requested) != sorted(e.deployment for e in finished):
        found.append("not every requested deployment is finished exactly once")
    found += _against_supervisor(run, finished)
    found += await _against_git(run, requested, finished)
    return found


def _against_supervisor(run: Path, finished: list[DeploymentFinished]) -> list[str]:
    records = DeploymentRecords(RunFolder(path=run).deployment_records)
    known = {r.id: r for r in records.results() if not r.id.startswith("start-")}
    journaled = {event.deployment: event for event in finished}
    unknown = [name for name in known if name not in journaled]
    differing = [
        name for name, event in journaled.items() if event.ok != (name in known and known[name].ok)
    ]
    return [f"only the supervisor knows {name}" for name in unknown] + [
        f"supervisor and journal disagree about {name}" for name in differing
    ]


async def _against_git(
    run: Path, requested: list[DeploymentRequested], finished: list[DeploymentFinished]
) -> list[str]:
    workspace = Workspace(run)
    commits = [commit.sha for commit in await workspace.commits()]
    ran = {event.deployment: event for event in finished if event.ok}
    found = [
        f"what ran as {name} is not its commit"
        for name, event in ran.items()
        if event.source_hash != await workspace.source_hash(event.revision)
    ]
    if sorted(commits[1:]) != sorted(event.revision for event in requested):
        found.append("git's commits are not the requested deployments")
    return found
