"""`ratchet profiles list` and `show`: what can be played."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from campaign.cli.common import JsonOption, print_json
from campaign.model import LoadDimension, Profile
from campaign.orders import find_profile, read_catalogue
from chaos_profiles import Catalogue

TargetOption = Annotated[str | None, typer.Option("--target", help="The target app.")]


def register(app: typer.Typer) -> None:
    app.command("list", epilog="Example: ratchet profiles list --json")(list_profiles)
    app.command("show", epilog="Example: ratchet profiles show pool_exhaustion")(show)


def list_profiles(target: TargetOption = None, *, as_json: JsonOption = False) -> None:
    """The ladder, in its order."""
    catalogue = read_catalogue(target)
    if as_json:
        print_json({"profiles": [asdict(profile) for profile in catalogue.profiles]})
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", justify="right", style="dim")
    table.add_column("profile", style="bold", no_wrap=True)
    table.add_column("title", no_wrap=True, overflow="ellipsis")
    for number, profile in enumerate(catalogue.profiles, start=1):
        table.add_row(str(number), profile.id, profile.title)
    console = Console(highlight=False)
    console.print(table)
    console.print("[dim]more of each: ratchet profiles show NAME[/]")


def show(
    profile: Annotated[str, typer.Argument(help="Its name.")],
    target: TargetOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """One profile: load, data, what it breaks, its ground truth and its reference fix."""
    catalogue = read_catalogue(target)
    found = find_profile(catalogue, profile)
    fix = catalogue.fix_patch(found).read_text()
    if as_json:
        print_json({**asdict(found), "fix": fix})
        return
    _show(catalogue, found, fix)


def _show(catalogue: Catalogue, profile: Profile, fix: str) -> None:
    console = Console(highlight=False)
    console.print(f"[bold]{profile.id}[/]  {profile.title}  [dim]({profile.category})[/]")
    console.print(profile.symptom)
    facts: list[tuple[str, str]] = [
        ("anti-patterns", ", ".join(profile.anti_patterns)),
        ("breaks", ", ".join(_limits(catalogue, profile))),
        ("window", f"{profile.window_s:g} s"),
        *(("load", _dimension(dimension)) for dimension in profile.load),
        *(("ratchets in", _dimension(dimension)) for dimension in profile.ratchet),
        *(("data", f"{name}: {_amount(value)}") for name, value in profile.growth.items()),
    ]
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in facts:
        table.add_row(f"[dim]{name}[/]", Text(value))
    console.print(table)
    console.print(Text(f"\n{catalogue.fix_patch(profile)}", style="dim"), soft_wrap=True)
    console.print(Syntax(fix, "diff", background_color="default"), soft_wrap=True)


def _limits(catalogue: Catalogue, profile: Profile) -> list[str]:
    limits = {invariant.id: invariant.limit for invariant in catalogue.invariants}
    return [f"{name} > {limits[name]:g}" for name in profile.breaks]


def _amount(value: Any) -> str:
    """A range of ids, or a plain number."""
    match value:
        case {"first": first, "count": count}:
            return f"{count:,} from {first:,}"
        case int():
            return f"{value:,}"
        case _:
            return str(value)


def _dimension(dimension: LoadDimension) -> str:
    return f"{dimension.users} {dimension.behaviour} x {dimension.rate_hz:g}/s, {dimension.arrival}"
