"""`ratchet profiles verify`: each profile played red and green, in isolation, several times."""

from __future__ import annotations

import asyncio
import json
import math
import platform
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from campaign.cli.common import JsonOption, RunsOption, print_json, split_names, tell
from campaign.cli.signals import stop_on_signals
from campaign.errors import HarnessError
from campaign.host import Host
from campaign.logs import log_to
from campaign.machine import Campaign
from campaign.model import Profile, Timings, TrialRecord
from campaign.orders import Order, specify
from campaign.player import Performance
from campaign.preflight import require_ready
from campaign.rig import RigOptions
from campaign.runs import RunFolder
from campaign.verification import Proof, Run, Worst, green_run, red_run
from chaos_profiles import CampaignSpec
from reports.view import failure

_EXIT_UNPROVEN = 1
#: long enough for a second named invariant to show, once the first is violated
_AFTER_VIOLATION_S = 5.0


def verify(
    runs: RunsOption,
    profile: Annotated[
        str | None, typer.Option(help="Only this one (or several, with commas between).")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Red and green runs of each.")] = 3,
    target: Annotated[str | None, typer.Option("--target", help="The target app.")] = None,
    *,
    no_sandbox: Annotated[
        bool, typer.Option("--no-sandbox", help="Run the app as a plain process.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Prove each profile: the unmodified app breaks, the reference fix holds with room."""
    names = None if profile is None else split_names(profile)
    spec = specify(Order(target=target, operator="none", mode="isolated", profiles=names))
    folder = runs / f"verify-{datetime.now(tz=UTC):%Y%m%d-%H%M%S}"
    confined = not require_ready(RunFolder(path=folder)) and not no_sandbox
    options = RigOptions(sandbox=confined)
    with log_to(folder / "ratchet.log"):
        evidence = asyncio.run(_prove_all(spec, folder, repeats=repeats, options=options))
    file = folder / "evidence.json"
    file.write_text(json.dumps(evidence, indent=2) + "\n")
    if as_json:
        print_json(evidence)
    else:
        Console(highlight=False).print(_table(evidence))
    tell(f"evidence: {file}")
    proven = all(found["proven"] for found in evidence["profiles"])
    raise typer.Exit(0 if proven else _EXIT_UNPROVEN)


async def _prove_all(
    spec: CampaignSpec, folder: Path, *, repeats: int, options: RigOptions
) -> dict[str, Any]:
    proofs: list[dict[str, Any]] = []
    async with Host(folder) as host:
        for profile in spec.profiles:
            proof = Proof(profile=profile.id, red=(), green=())
            for number in range(1, repeats + 1):
                red = await _play(host, spec, profile, f"red-{number}", options)
                fix = replace(options, patches=(spec.catalogue.fix_patch(profile),))
                green = await _play(host, spec, profile, f"green-{number}", fix)
                proof = replace(proof, red=(*proof.red, red), green=(*proof.green, green))
            proofs.append(_told(proof))
    return {"machine": _machine(), "repeats": repeats, "profiles": proofs}


async def _play(
    host: Host, spec: CampaignSpec, profile: Profile, what: str, options: RigOptions
) -> Run:
    """One bare run: to the violation, or to the window's end; nothing is confirmed."""
    run = RunFolder(path=host.root / f"{profile.id}-{what}".replace("_", "-"))
    bare = replace(
        spec,
        profiles=(profile,),
        timings=replace(Timings(), recovery_patience_s=_AFTER_VIOLATION_S),
    )
    worst = Worst()
    campaign = await host.play(
        Performance(
            run=run,
            plan=bare.plan(run.name),
            options=options,
            observers=(worst,),
            on_shell=stop_on_signals,
        )
    )
    trial = _only_trial(campaign)
    judge = green_run if options.patches else red_run
    judged = judge(profile, trial, worst.readings.values())
    tell(f"  {profile.id} {what}: {judged.problem or 'as it should be'}")
    return judged


def _only_trial(campaign: Campaign) -> TrialRecord:
    if problem := failure(campaign):
        raise HarnessError(f"a run did not end: {problem}")
    if not campaign.done:
        raise typer.Abort
    return campaign.done[0]


def _told(proof: Proof) -> dict[str, Any]:
    return {
        "profile": proof.profile,
        "proven": proof.proven,
        "red": [_run(run) for run in proof.red],
        "green": [_run(run) for run in proof.green],
        "hacks": [],
    }


def _run(run: Run) -> dict[str, Any]:
    """JSON has no infinity: a value of zero has no finite margin, told as null."""
    told = asdict(run)
    for measured, shown in zip(run.measured, told["measured"], strict=True):
        margin = measured.margin
        shown["margin"] = None if margin is None or math.isinf(margin) else round(margin, 2)
    return told


def _machine() -> dict[str, Any]:
    return {
        "system": platform.platform(),
        "cores": psutil.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "python": platform.python_version(),
    }


def _table(evidence: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("profile", "proven", "invariant", "limit", "red", "green", "problem"):
        table.add_column(heading)
    for proof in evidence["profiles"]:
        for number, measured in enumerate(proof["red"][0]["measured"]):
            problems = [run["problem"] for run in (*proof["red"], *proof["green"])]
            table.add_row(
                proof["profile"] if number == 0 else "",
                ("[green]yes[/]" if proof["proven"] else "[red]no[/]") if number == 0 else "",
                measured["invariant"],
                f"{measured['limit']:g}",
                _values(proof["red"], number),
                _values(proof["green"], number),
                "; ".join(dict.fromkeys(filter(None, problems))) if number == 0 else "",
            )
    return table


def _values(runs: list[dict[str, Any]], number: int) -> str:
    values = (run["measured"][number]["value"] for run in runs)
    return ", ".join("unknown" if value is None else f"{value:.3g}" for value in values)
