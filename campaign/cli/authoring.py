"""`ratchet profiles schema` and `new`: for those who write profiles of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from operators.trace import trace_schema_text

from campaign.cli.common import tell
from campaign.errors import UsageError
from campaign.orders import find_target
from campaign.webhook import webhook_schema_text
from chaos_profiles.json_schema import SCHEMAS, schema_text, write_schemas
from chaos_profiles.scaffold import Scaffold, ScaffoldError

#: what no person writes, but programs read
_OTHERS = {"trace": trace_schema_text, "webhook": webhook_schema_text}
_NAMES = sorted((*SCHEMAS, *_OTHERS))


def register(app: typer.Typer) -> None:
    example = "Example: ratchet profiles"
    app.command("new", epilog=f"{example} new slow_export --into my_profiles")(new)
    app.command("schema", epilog=f"{example} schema > profile.schema.json")(schema)


def schema(
    name: Annotated[str, typer.Argument(help=f"Of which file: {', '.join(_NAMES)}.")] = "profile",
    into: Annotated[
        Path | None,
        typer.Option("--into", file_okay=False, help="Write all of them to this folder instead."),
    ] = None,
) -> None:
    """The JSON Schema of a file that you write, for your editor, or of a trace or a notice."""
    if name not in _NAMES:
        raise UsageError(f"there is no schema {name}", hint=f"there are: {', '.join(_NAMES)}")
    if into is None:
        sys.stdout.write(_OTHERS[name]() if name in _OTHERS else schema_text(name))
        return
    for file in (*write_schemas(into), *_write_others(into)):
        tell(str(file))


def _write_others(folder: Path) -> Iterator[Path]:
    for name, text in _OTHERS.items():
        file = folder / f"{name}.schema.json"
        file.write_text(text(), encoding="utf-8")
        yield file


def new(
    name: Annotated[str, typer.Argument(help="Of the profile, such as slow_export.")],
    target: Annotated[str | None, typer.Option("--target", help="The target app.")] = None,
    into: Annotated[
        Path,
        typer.Option(
            "--into", file_okay=False, resolve_path=True, help="Folder of your own profiles."
        ),
    ] = Path("profiles"),
) -> None:
    """Make a profile's folder, with a commented profile.yaml to fill in."""
    try:
        folder = Scaffold(name=name, target=find_target(target, into), root=into).write()
    except ScaffoldError as error:
        raise UsageError(str(error)) from error
    tell(
        f"{folder}: fill in profile.yaml, make fix.patch",
        f"  check it  ratchet --profiles-dir {into} trial {name} --dry-run",
        f"  prove it  ratchet --profiles-dir {into} profiles verify --profile {name}",
    )
