"""`ratchet operator wait`, `take` and `release`: tickets for an agent that has only a shell."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated, Any, NoReturn

import typer

from campaign.cli.common import JsonOption, RunsOption, print_json, tell
from campaign.cli.operator_common import (
    AgainOption,
    TokenFileOption,
    UrlOption,
    find_member,
    shown,
)
from campaign.joining import Member, Ticket, Waited

EXIT_TICKET = 0
EXIT_OVER = 1
#: as sysexits.h says of what may go well later
EXIT_NOTHING_YET = 75

TimeoutOption = Annotated[
    float | None,
    typer.Option(min=0, help="Seconds; else until there is one, or the campaign is over."),
]
_FOREVER_S = 10 * 365 * 86400.0


def register(app: typer.Typer) -> None:
    app.command("wait", epilog="Example: while ratchet operator wait; do ...; done")(wait)
    app.command("take", epilog="Example: ratchet operator take --again")(take)
    app.command("release", epilog="Example: ratchet operator release 'out of ideas'")(release)


def wait(
    runs: RunsOption,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    timeout: TimeoutOption = None,
    *,
    again: AgainOption = False,
    as_json: JsonOption = False,
) -> None:
    """Wait for the next ticket, take it, and show it.

    Exit codes: 0 it is yours, 1 the campaign is over, 75 none within --timeout, 2 wrong use, 3 the
    harness failed.
    """
    member = find_member(runs, url, token_file)
    wait_s = _FOREVER_S if timeout is None else timeout
    _end(asyncio.run(member.take(wait_s=wait_s, again=again)), as_json=as_json)


def take(
    runs: RunsOption,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    *,
    again: AgainOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take the ticket that waits now, if one does; exit codes as of `wait`."""
    member = find_member(runs, url, token_file)
    _end(asyncio.run(member.take(wait_s=0, again=again)), as_json=as_json)


def release(
    runs: RunsOption,
    reason: Annotated[str, typer.Argument(help="Why; it is put on record.")] = "",
    url: UrlOption = None,
) -> None:
    """Give the ticket back unresolved. That ends the session, and the trial is judged."""
    member: Member = find_member(runs, url, None, session_only=True)
    asyncio.run(member.release(reason))
    tell(f"session {member.session} is given back")


def _end(waited: Waited, *, as_json: bool) -> NoReturn:
    if as_json:
        print_json({"state": waited.state, **_as_json(waited.ticket)})
    elif waited.ticket is not None:
        sys.stdout.write(f"{shown(waited.ticket.briefing)}\n")
        tell(
            f"session {waited.ticket.session}: its tools are `ratchet operator tools`,",
            "each called as `ratchet operator tools NAME --arg name=value` or `--json '{...}'`;",
            "`resolve` ends it, then `ratchet operator wait` takes the next",
        )
    elif waited.state == "over":
        tell("the campaign is over: there will be no more tickets")
    else:
        tell("no ticket yet; ask again")
    codes = {"ticket": EXIT_TICKET, "over": EXIT_OVER, "waiting": EXIT_NOTHING_YET}
    raise typer.Exit(codes[waited.state])


def _as_json(ticket: Ticket | None) -> dict[str, Any]:
    if ticket is None:
        return {}
    return {
        "session": ticket.session,
        "role": ticket.role,
        "prior": ticket.prior,
        "ticket": ticket.text,
        "tools": [tool.name for tool in ticket.tools],
    }
