"""`ratchet run`, `trial` and `resume`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from campaign.cli.common import (
    CampaignArgument,
    JsonOption,
    RunsOption,
    print_json,
    split_names,
    tell,
)
from campaign.cli.ending import leave
from campaign.cli.playing import How, daemon_of, play_here, play_there
from campaign.errors import UsageError
from campaign.model import Finished, LadderMode, Plan
from campaign.orders import Order, Scale, estimated_s, specify
from campaign.origins import find_origin
from campaign.runs import find_run, new_name, new_run
from campaign.states import read_campaign

OperatorOption = Annotated[
    str | None, typer.Option("--operator", help="Who resolves tickets: reference, history or none.")
]
TargetOption = Annotated[str | None, typer.Option("--target", help="The target app.")]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Of the load's random choices.")]
NameOption = Annotated[str | None, typer.Option("--name", help="The campaign's name.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show the plan and how long it takes; start nothing.")
]
ScaleOption = Annotated[
    str | None,
    typer.Option("--scale", help="full: at the size that the symptom is known by, if it has one."),
]
HoldOption = Annotated[
    bool,
    typer.Option("--hold", help="Keep the stack up at the end, under the last trial's load."),
]
NoSandboxOption = Annotated[
    bool,
    typer.Option("--no-sandbox", help="Run the app as a plain process (no bubblewrap here)."),
]
NoSnapshotsOption = Annotated[
    bool, typer.Option("--no-snapshots", help="Keep no states that trials could be replayed from.")
]
RevisionOption = Annotated[
    str | None,
    typer.Option(
        "--revision",
        help="Start with the code of an earlier campaign: a sha or a tag (trial-02-streaming_txn).",
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", help="The campaign of --revision; else the newest that knows it."),
]
HereOption = Annotated[
    bool, typer.Option("--here", help="Play it in this process, even if a daemon runs.")
]
JournalOption = Annotated[
    str | None,
    typer.Option("--journal", help="Keep the journal in this Postgres database (a URL)."),
]


def register(app: typer.Typer) -> None:
    example = "Example: "
    app.command("run", epilog=f"{example}ratchet run --profiles missing_index,pool_exhaustion")(
        run_campaign
    )
    app.command("trial", epilog=f"{example}ratchet trial missing_index --operator none --hold")(
        run_trial
    )
    app.command("resume", epilog=f"{example}ratchet resume 20260101-120000-chat-db-app")(resume)


def run_campaign(
    runs: RunsOption,
    file: Annotated[Path | None, typer.Argument(help="A campaign file (YAML).")] = None,
    profiles: Annotated[
        str | None, typer.Option(help="Profiles to play, in order, with commas between.")
    ] = None,
    first: Annotated[int | None, typer.Option(help="Only so many trials.")] = None,
    operator: OperatorOption = None,
    mode: Annotated[
        str | None, typer.Option(help="continuous (state carries over) or isolated.")
    ] = None,
    target: TargetOption = None,
    seed: SeedOption = None,
    name: NameOption = None,
    scale: ScaleOption = None,
    *,
    dry_run: DryRunOption = False,
    hold: HoldOption = False,
    no_sandbox: NoSandboxOption = False,
    no_snapshots: NoSnapshotsOption = False,
    here: HereOption = False,
    journal: JournalOption = None,
    as_json: JsonOption = False,
) -> None:
    """Play a campaign: trial after trial against one app whose state is never reset."""
    order = Order(
        file=file,
        target=target,
        operator=operator,
        mode=_mode(mode),
        seed=seed,
        profiles=None if profiles is None else split_names(profiles),
        first=first,
        scale=_scale(scale),
        snapshots=False if no_snapshots else None,
    )
    how = How(as_json=as_json, hold=hold, sandbox=not no_sandbox, here=here, journal=journal)
    _play(order, runs=runs, name=name, dry_run=dry_run, how=how)


def run_trial(
    profile: Annotated[str, typer.Argument(help="The profile to play.")],
    runs: RunsOption,
    operator: OperatorOption = None,
    target: TargetOption = None,
    seed: SeedOption = None,
    name: NameOption = None,
    scale: ScaleOption = None,
    revision: RevisionOption = None,
    source: FromOption = None,
    *,
    dry_run: DryRunOption = False,
    hold: HoldOption = False,
    no_sandbox: NoSandboxOption = False,
    here: HereOption = False,
    journal: JournalOption = None,
    as_json: JsonOption = False,
) -> None:
    """Play one profile alone: a fresh database, the unmodified app or --revision.

    The revision's own schema is put on the fresh database when it starts, as at any deployment.
    """
    if source is not None and revision is None:
        raise UsageError("--from says where a --revision is to be looked for, and none is given")
    order = Order(
        target=target,
        operator=operator,
        mode="isolated",
        seed=seed,
        profiles=(profile,),
        scale=_scale(scale),
    )
    here = here or revision is not None
    how = How(as_json=as_json, hold=hold, sandbox=not no_sandbox, here=here, journal=journal)
    start = None if revision is None else _Start(revision=revision, campaign=source)
    _play(order, runs=runs, name=name, dry_run=dry_run, how=how, start=start)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """The code of an earlier campaign, as it was asked for."""

    revision: str
    campaign: str | None


def resume(
    runs: RunsOption,
    campaign: CampaignArgument = None,
    *,
    hold: HoldOption = False,
    no_sandbox: NoSandboxOption = False,
    here: HereOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take a stopped or crashed campaign up where its journal ends."""
    how = How(as_json=as_json, hold=hold, sandbox=not no_sandbox, here=here)
    run = find_run(runs, campaign)
    played = asyncio.run(read_campaign(run))
    if played is not None and isinstance(played.phase, Finished):
        tell(f"campaign {run.name} is finished already")
        leave(run, played, as_json=as_json)
    if daemon := daemon_of(runs, how):
        play_there(daemon, run, None, how)
    play_here(run, None, how)


def _mode(text: str | None) -> LadderMode | None:
    match text:
        case None | "continuous" | "isolated":
            return text
        case _:
            raise UsageError(f"unknown mode: {text}", hint="there are: continuous, isolated")


def _scale(text: str | None) -> Scale | None:
    match text:
        case None | "full":
            return text
        case _:
            raise UsageError(f"unknown scale: {text}", hint="there is: full")


def _play(
    order: Order,
    *,
    runs: Path,
    name: str | None,
    dry_run: bool,
    how: How,
    start: _Start | None = None,
) -> None:
    spec = specify(order)
    run = new_run(runs, name or new_name(spec.catalogue.target.name))
    plan = spec.plan(run.name)
    if start is not None:
        finding = find_origin(runs, start.revision, campaign=start.campaign, target=plan.target)
        plan = replace(plan, origin=asyncio.run(finding))
    if dry_run:
        _show_plan(plan, as_json=how.as_json)
        return
    if order.file is None and (daemon := daemon_of(runs, how)):
        play_there(daemon, run, order.as_asked(), how)
    play_here(run, plan, how)


def _show_plan(plan: Plan, *, as_json: bool) -> None:
    """What would be done, and roughly how long it takes; the operators of today cost nothing."""
    shown: dict[str, Any] = {
        "campaign": plan.campaign,
        "target": plan.target,
        "mode": plan.mode,
        "operator": plan.operator,
        "seed": plan.seed,
        "trials": [{"profile": profile.id, "title": profile.title} for profile in plan.profiles],
        "estimated_s": round(estimated_s(plan)),
        "estimated_usd": 0.0,
    }
    if as_json:
        print_json(shown)
        return
    console = Console(highlight=False)
    console.print(f"{plan.target}, {plan.mode}, operator {plan.operator}:")
    for number, profile in enumerate(plan.profiles, start=1):
        console.print(f"  {number:2}. {profile.id:24} {profile.title}")
    console.print(f"about {shown['estimated_s'] / 60:.0f} min, no cost; nothing was started")
