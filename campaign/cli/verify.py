"""`ratchet profiles verify`: each profile played, in isolation, in every way its proof needs."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from campaign.cli.common import JsonOption, RunsOption, print_json, split_names, tell
from campaign.cli.exit_codes import EXIT_DONE, EXIT_LOST, EXIT_STOPPED
from campaign.cli.proofs_view import table, view_for
from campaign.cli.signals import stop_on_signals
from campaign.host import Host
from campaign.logs import log_to
from campaign.machine import Campaign
from campaign.model import Calibration, Event, StackReady
from campaign.orders import Order, specify
from campaign.player import Performance
from campaign.preflight import require_ready
from campaign.rig import RigOptions
from campaign.runs import RunFolder
from campaign.verification import (
    EVIDENCE_FILE,
    Finding,
    Proofs,
    Scope,
    Setting,
    Stage,
    evidence,
    experiments,
    play_all,
    write,
)
from chaos_profiles import CampaignSpec


def register(app: typer.Typer) -> None:
    app.command("verify", epilog="Example: ratchet profiles verify --profile missing_index")(verify)


def verify(
    runs: RunsOption,
    profile: Annotated[
        str | None, typer.Option(help="Only this one (or several, with commas between).")
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(min=1, help="Red and green runs of each; 3 when left out, 1 when quick."),
    ] = None,
    target: Annotated[str | None, typer.Option("--target", help="The target app.")] = None,
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Red and green only, nothing confirmed.")
    ] = False,
    no_sandbox: Annotated[
        bool, typer.Option("--no-sandbox", help="Run the app as a plain process.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Prove each profile: the app breaks, its fix holds with room, no trick is taken for one."""
    names = None if profile is None else split_names(profile)
    spec = specify(Order(target=target, operator="reference", mode="isolated", profiles=names))
    scope = Scope(repeats=repeats or (1 if quick else 3), quick=quick)
    folder = runs / f"verify-{datetime.now(tz=UTC):%Y%m%d-%H%M%S}"
    confined = not require_ready(RunFolder(path=folder)) and not no_sandbox
    work = _Work.on(spec, scope, folder, RigOptions(sandbox=confined))
    try:
        with log_to(folder / "ratchet.log"):
            asyncio.run(_prove(work, as_json=as_json))
    finally:
        found = work.write()
    if as_json:
        print_json(found)
    else:
        Console(highlight=False).print(table(work.proofs.all))
    tell(*_problems(found), f"evidence: {work.file}")
    raise typer.Exit(_exit_code(found))


@dataclass(slots=True)
class _Work:
    """A verification under way; what is found is on disk at once, whatever ends it."""

    spec: CampaignSpec
    scope: Scope
    folder: Path
    options: RigOptions
    proofs: Proofs
    began_at: float
    calibration: Calibration | None = None
    complete: bool = False

    @classmethod
    def on(cls, spec: CampaignSpec, scope: Scope, folder: Path, options: RigOptions) -> _Work:
        planned = {one.id: experiments(spec.catalogue, one, scope) for one in spec.profiles}
        return cls(
            spec=spec,
            scope=scope,
            folder=folder,
            options=options,
            proofs=Proofs(planned),
            began_at=time.time(),
        )

    @property
    def file(self) -> Path:
        return self.folder / EVIDENCE_FILE

    def found(self, findings: Iterable[Finding]) -> None:
        self.proofs.add(findings)
        self.write()

    def calibrated(self, before: Campaign | None, event: Event, after: Campaign) -> None:
        """An observer: the first calibration is the one that the limits come from."""
        del before, after
        if isinstance(event, StackReady) and self.calibration is None:
            self.calibration = event.calibration

    def write(self) -> dict[str, Any]:
        setting = Setting(
            target=self.spec.catalogue.target.name,
            scope=self.scope,
            began_at=self.began_at,
            calibration=self.calibration,
        )
        content = evidence(self.proofs.all, setting, at=time.time(), complete=self.complete)
        self.folder.mkdir(parents=True, exist_ok=True)
        write(content, self.file)
        return content


async def _prove(work: _Work, *, as_json: bool) -> None:
    """With --json, standard output is for the one object at the end."""
    stream = sys.stderr if as_json else sys.stdout
    async with Host(work.folder) as host:

        async def play(performance: Performance) -> Campaign:
            observers = (*performance.observers, work.calibrated)
            return await host.play(replace(performance, observers=observers))

        stage = Stage(
            play=play,
            folder=work.folder,
            spec=work.spec,
            scope=work.scope,
            options=work.options,
            on_shell=stop_on_signals,
        )
        with view_for(stream, work.proofs) as view:

            def on_findings(findings: tuple[Finding, ...]) -> None:
                work.found(findings)
                view.found(findings)

            ended = await play_all(
                stage, work.proofs.experiments, on_findings=on_findings, on_begin=view.begin
            )
    work.complete = not ended.stopped


def _problems(found: dict[str, Any]) -> list[str]:
    """Every one of every profile, for people."""
    return [
        f"{proof['profile']}: {problem}"
        for proof in found["profiles"]
        for problem in proof["problems"]
    ]


def _exit_code(found: dict[str, Any]) -> int:
    if not found["complete"]:
        return EXIT_STOPPED
    return EXIT_DONE if all(proof["proven"] for proof in found["profiles"]) else EXIT_LOST
