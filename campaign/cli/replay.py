"""`ratchet replay`: one trial of a past campaign, from the exact state it started in."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated, Any

import typer

from campaign.cli.common import RunsOption, print_json, tell
from campaign.cli.ending import exit_code, say_end
from campaign.cli.flat import flat
from campaign.cli.load_options import LoadArguments
from campaign.cli.operator_options import HowArguments, OperatorArguments
from campaign.cli.playing import How, perform_here
from campaign.errors import UsageError
from campaign.machine import Campaign
from campaign.replay import Comparison, Recorded, compare, plan_of, recorded
from campaign.runs import RunFolder, find_run, new_name, new_run
from campaign.stack import SnapshotStore
from campaign.states import read_events
from reports import summarise


def register(app: typer.Typer) -> None:
    app.command(
        "replay", epilog="Example: ratchet replay 20260101-120000-chat-db-app 3 --operator none"
    )(flat(replay))


def replay(
    campaign: Annotated[str, typer.Argument(help="The campaign that it was played in.")],
    trial: Annotated[str, typer.Argument(help="Its number, from 1, or its profile.")],
    runs: RunsOption,
    operator: OperatorArguments,
    how: HowArguments,
    load: LoadArguments,
    *,
    name: Annotated[str | None, typer.Option("--name", help="The replay's name.")] = None,
) -> None:
    """Play one trial once more, from the exact state it started in, with any operator.

    The code, the database, the base load and the limits are the recorded ones; that the database
    is the same to the last row is checked before anything touches it. The outcome is a campaign
    of its own.
    """
    load.require_usable()
    source = find_run(runs, campaign)
    past = recorded(asyncio.run(read_events(source)), trial)
    _require_snapshot(source, past)
    # Not the profile: operators see the folder's name.
    run = new_run(runs, name or new_name(f"replay-{past.beginning.plan.target}"))
    choices = operator.choices
    if operator.operator == "replay" and choices.recording is None:
        choices = replace(choices, recording=source.name)
    plan = plan_of(past, campaign=run.name, operator=operator.operator, choices=choices)
    ended = perform_here(run, plan, replace(How.told(how, operator), load=load))
    _leave(run, past, ended, as_json=how.as_json)


def _require_snapshot(source: RunFolder, past: Recorded) -> None:
    snapshot = past.trial.snapshot
    if snapshot is None or SnapshotStore(source.snapshots).find(snapshot.id) is None:
        raise UsageError(
            f"the snapshot of trial {past.trial.index + 1} is not in {source.snapshots} any more",
            hint=f"play the profile alone: ratchet trial {past.trial.profile}",
        )


def _leave(run: RunFolder, past: Recorded, campaign: Campaign, *, as_json: bool) -> None:
    """As after any campaign, and whether it was the same failure."""
    comparison = compare(past.trial, campaign.trial)
    say_end(run, campaign)
    if campaign.trial.verdict is not None:
        tell(f"compared with {past.beginning.plan.campaign}: {comparison.told()}")
    if as_json:
        print_json({**summarise(campaign), "replay": _told(past, campaign, comparison)})
    raise typer.Exit(exit_code(campaign))


def _told(past: Recorded, campaign: Campaign, comparison: Comparison) -> dict[str, Any]:
    snapshot = past.trial.snapshot
    return {
        "campaign": past.beginning.plan.campaign,
        "trial": past.trial.index,
        "profile": past.trial.profile,
        "revision": past.beginning.revision,
        #: checked before anything else: without it nothing is played
        "start_state_equal": bool(campaign.trial.revision_before),
        "contents": None if snapshot is None else snapshot.contents,
        "violated": comparison.as_json(),
    }
