"""What the commands share: options, and the one JSON object at the end."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from campaign.runs import runs_root

RunsOption = Annotated[
    Path,
    typer.Option(
        "--runs",
        help="Folder of all campaigns; else $RATCHET_RUNS, or ./runs.",
        default_factory=runs_root,
        show_default=False,
        file_okay=False,
        resolve_path=True,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="End with one JSON object on standard output.")
]
NoSandboxOption = Annotated[
    bool,
    typer.Option("--no-sandbox", help="Run the app as a plain process (no bubblewrap here)."),
]
CampaignArgument = Annotated[
    str | None, typer.Argument(metavar="[CAMPAIGN]", help="Its name; the newest when left out.")
]


def split_names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def print_json(content: Any) -> None:
    """One object on standard output; everything else goes to standard error."""
    json.dump(content, sys.stdout, indent=2, default=str, allow_nan=False)
    sys.stdout.write("\n")
    sys.stdout.flush()


def tell(*lines: str) -> None:
    """For people; never on standard output, which may be a program's."""
    for line in lines:
        sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
