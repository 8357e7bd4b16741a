"""Plays one profile on one earlier revision: alone, on a fresh database, with nobody to repair."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from campaign.errors import HarnessError
from campaign.immunity.search import Outcome, Probe
from campaign.machine import Campaign
from campaign.model import Immune, Origin, Plan, Profile, TrialRecord
from campaign.player import Performance
from campaign.rig import RigOptions
from campaign.runs import RunFolder
from campaign.shell import Shell
from campaign.stack import discard_data
from reports.view import failure

#: Plays a campaign to its end or to a stop: `Host.play`.
Player = Callable[[Performance], Awaitable[Campaign]]

#: how long an app may stay red, where nobody repairs it
_PATIENCE_S = 1.0
#: start of the stack and of the app, and the growth, roughly
_OVERHEAD_S = 15.0


class InterruptedProbeError(HarnessError):
    """Somebody stopped it; what was probed before is kept."""

    exit_code = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Prober:
    """For the revisions of one past campaign, under its own limits and its first base load."""

    play: Player
    past: Campaign
    #: each probe's run has a folder of its own in it
    folder: Path
    #: `campaigns` says where the past campaign is
    options: RigOptions
    on_shell: Callable[[Shell], None] = lambda _: None

    async def probe(self, profile: Profile, revision: str) -> Probe:
        """Takes most of a minute (see `probe_s`).

        Raises:
            InterruptedProbeError: it was stopped.
            UsageError, HarnessError: see `campaign.player.play`.
        """
        run = self._unused(f"{profile.id}-{revision[:12]}")
        campaign = await self.play(
            Performance(
                run=run,
                plan=self._plan(run.name, profile, revision),
                options=self.options,
                on_shell=self.on_shell,
            )
        )
        await asyncio.to_thread(discard_data, run.path)
        return Probe(
            profile=profile.id,
            revision=revision,
            outcome=_outcome(campaign),
            detail=_detail(campaign),
        )

    def _unused(self, name: str) -> RunFolder:
        names = (name if number == 1 else f"{name}-{number}" for number in count(1))
        runs = (RunFolder(path=self.folder / name) for name in names)
        return next(run for run in runs if not run.exists)

    def _plan(self, name: str, profile: Profile, revision: str) -> Plan:
        past = self.past
        return replace(
            past.plan,
            campaign=name,
            mode="isolated",
            operator="none",
            profiles=(profile,),
            timings=replace(past.plan.timings, recovery_patience_s=_PATIENCE_S),
            snapshots=False,
            bare=True,
            origin=Origin(
                campaign=past.plan.campaign,
                revision=revision,
                first_revision=past.first_revision,
                calibration=past.calibration,
            ),
        )


def probe_s(plan: Plan, profile: Profile) -> float:
    """How long one probe takes, roughly: to the window's end, which a violation cuts short."""
    timings = plan.timings
    return _OVERHEAD_S + timings.range_s + 2 * timings.warm_up_s + profile.window_s


def _outcome(campaign: Campaign) -> Outcome:
    trial = _trial(campaign)
    if trial is None:
        return Outcome.UNCLEAR
    if trial.violated:
        return Outcome.VIOLATED
    return Outcome.IMMUNE if isinstance(trial.verdict, Immune) else Outcome.UNCLEAR


def _detail(campaign: Campaign) -> str:
    trial = _trial(campaign)
    if trial is None:
        return failure(campaign)
    if trial.violated:
        return ", ".join(trial.violated)
    return "" if trial.verdict is None else trial.verdict.reason


def _trial(campaign: Campaign) -> TrialRecord | None:
    """The only one, when it was played; None when the stack did not come up."""
    if campaign.stopped and not failure(campaign):
        raise InterruptedProbeError("stopped", hint="start it again: what was probed is kept")
    return campaign.done[0] if campaign.done else None
