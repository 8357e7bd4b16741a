"""`ratchet operator tools`: each tool of the session as one command."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from campaign.cli.common import RunsOption, print_json
from campaign.cli.exit_codes import EXIT_STOPPED
from campaign.cli.operator_common import TokenFileOption, UrlOption, find_member, said, shown
from campaign.errors import UsageError
from campaign.joining import Member, Told, Tool
from campaign.joining.typed import json_arguments, named_arguments, usage

EXIT_DONE = 0
EXIT_TOOL = 1

_STANDARD_INPUT = "-"


def register(app: typer.Typer) -> None:
    app.command(
        "tools", epilog="""Example: ratchet operator tools sql --json '{"query": "select 1"}'"""
    )(tools)


def tools(
    runs: RunsOption,
    name: Annotated[
        str | None, typer.Argument(help="The tool; without one, all are listed.")
    ] = None,
    arguments: Annotated[
        str | None, typer.Option("--json", help="Its arguments as a JSON object; - reads them.")
    ] = None,
    arg: Annotated[
        list[str] | None, typer.Option("--arg", help="name=value; again for each argument.")
    ] = None,
    arg_file: Annotated[
        list[str] | None,
        typer.Option(
            "--arg-file", help="name=FILE: the value is what the file holds (- reads it)."
        ),
    ] = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    *,
    raw: Annotated[
        bool, typer.Option("--raw", help="Answer, or list, as one JSON object.")
    ] = False,
) -> None:
    """Call a tool of the session that was taken last (or of RATCHET_SESSION_TOKEN), or list them.

    Exit codes: 0 done, 1 the tool says no, 2 wrong use (also when the session is over), 3 the
    harness failed. A command that fails in the shell tool is no error of the tool.
    """
    member = find_member(runs, url, token_file, session_only=True)
    if name is None:
        _list(asyncio.run(member.tools()), raw=raw)
        return
    try:
        told = asyncio.run(_call(member, name, arguments, arg or (), arg_file or ()))
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_STOPPED) from None
    _show(told, raw=raw)
    raise typer.Exit(EXIT_TOOL if told.is_error else EXIT_DONE)


async def _call(
    member: Member, name: str, text: str | None, pairs: Sequence[str], files: Sequence[str]
) -> Told:
    _ = member.session  # a ticket first: else there is nothing to ask
    tool = _find(await member.tools(), name)
    given: dict[str, Any] = {}
    if text is not None:
        given = json_arguments(tool, _read(text) if text == _STANDARD_INPUT else text)
    given |= named_arguments(tool, pairs)
    given |= named_arguments(tool, [_with_content(pair) for pair in files])
    return await member.call(name, given)


def _find(known: Sequence[Tool], name: str) -> Tool:
    for tool in known:
        if tool.name == name:
            return tool
    names = ", ".join(tool.name for tool in known)
    raise UsageError(f"there is no tool {name}", hint=f"there are: {names}")


def _with_content(pair: str) -> str:
    name, _, file = pair.partition("=")
    return f"{name}={_read(file)}"


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == _STANDARD_INPUT else Path(file).read_text()
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error


def _list(known: Sequence[Tool], *, raw: bool) -> None:
    if raw:
        print_json({"tools": [asdict(tool) for tool in known]})
        return
    for tool in known:
        schema = json.dumps(tool.parameters, sort_keys=True)
        sys.stdout.write(f"{usage(tool)}\n{tool.description}\narguments: {schema}\n\n")


def _show(told: Told, *, raw: bool) -> None:
    if raw:
        print_json(asdict(told))
        return
    sys.stdout.write(f"{shown(told.text)}\n{shown(said(told))}")
