"""Run folders of campaigns that the simulator played, and the real command on them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from campaign.adapters.journal import open_journal
from campaign.model import Event
from campaign.runs import RunFolder
from campaign.testing import Script, Simulation, World, make_plan, mender

#: the command of the very environment that the tests run in
RATCHET = Path(sys.executable).with_name("ratchet")


def played(count: int = 2, *, operator: Script = mender, name: str = "simulated") -> list[Event]:
    """The journal of a whole campaign."""
    plan = replace(make_plan(count), campaign=name)
    events: list[Event] = []
    Simulation(World(plan=plan), events, operator=operator, begin_at=1_000.0).run()
    return events


def write_run(root: Path, name: str, events: Iterable[Event]) -> RunFolder:
    """A run folder with these events in its journal."""
    run = RunFolder(path=root / name)

    async def write() -> None:
        async with open_journal(run.path) as journal:
            for event in events:
                await journal.append(event)

    asyncio.run(write())
    return run


def ratchet(
    *arguments: str | Path, env: Mapping[str, str] | None = None, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run the real command to its end, on a terminal of 80 columns that is none."""
    return subprocess.run(
        [str(RATCHET), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env={**os.environ, "COLUMNS": "80", **(env or {})},
    )
