"""`ratchet run`, `trial` and `resume`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from campaign.cli.common import (
    CampaignArgument,
    RunsOption,
    print_json,
    split_names,
    tell,
)
from campaign.cli.ending import leave
from campaign.cli.flat import flat
from campaign.cli.load_options import LoadArguments
from campaign.cli.operator_options import (
    ApiKeyFileOption,
    HowArguments,
    NewArguments,
    OperatorArguments,
    UnsandboxedOption,
)
from campaign.cli.playing import (
    How,
    daemon_of,
    play_here,
    play_there,
    require_operator,
    say_left,
)
from campaign.cli.webhook_options import WebhookArguments
from campaign.errors import UsageError
from campaign.logs import log_to
from campaign.model import Finished, LadderMode, Plan
from campaign.orders import Order, Scale, estimated_cost, estimated_s, specify
from campaign.origins import find_origin
from campaign.runs import find_run, new_name, new_run
from campaign.states import read_campaign
from campaign.webhook import deliver_left, require_usable

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


def register(app: typer.Typer) -> None:
    example = "Example: "
    app.command("run", epilog=f"{example}ratchet run --profiles missing_index,pool_exhaustion")(
        flat(run_campaign)
    )
    app.command("trial", epilog=f"{example}ratchet trial missing_index --operator none --hold")(
        flat(run_trial)
    )
    app.command("resume", epilog=f"{example}ratchet resume 20260101-120000-chat-db-app")(
        flat(resume)
    )


def run_campaign(
    runs: RunsOption,
    operator: OperatorArguments,
    new: NewArguments,
    how: HowArguments,
    webhook: WebhookArguments,
    load: LoadArguments,
    *,
    file: Annotated[Path | None, typer.Argument(help="A campaign file (YAML).")] = None,
    profiles: Annotated[
        str | None, typer.Option(help="Profiles to play, in order, with commas between.")
    ] = None,
    first: Annotated[int | None, typer.Option(help="Only so many trials.")] = None,
    mode: Annotated[
        str | None, typer.Option(help="continuous (state carries over) or isolated.")
    ] = None,
    no_snapshots: NoSnapshotsOption = False,
) -> None:
    """Play a campaign: trial after trial against one app whose state is never reset."""
    order = Order(
        file=file,
        target=new.target,
        operator=operator.operator,
        mode=_mode(mode),
        seed=new.seed,
        profiles=None if profiles is None else split_names(profiles),
        first=first,
        scale=_scale(new.scale),
        snapshots=False if no_snapshots else None,
        choices=operator.choices,
    )
    playing = replace(How.told(how, operator, new), webhook=webhook.asked, load=load)
    _play(order, runs=runs, new=new, how=playing)


def run_trial(
    profile: Annotated[str, typer.Argument(help="The profile to play.")],
    runs: RunsOption,
    operator: OperatorArguments,
    new: NewArguments,
    how: HowArguments,
    webhook: WebhookArguments,
    load: LoadArguments,
    *,
    revision: RevisionOption = None,
    source: FromOption = None,
) -> None:
    """Play one profile alone: a fresh database, the unmodified app or --revision.

    The revision's own schema is put on the fresh database when it starts, as at any deployment.
    """
    if source is not None and revision is None:
        raise UsageError("--from says where a --revision is to be looked for, and none is given")
    order = Order(
        target=new.target,
        operator=operator.operator,
        mode="isolated",
        seed=new.seed,
        profiles=(profile,),
        scale=_scale(new.scale),
        choices=operator.choices,
    )
    playing = replace(How.told(how, operator, new), webhook=webhook.asked, load=load)
    start = None if revision is None else _Start(revision=revision, campaign=source)
    playing = replace(playing, here=playing.here or revision is not None)
    _play(order, runs=runs, new=new, how=playing, start=start)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """The code of an earlier campaign, as it was asked for."""

    revision: str
    campaign: str | None


def resume(
    runs: RunsOption,
    how: HowArguments,
    webhook: WebhookArguments,
    load: LoadArguments,
    *,
    campaign: CampaignArgument = None,
    here: HereOption = False,
    api_key_file: ApiKeyFileOption = None,
    allow_unsandboxed_operator: UnsandboxedOption = False,
) -> None:
    """Take a stopped or crashed campaign up where its journal ends."""
    playing = How(
        as_json=how.as_json,
        hold=how.hold,
        sandbox=not how.no_sandbox,
        here=here,
        api_key_file=api_key_file,
        allow_unsandboxed_operator=allow_unsandboxed_operator,
        webhook=webhook.asked,
        load=load,
    )
    load.require_usable()
    run = find_run(runs, campaign)
    played = asyncio.run(read_campaign(run))
    if played is not None and isinstance(played.phase, Finished):
        tell(f"campaign {run.name} is finished already")
        with log_to(run.logs / "ratchet.log"):
            on_left = partial(say_left, run)
            asyncio.run(deliver_left(run, playing.webhook, on_left=on_left))
        leave(run, played, as_json=how.as_json)
    if daemon := daemon_of(runs, playing):
        operator = "" if played is None else played.plan.operator
        play_there(daemon, run, None, playing, operator=operator)
    play_here(run, None, playing)


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
    order: Order, *, runs: Path, new: NewArguments, how: How, start: _Start | None = None
) -> None:
    how.load.require_usable()
    spec = specify(order)
    how = replace(how, webhook=how.webhook or spec.webhook)
    require_usable(how.webhook)
    run = new_run(runs, new.name or new_name(spec.catalogue.target.name))
    plan = spec.plan(run.name)
    if start is not None:
        finding = find_origin(runs, start.revision, campaign=start.campaign, target=plan.target)
        plan = replace(plan, origin=asyncio.run(finding))
    daemon = None if order.file is not None else daemon_of(runs, how)
    if new.dry_run:
        if daemon is None:
            require_operator(run, plan, how)
        _show_plan(plan, as_json=how.as_json, by_daemon=daemon is not None)
        return
    if daemon is not None:
        play_there(daemon, run, order.as_asked(), how, operator=plan.operator)
    play_here(run, plan, how)


def _show_plan(plan: Plan, *, as_json: bool, by_daemon: bool) -> None:
    """What would be done, and roughly how long it takes and what it costs."""
    cost = estimated_cost(plan)
    shown: dict[str, Any] = {
        "campaign": plan.campaign,
        "target": plan.target,
        "mode": plan.mode,
        "operator": plan.operator,
        "operator_options": asdict(plan.operator_options),
        "budget": asdict(plan.budget),
        "campaign_budget": asdict(plan.campaign_budget),
        "seed": plan.seed,
        "trials": [{"profile": profile.id, "title": profile.title} for profile in plan.profiles],
        "estimated_s": round(estimated_s(plan)),
        "estimated_usd": cost.usd,
        "estimated_cost": cost.told,
    }
    if as_json:
        print_json(shown)
        return
    console = Console(highlight=False)
    console.print(f"{plan.target}, {plan.mode}, operator {plan.operator}:")
    if address := plan.operator_options.base_url:
        console.print(f"  its provider is reached at {address}", markup=False)
    for number, profile in enumerate(plan.profiles, start=1):
        console.print(f"  {number:2}. {profile.id:24} {profile.title}")
    about = f"about {shown['estimated_s'] / 60:.0f} min, {cost.told}"
    console.print(f"{about}; nothing was started")
    if by_daemon:
        console.print("the daemon would play it, with its own keys and sandbox: not looked at")
