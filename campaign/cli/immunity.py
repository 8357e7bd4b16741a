"""`ratchet immunity`: which revision made the app immune, found by probing earlier ones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from campaign.cli.common import (
    CampaignArgument,
    JsonOption,
    NoSandboxOption,
    RunsOption,
    print_json,
    tell,
)
from campaign.cli.signals import stop_on_signals
from campaign.errors import UsageError
from campaign.host import Host
from campaign.immunity import Evidence, Inquiry, Probe, Prober, Rung, immune_trials
from campaign.logs import log_to
from campaign.model import TrialRecord
from campaign.preflight import require_ready
from campaign.rig import RigOptions
from campaign.runs import RunFolder, find_run
from campaign.states import read_campaign

_MINUTE_S = 60.0
#: how an outcome is shown in a matrix
_MARKS = {"violated": "[red]red[/]", "immune": "[green]green[/]", "unclear": "?"}

Work = Callable[[Prober], Awaitable[None]]


def register(app: typer.Typer) -> None:
    app.command("immunity", epilog="Example: ratchet immunity 20260101-120000-chat-db-app 7")(
        immunity
    )


def immunity(
    runs: RunsOption,
    campaign: CampaignArgument = None,
    trial: Annotated[
        str | None,
        typer.Argument(help="Its number, from 1, or its profile; else all that ended immune."),
    ] = None,
    *,
    matrix: Annotated[
        bool, typer.Option("--matrix", help="Every profile on every revision, which takes long.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how long it takes; start nothing.")
    ] = False,
    no_sandbox: NoSandboxOption = False,
    as_json: JsonOption = False,
) -> None:
    """Name the revision that made the app immune, by playing the profile on earlier ones.

    Each probe is the profile alone, on a fresh database, with nobody to repair. What was probed is
    kept in the campaign's folder (immunity.json) and not probed again, also after Ctrl-C.
    """
    if matrix and trial is not None:
        raise UsageError("--matrix is of the whole campaign: leave the trial out")
    run = find_run(runs, campaign)
    past = asyncio.run(read_campaign(run))
    if past is None:
        raise UsageError(f"campaign {run.name} has no events yet")
    trials = immune_trials(past, trial)
    inquiry = Inquiry(past=past, evidence=Evidence(run.path / "immunity.json"))
    stage = _Stage(run, inquiry, confined=not no_sandbox, dry_run=dry_run)
    told = stage.matrix() if matrix else stage.explain(trials)
    if as_json:
        print_json({"campaign": run.name, **told})


class _Stage:
    """Where the probes are played, and how."""

    def __init__(self, run: RunFolder, inquiry: Inquiry, *, confined: bool, dry_run: bool) -> None:
        self._run = run
        self._inquiry = inquiry
        self._confined = confined
        self._dry_run = dry_run

    def explain(self, trials: tuple[TrialRecord, ...]) -> dict[str, Any]:
        """One revision for each immune trial."""
        if not trials:
            tell("no trial ended immune")
        inquiry = self._inquiry
        left = [trial for trial in trials if inquiry.most_s(trial)]
        most_s = sum(inquiry.most_s(trial) for trial in left)
        found = [inquiry.found(one, inquiry.search(one)) for one in trials if one not in left]

        async def explain_left(prober: Prober) -> None:
            found.extend([await inquiry.explain(trial, prober, _say_probe) for trial in left])

        if left:
            tell(f"{_count(len(left), 'immune trial')}, at most about {_minutes(most_s)}")
        if left and not self._dry_run:
            self._play(explain_left)
        found.sort(key=lambda one: one.trial.index)
        tell(*(one.told() for one in found))
        return {"estimated_s": round(most_s), "trials": [one.as_json() for one in found]}

    def matrix(self) -> dict[str, Any]:
        """Every profile on every revision."""
        left, left_s = self._inquiry.cells_left, self._inquiry.cells_s
        tell(f"{_count(len(left), 'probe')} to make, about {_minutes(left_s)}")

        async def fill(prober: Prober) -> None:
            await self._inquiry.fill(prober, _say_probe)

        if left and not self._dry_run:
            self._play(fill)
        Console(stderr=True, highlight=False).print(_table(self._inquiry))
        return {
            "estimated_s": round(left_s),
            "revisions": [_rung(rung) for rung in self._inquiry.ladder],
            "outcomes": {
                profile.id: {p.revision: p.outcome for p in self._inquiry.evidence.of(profile.id)}
                for profile in self._inquiry.past.plan.profiles
            },
        }

    def _play(self, work: Work) -> None:
        """Probes leave a folder of logs and journals; their databases are removed at once."""
        root = self._run.path.parent
        folder = root / f"immunity-{datetime.now(tz=UTC):%Y%m%d-%H%M%S}-{self._run.name}"
        no_sandbox = require_ready(RunFolder(path=folder))
        options = RigOptions(sandbox=self._confined and not no_sandbox, campaigns=root)

        async def perform() -> None:
            async with Host(folder) as host:
                await work(
                    Prober(
                        play=host.play,
                        past=self._inquiry.past,
                        folder=folder,
                        options=options,
                        on_shell=stop_on_signals,
                    )
                )

        with log_to(folder / "ratchet.log"):
            asyncio.run(perform())


def _say_probe(probe: Probe) -> None:
    detail = f" ({probe.detail})" if probe.detail else ""
    tell(f"  {probe.profile} on {probe.revision[:12]}: {probe.outcome}{detail}")


def _rung(rung: Rung) -> dict[str, Any]:
    made_in = rung.made_in
    return {
        "revision": rung.revision,
        "trial": None if made_in is None else made_in.index,
        "profile": None if made_in is None else made_in.profile,
    }


def _table(inquiry: Inquiry) -> Table:
    """A column for each revision, headed by the trial that it came out of; 0 is as delivered."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("after trial")
    for rung in inquiry.ladder:
        table.add_column("0" if rung.made_in is None else str(rung.made_in.index + 1))
    for profile in inquiry.past.plan.profiles:
        probes = (inquiry.evidence.find(profile.id, rung.revision) for rung in inquiry.ladder)
        table.add_row(profile.id, *("" if p is None else _MARKS[p.outcome] for p in probes))
    return table


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _minutes(seconds: float) -> str:
    return f"{max(1, round(seconds / _MINUTE_S))} min"
