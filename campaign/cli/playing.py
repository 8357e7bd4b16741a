"""A campaign is played by this process, or by the daemon of its folder."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn, Self, TextIO

import typer

from campaign.api_client import ApiClient, find_daemon
from campaign.cli.common import tell
from campaign.cli.ending import leave
from campaign.cli.exit_codes import EXIT_STOPPED
from campaign.cli.following import follow
from campaign.cli.holding import hold
from campaign.cli.load_options import LoadArguments
from campaign.cli.operator_options import HowArguments, NewArguments, OperatorArguments
from campaign.cli.resuming import resume_command
from campaign.cli.signals import stop_on_signals
from campaign.cli.webhook_options import webhook_of
from campaign.display import display_for
from campaign.host import Host
from campaign.journal_url import keep_journal_at
from campaign.logs import log_to
from campaign.machine import Campaign
from campaign.model import Plan, Webhook
from campaign.orders import SCRIPTED
from campaign.player import Performance
from campaign.preflight import require_operator_ready, require_ready, why_no_sandbox
from campaign.rig import RigOptions
from campaign.runs import RunFolder
from campaign.seats import how_to_join, how_to_join_there
from campaign.stack import ComposePlaces, is_compose
from campaign.webhook import Left, kept, require_usable, told


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
    api_key_file: Path | None = None
    allow_unsandboxed_operator: bool = False
    #: where notices go; None: where those of the campaign went before, if anywhere
    webhook: Webhook | None = None
    load: LoadArguments = field(default_factory=LoadArguments)

    @classmethod
    def told(
        cls, how: HowArguments, operator: OperatorArguments, new: NewArguments | None = None
    ) -> Self:
        """As a command was told on its command line; `new`: of a new campaign."""
        return cls(
            as_json=how.as_json,
            hold=how.hold,
            sandbox=not how.no_sandbox,
            here=new is None or new.here,
            journal=None if new is None else new.journal,
            api_key_file=operator.api_key_file,
            allow_unsandboxed_operator=operator.allow_unsandboxed_operator,
        )

    @property
    def must_be_here(self) -> bool:
        """A daemon holds nothing, and keeps all its campaigns alike."""
        own = any((self.journal, self.api_key_file, self.webhook, self.load.is_given))
        return self.here or self.hold or not self.sandbox or own or self.allow_unsandboxed_operator

    @property
    def rig_options(self) -> RigOptions:
        return RigOptions(
            sandbox=self.sandbox,
            api_key_file=self.api_key_file or _given_key(),
            allow_unsandboxed_operator=self.allow_unsandboxed_operator,
            webhook=self.webhook,
            load=self.load.division,
            app_port=self.load.app_port,
        )


def _given_key() -> Path | None:
    """In a container of the compose stack: the key that its user gave to all of it."""
    return ComposePlaces().given_key if is_compose() else None


def daemon_of(runs: Path, how: How) -> ApiClient | None:
    """The daemon that serves the folder, if there is one and it may play this campaign."""
    return None if how.must_be_here else asyncio.run(find_daemon(runs))


def require_operator(run: RunFolder, plan: Plan, how: How) -> None:
    """What `play_here` would refuse of the plan's operator; starts nothing.

    Raises:
        UsageError: its key, agent or sandbox is missing, or a budget cannot be kept.
    """
    no_sandbox = "" if plan.operator in SCRIPTED else why_no_sandbox()
    options = replace(how, sandbox=how.sandbox and not no_sandbox).rig_options
    asyncio.run(require_operator_ready(run, plan, options, no_sandbox=no_sandbox))


def play_here(run: RunFolder, plan: Plan | None, how: How) -> NoReturn:
    """Play `plan` (None: what the journal holds) to its end, and leave with its exit code."""
    leave(run, perform_here(run, plan, how), as_json=how.as_json)


def perform_here(run: RunFolder, plan: Plan | None, how: How) -> Campaign:
    """Play `plan` (None: what the journal holds) to its end in this process."""
    how = replace(how, webhook=how.webhook or kept(run.webhook) or webhook_of(os.environ))
    require_usable(how.webhook)
    no_sandbox = require_ready(run)
    how = replace(how, sandbox=how.sandbox and not no_sandbox)
    asyncio.run(require_operator_ready(run, plan, how.rig_options, no_sandbox=no_sandbox))
    if how.journal is not None:
        keep_journal_at(run, how.journal)
    if no_sandbox:
        tell(f"without a sandbox the app runs as a plain process: {no_sandbox}")
    return asyncio.run(_perform(run, plan, how))


async def _perform(run: RunFolder, plan: Plan | None, how: How) -> Campaign:
    async with Host(run.path.parent) as host:
        with log_to(run.logs / "ratchet.log"), display_for(_stream(how)) as display:
            tell(f"campaign {run.name}: {run.path}")
            performance = Performance(
                run=run,
                plan=plan,
                options=how.rig_options,
                observers=(display,),
                on_shell=stop_on_signals,
                on_external=lambda: _say_how_to_join(host, is_resumed=plan is None),
                hold=hold if how.hold else None,
                on_left=lambda left: say_left(run, left),
            )
            return await host.play(performance)


def _say_how_to_join(host: Host, *, is_resumed: bool) -> None:
    """With a secret in it: on the terminal, and in no log."""
    if host.seats is not None:
        tell(*how_to_join(host.seats, is_resumed=is_resumed))


def say_left(run: RunFolder, left: Left) -> None:
    """What the webhook did not take, and that it is not lost."""
    tell(*told(left, resume=resume_command(run)))


def play_there(
    daemon: ApiClient,
    run: RunFolder,
    order: Mapping[str, Any] | None,
    how: How,
    *,
    operator: str,
) -> NoReturn:
    """Have the daemon play `order` (None: what the journal holds), and follow it to its end.

    `operator` is who will work on its tickets.
    """
    if order is None:
        asyncio.run(daemon.act(run.name, "resume"))
    else:
        asyncio.run(daemon.start({**order, "name": run.name}))
    tell(f"campaign {run.name}: {run.path}, played by the daemon (pid {daemon.address.pid})")
    if operator == "external":
        tell(*how_to_join_there(run.path.parent, is_resumed=order is None))
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
