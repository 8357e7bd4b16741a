"""`ratchet doctor`: what is there, what is missing, how to get it."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from campaign.cli.common import JsonOption, RunsOption, print_json
from campaign.doctor import Check, run_checks

_MARKS = {"ok": "[green]ok[/]", "warn": "[yellow]limited[/]", "missing": "[red]missing[/]"}
_EXIT_MISSING = 2


def register(app: typer.Typer) -> None:
    app.command("doctor", epilog="Example: ratchet doctor --json")(doctor)


def doctor(runs: RunsOption, *, as_json: JsonOption = False) -> None:
    """Look at this machine: what a campaign needs, and how to get what is missing."""
    checks = run_checks(runs_dir=runs)
    if as_json:
        print_json({"checks": [asdict(check) for check in checks], "ready": _is_ready(checks)})
    else:
        _show(checks)
    raise typer.Exit(0 if _is_ready(checks) else _EXIT_MISSING)


def _is_ready(checks: tuple[Check, ...]) -> bool:
    return all(check.status != "missing" for check in checks)


def _show(checks: tuple[Check, ...]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for check in checks:
        table.add_row(check.name, _MARKS[check.status], Text(check.found))
        if check.advice:
            table.add_row("", "", Text.assemble(("→ ", "dim"), check.advice))
    console = Console(highlight=False)
    console.print(table)
    console.print("ready" if _is_ready(checks) else "not ready: see what is missing above")
