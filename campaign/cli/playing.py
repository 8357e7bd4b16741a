"""A campaign is played by this process, or by the daemon of its folder."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, TextIO

import typer

from campaign.api_client import ApiClient, find_daemon
from campaign.cli.common import tell
from campaign.cli.ending import EXIT_STOPPED, leave
from campaign.cli.following import follow
from campaign.cli.holding import hold
from campaign.cli.signals import stop_on_signals
from campaign.display import display_for
from campaign.host import Host
from campaign.logs import log_to
from campaign.machine import Campaign
from campaign.model import Plan
from campaign.player import Performance
from campaign.preflight import require_ready
from campaign.rig import RigOptions
from campaign.runs import RunFolder, keep_journal_at


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """What a command was told beside what to play."""

    as_json: bool
    hold: bool
    sandbox: bool
    #: in this process, whoever else is there
    here: bool
    #: where the journal of a new campaign is kept, if not in its folder
    journal: str | None = None

    @property
    def must_be_here(self) -> bool:
        """A daemon holds nothing, and keeps all its campaigns alike."""
        return self.here or self.hold or not self.sandbox or self.journal is not None


def daemon_of(runs: Path, how: How) -> ApiClient | None:
    """The daemon that serves the folder, if there is one and it may play this campaign."""
    return None if how.must_be_here else asyncio.run(find_daemon(runs))


def play_here(run: RunFolder, plan: Plan | None, how: How) -> NoReturn:
    """Play `plan` (None: what the journal holds) to its end, and leave with its exit code."""
    leave(run, perform_here(run, plan, how), as_json=how.as_json)


def perform_here(run: RunFolder, plan: Plan | None, how: How) -> Campaign:
    """Play `plan` (None: what the journal holds) to its end in this process."""
    no_sandbox = require_ready(run)
    if how.journal is not None:
        keep_journal_at(run, how.journal)
    if how.sandbox and no_sandbox:
        tell(f"without a sandbox the app runs as a plain process: {no_sandbox}")
        how = replace(how, sandbox=False)
    return asyncio.run(_perform(run, plan, how))


async def _perform(run: RunFolder, plan: Plan | None, how: How) -> Campaign:
    async with Host(run.path.parent) as host:
        with log_to(run.logs / "ratchet.log"), display_for(_stream(how)) as display:
            tell(f"campaign {run.name}: {run.path}")
            performance = Performance(
                run=run,
                plan=plan,
                options=RigOptions(sandbox=how.sandbox),
                observers=(display,),
                on_shell=stop_on_signals,
                hold=hold if how.hold else None,
            )
            return await host.play(performance)


def play_there(
    daemon: ApiClient, run: RunFolder, order: Mapping[str, Any] | None, how: How
) -> NoReturn:
    """Have the daemon play `order` (None: what the journal holds), and follow it to its end."""
    if order is None:
        asyncio.run(daemon.act(run.name, "resume"))
    else:
        asyncio.run(daemon.start({**order, "name": run.name}))
    tell(f"campaign {run.name}: {run.path}, played by the daemon (pid {daemon.address.pid})")
    try:
        campaign = asyncio.run(follow(run, _stream(how)))
    except KeyboardInterrupt:
        where = f"{run.name} --runs {run.path.parent}"
        tell(
            "it goes on",
            f"  follow it  ratchet watch {where}",
            f"  end it     ratchet stop {where}",
        )
        raise typer.Exit(EXIT_STOPPED) from None
    leave(run, campaign, as_json=how.as_json)


def _stream(how: How) -> TextIO:
    """With --json, standard output is for the one object at the end."""
    return sys.stderr if how.as_json else sys.stdout
