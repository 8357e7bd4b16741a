"""`ratchet operator trace`: what the operator's sessions did."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from operators.trace import Trace, TraceError, as_document
from operators.trace.folder import TRACES, SessionFile, find_session, sessions
from operators.trace.lines import EndLine, Line, trace_of, written
from rich.console import Console

from campaign.cli.common import CampaignArgument, JsonOption, RunsOption, print_json
from campaign.cli.trace_view import TraceView, overview, totals
from campaign.errors import HarnessError, NotFoundError
from campaign.run_holder import run_holder
from campaign.runs import RunFolder, find_run

_LOOK_S = 0.3

SessionArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[TICKET[-SESSION]]",
        help="Such as T003, for its last session, or T003-s1. All sessions when left out.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add `trace` to the commands of `ratchet operator`."""
    app.command("trace", epilog="Example: ratchet operator trace my-campaign T003 --follow")(trace)


def trace(
    runs: RunsOption,
    campaign: CampaignArgument = None,
    session: SessionArgument = None,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the session is over.")
    ] = False,
    whole: Annotated[bool, typer.Option("--whole", help="Cut no result short.")] = False,
    as_json: JsonOption = False,
) -> None:
    """The sessions of a campaign, or one of them: what it thought, called and got, at what cost.

    With --follow and --json: one JSON object a line, as it is written.
    """
    run = find_run(runs, campaign)
    folder = run.path / TRACES
    if session is None and not follow:
        _list(folder, as_json=as_json)
        return
    found = _find(folder, session, run)
    if follow:
        _follow(found, TraceView(whole=whole), as_json=as_json, over=_nobody_plays(run))
    elif as_json:
        print_json(as_document(_read(found)))
    else:
        _show(found, TraceView(whole=whole))


def _list(folder: Path, *, as_json: bool) -> None:
    traces = {session.name: _read_or_none(session) for session in sessions(folder)}
    if as_json:
        print_json({"sessions": [_brief(name, found) for name, found in traces.items()]})
    elif traces:
        Console(highlight=False).print(overview(traces))
    else:
        Console(highlight=False).print("[dim]no sessions yet[/]")


def _find(folder: Path, wanted: str | None, run: RunFolder) -> SessionFile:
    """The one that is wanted; the one that was written to last when none is."""
    known = sessions(folder)
    if wanted is None:
        if not known:
            raise NotFoundError(
                f"campaign {run.name} has no sessions yet", hint="there is one with each ticket"
            )
        return max(known, key=lambda session: session.path.stat().st_mtime)
    found = find_session(folder, wanted)
    if found is None:
        names = ", ".join(session.name for session in known) or "none"
        raise NotFoundError(f"there is no session {wanted}", hint=f"there are: {names}")
    return found


def _show(session: SessionFile, view: TraceView) -> None:
    lines = _lines(session)
    console = Console(highlight=False)
    for line in lines:
        console.print(view.show(line))
    console.print(totals(_document(lines)))


def _follow(
    session: SessionFile, view: TraceView, *, as_json: bool, over: Callable[[], bool]
) -> None:
    console = Console(highlight=False)
    seen: list[Line] = []
    for line in _as_written(session, over):
        seen.append(line)
        if as_json:
            sys.stdout.write(written(line).decode())
            sys.stdout.flush()
        else:
            console.print(view.show(line))
    if seen and not as_json:
        console.print(totals(_document(seen)))


def _as_written(session: SessionFile, over: Callable[[], bool]) -> Iterator[Line]:
    """Every line, and new ones until the session is over, or nobody can write any more."""
    seen = 0
    while True:
        is_over = over()
        for line in _lines(session)[seen:]:
            seen += 1
            yield line
            is_over = is_over or isinstance(line, EndLine)
        if is_over:
            return
        time.sleep(_LOOK_S)


def _nobody_plays(run: RunFolder) -> Callable[[], bool]:
    return lambda: run_holder(run.path) is None


def _brief(name: str, found: Trace | None) -> dict[str, Any]:
    if found is None:
        return {"sessionId": name, "readable": False}
    document = as_document(found)
    kept = ("source", "summary", "usage", "startedAt", "endedAt", "complete")
    return {"sessionId": name, "readable": True, **{key: document[key] for key in kept}}


def _read_or_none(session: SessionFile) -> Trace | None:
    try:
        return session.read()
    except TraceError:
        return None


def _read(session: SessionFile) -> Trace:
    try:
        return session.read()
    except TraceError as problem:
        raise HarnessError(str(problem)) from problem


def _lines(session: SessionFile) -> list[Line]:
    try:
        return session.lines()
    except TraceError as problem:
        raise HarnessError(str(problem)) from problem


def _document(lines: list[Line]) -> Trace:
    try:
        return trace_of(lines)
    except TraceError as problem:
        raise HarnessError(str(problem)) from problem
