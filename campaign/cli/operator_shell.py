"""`ratchet operator shell`: a person works on tickets at a prompt."""

from __future__ import annotations

import asyncio
import os
import readline
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias

import typer

from campaign.cli.common import RunsOption, tell
from campaign.cli.operator_common import (
    AgainOption,
    TokenFileOption,
    UrlOption,
    find_member,
    said,
    shown,
)
from campaign.errors import RatchetError, UsageError
from campaign.joining import Member, Ticket, Tool
from campaign.joining.form import blank_form, read_form
from campaign.joining.typed import typed_arguments, usage
from campaign.joining.wallet import state_folder

_HISTORY_LINES = 2000
_WAIT_S = 3600.0

#: over: the session is; kept: whoever sat there has left, and can come back
Leaving: TypeAlias = Literal["over", "kept"]

_NO_EDITOR = "set EDITOR, or type the arguments after the tool's name (`help`)"
_HELP = """\
a line is a tool and its arguments:
  sql select 1                  the rest of the line, when the tool needs just one
  http_request GET /healthz     words in order, and name=value, when it needs several
  deploy                        nothing: a form in $EDITOR, for what needs several lines
  sql {"query": "select 1"}     or JSON
the beginning of a name is enough when no other begins so; Tab completes it
  help [TOOL]   quit or Ctrl-D   Ctrl-C ends a call, not the session (a deployment goes on)
"""


def register(app: typer.Typer) -> None:
    app.command("shell", epilog="Example: ratchet operator shell")(shell)


def shell(
    runs: RunsOption,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    *,
    again: AgainOption = False,
) -> None:
    """Work on tickets at a prompt: one after the other, until the campaign is over."""
    member = find_member(runs, url, token_file, session_only=True)
    if member.has_one_session:
        work(member, None)
        return
    while True:
        tell("waiting for a ticket (Ctrl-C leaves)")
        try:
            waited = asyncio.run(member.take(wait_s=_WAIT_S, again=again))
        except KeyboardInterrupt:
            return
        if waited.state == "over":
            tell("the campaign is over: there will be no more tickets")
            return
        if waited.ticket is not None and work(member, waited.ticket) == "kept":
            tell("the ticket stays yours: `ratchet operator shell --again` goes on with it")
            return


def work(member: Member, ticket: Ticket | None) -> Leaving:
    """One session at the prompt, until it is over or left."""
    tools = asyncio.run(member.tools()) if ticket is None else ticket.tools
    if ticket is not None:
        _print(ticket.briefing)
    tell("`help` says how it is used")
    with _History([tool.name for tool in tools]):
        while True:
            try:
                line = input(f"{member.session}> ").strip()
            except KeyboardInterrupt:
                sys.stdout.write("\n")
                continue
            except EOFError:
                line = "quit"
            if line in {"quit", "exit"}:
                if leaving := _quit(member):
                    return leaving
            elif line and _obey(member, tools, line):
                return "over"


def _obey(member: Member, tools: Sequence[Tool], line: str) -> bool:
    """Do what the line says; whether the session is over."""
    name, _, rest = line.partition(" ")
    try:
        if name == "help":
            _help(tools, rest.strip())
            return False
        tool = _find(tools, name)
        arguments = _arguments(tool, rest)
        if arguments is None:
            return False
    except UsageError as error:
        _complain(error)
        return False
    return _call(member, tool, arguments)


def _call(member: Member, tool: Tool, arguments: dict[str, Any]) -> bool:
    try:
        told = asyncio.run(member.call(tool.name, arguments))
    except KeyboardInterrupt:
        tell(f"{tool.name} is ended; the session goes on")
        return False
    except RatchetError as error:
        _complain(error)
        return not _is_at_work(member)
    if told.is_error:
        tell("the tool says no:")
    _print(f"{told.text}{said(told)}")
    return told.ends_session


def _is_at_work(member: Member) -> bool:
    try:
        asyncio.run(member.session_tools())
    except RatchetError:
        return False
    return True


def _quit(member: Member) -> Leaving | None:
    """What to do with the ticket; None: stay."""
    try:
        asked = "give the ticket back unresolved [g], keep it for later [k], or stay [Enter]? "
        answer = input(asked).strip().lower()
        if answer.startswith("g"):
            asyncio.run(member.release(input("why? ").strip()))
            return "over"
    except (EOFError, KeyboardInterrupt):
        sys.stdout.write("\n")
        return "kept"
    except RatchetError as error:
        _complain(error)
        return "over"
    return "kept" if answer.startswith("k") else None


def _find(tools: Sequence[Tool], name: str) -> Tool:
    exact = [tool for tool in tools if tool.name == name]
    found = exact or [tool for tool in tools if tool.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(tool.name for tool in found or tools)
    problem = f"{name!r} could be several" if found else f"there is no tool {name!r}"
    raise UsageError(problem, hint=f"there are: {names}; or `help`")


def _arguments(tool: Tool, text: str) -> dict[str, Any] | None:
    """None: the form was left empty."""
    if text.strip() or not tool.parameters.get("required") or not sys.stdin.isatty():
        return typed_arguments(tool, text)
    return read_form(tool, _edited(blank_form(tool)))


def _edited(text: str) -> str:
    """What the person makes of it."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    handle, name = tempfile.mkstemp(suffix=".yaml", prefix="ratchet-")
    file = Path(name)
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
        subprocess.run([*editor.split(), name], check=True)
        return file.read_text()
    except (OSError, subprocess.CalledProcessError) as error:
        raise UsageError(f"{editor} failed: {error}", hint=_NO_EDITOR) from error
    finally:
        file.unlink(missing_ok=True)


def _help(tools: Sequence[Tool], name: str) -> None:
    if not name:
        sys.stdout.write(_HELP + "\n".join(f"  {usage(tool)}" for tool in tools) + "\n")
        return
    tool = _find(tools, name)
    _print(f"{usage(tool)}\n{tool.description}")
    for argument, about in tool.parameters.get("properties", {}).items():
        _print(f"  {argument}: {about.get('description') or about.get('type', '')}")


def _print(text: str) -> None:
    sys.stdout.write(f"{shown(text)}\n")
    sys.stdout.flush()


def _complain(error: RatchetError) -> None:
    tell(str(error), *([f"  → {error.hint}"] if error.hint else []))


class _History:
    """Lines typed before, also in earlier sessions, and the tools' names for Tab."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._file = state_folder() / "history"

    def __enter__(self) -> None:
        with suppress(OSError):
            readline.read_history_file(self._file)
        readline.set_history_length(_HISTORY_LINES)
        readline.set_completer(self._complete)
        readline.parse_and_bind("tab: complete")

    def __exit__(self, *_: object) -> None:
        readline.set_completer(None)
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file.touch(mode=0o600)
            readline.write_history_file(self._file)

    def _complete(self, text: str, number: int) -> str | None:
        if readline.get_begidx() > 0:
            return None
        found = [name for name in (*self._names, "help", "quit") if name.startswith(text)]
        return f"{found[number]} " if number < len(found) else None
