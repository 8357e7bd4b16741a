"""`ratchet profiles page`: docs/profiles.md, from what was proven."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from campaign.cli.common import RunsOption, tell
from campaign.errors import NotFoundError, UsageError
from campaign.orders import read_catalogue
from campaign.verification import EVIDENCE_FILE
from campaign.verification.document import profiles_page


def register(app: typer.Typer) -> None:
    app.command("page", epilog="Example: ratchet profiles page --into docs/profiles.md")(page)


def page(
    runs: RunsOption,
    evidence: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[EVIDENCE]...",
            help="Written by `ratchet profiles verify`; the newest when left out. Of several, the "
            "last one that has a profile counts.",
            dir_okay=False,
        ),
    ] = None,
    target: Annotated[str | None, typer.Option("--target", help="The target app.")] = None,
    into: Annotated[
        Path, typer.Option("--into", metavar="FILE", dir_okay=False, help="What to write.")
    ] = Path("docs/profiles.md"),
) -> None:
    """Write the page that says what each profile is, and what was measured of it."""
    catalogue = read_catalogue(target)
    files = evidence or [_newest(runs)]
    content = [_read(file, catalogue.target.name) for file in files]
    into.write_text(profiles_page(catalogue, content), encoding="utf-8")
    tell(f"written: {into}, from {', '.join(map(str, files))}")


def _newest(runs: Path) -> Path:
    found = sorted(runs.glob(f"verify-*/{EVIDENCE_FILE}"))
    if not found:
        raise NotFoundError(
            f"there is no evidence in {runs}", hint="gather some with `ratchet profiles verify`"
        )
    return found[-1]


def _read(file: Path, target: str) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(f"{file} does not exist") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    if not isinstance(content, dict) or content.get("target") != target:
        raise UsageError(
            f"{file} is no evidence about {target}", hint="name a file of `ratchet profiles verify`"
        )
    return content
