"""`ratchet operator sessions`, `watch`, `message`, `take-over`, `approve`, `invite`.

For whoever plays the campaign: they find its process by its folder.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated, Any

import typer
from operators.trace.lines import read_lines
from rich.console import Console
from rich.table import Table
from rich.text import Text

from campaign.cli.common import JsonOption, RunsOption, print_json, tell
from campaign.cli.operator_common import SESSION_TOKEN, URL, Owner, find_owner
from campaign.cli.operator_shell import work
from campaign.cli.plain import plain
from campaign.cli.trace_view import TraceView
from campaign.errors import BusyError, NotFoundError
from campaign.joining import Member, read_ticket
from campaign.listening import way_in
from campaign.seats.joining import invitation

CampaignOption = Annotated[
    str | None, typer.Option("--campaign", help="Its name; else the one that is being played.")
]
SessionArgument = Annotated[
    str | None,
    typer.Argument(metavar="[SESSION]", help="Such as T003-s1; the one at work when left out."),
]
#: how long whoever is at work may take to leave, seconds
_HAND_OVER_S = 120.0
_AT_WORK = frozenset({"operator", "waiting", "taken"})


def register(app: typer.Typer) -> None:
    example = "Example: ratchet operator"
    app.command("sessions", epilog=f"{example} sessions --json")(sessions)
    app.command("watch", epilog=f"{example} watch T003-s1")(watch)
    app.command("message", epilog=f"{example} message 'look at the locks, too'")(message)
    app.command("take-over", epilog=f"{example} take-over T003-s1")(take_over)
    app.command("approve", epilog=f"{example} approve T003-s1-a1 --refuse --reason 'not now'")(
        approve
    )
    app.command("invite", epilog=f"{example} invite")(invite)


def sessions(
    runs: RunsOption, campaign: CampaignOption = None, *, as_json: JsonOption = False
) -> None:
    """The sessions of the campaign that is being played, and who is at work."""
    told = _ask(find_owner(runs, campaign), "GET", "/api/sessions")
    if as_json:
        print_json(told)
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("session", "operator", "state", "calls from outside", "approvals"):
        table.add_column(column)
    for one in told["sessions"]:
        waiting = str(one["approvals"] or "-")
        row = (one["session"], plain(one["operator"]), one["state"], str(one["calls"]), waiting)
        table.add_row(*row)
    Console(highlight=False).print(table)


def watch(
    runs: RunsOption,
    session: SessionArgument = None,
    campaign: CampaignOption = None,
    *,
    whole: Annotated[bool, typer.Option("--whole", help="Cut no result short.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, as it is written.")
    ] = False,
) -> None:
    """Follow a session as it happens, from its beginning to its end."""
    owner = find_owner(runs, campaign)
    view = None if as_json else TraceView(whole=whole)
    asyncio.run(_watch(owner, session or _at_work(owner), view))


async def _watch(owner: Owner, session: str, view: TraceView | None) -> None:
    console = Console(highlight=False)
    path = f"/api/sessions/{session}/trace"
    async for data in owner.door.follow(path, token=owner.token):
        if view is None:
            sys.stdout.write(f"{data}\n")
            sys.stdout.flush()
            continue
        for line in read_lines(f"{data}\n".encode(), name=session):
            console.print(view.show(line))


def message(
    runs: RunsOption,
    text: Annotated[str, typer.Argument(help="What the operator is to know.")],
    session: Annotated[str | None, typer.Option("--session", help="Else the one at work.")] = None,
    campaign: CampaignOption = None,
) -> None:
    """Say something to whoever works on a ticket; it is put on record."""
    owner = find_owner(runs, campaign)
    session = session or _at_work(owner)
    _ask(owner, "POST", f"/api/sessions/{session}/message", {"text": text})
    tell(f"said to {session}; it is heard before its next step")


def take_over(
    runs: RunsOption,
    session: SessionArgument = None,
    campaign: CampaignOption = None,
    *,
    token: Annotated[
        bool, typer.Option("--token", help="Print how others go on with it; open no prompt.")
    ] = False,
) -> None:
    """Take a session from whoever is at work, and go on with it yourself.

    The ticket, its budget, its trace and its tools stay the same; the record says that a person
    took over.
    """
    owner = find_owner(runs, campaign)
    session = session or _at_work(owner)
    told = _ask(owner, "POST", f"/api/sessions/{session}/take-over", {}, timeout_s=_HAND_OVER_S)
    if token:
        way = way_in(owner.door.url)
        url = owner.door.url if way is None else way.url
        where = f"{URL}={url} " if url else ""
        sys.stdout.write(f"export {where}{SESSION_TOKEN}={told['token']}\n")
        return
    work(Member(owner.door, session_token=str(told["token"])), read_ticket(told))


def approve(
    runs: RunsOption,
    approval: Annotated[
        str | None, typer.Argument(metavar="[APPROVAL]", help="Without one, those that wait.")
    ] = None,
    campaign: CampaignOption = None,
    reason: Annotated[str, typer.Option("--reason", help="Told to the operator.")] = "",
    *,
    refuse: Annotated[bool, typer.Option("--refuse", help="The call is not made.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Let a tool's call that waits for approval go on, or refuse it."""
    owner = find_owner(runs, campaign)
    if approval is None:
        _show_waiting(_ask(owner, "GET", "/api/approvals")["approvals"], as_json=as_json)
        return
    body = {"granted": not refuse, "reason": reason}
    told = _ask(owner, "POST", f"/api/approvals/{approval}", body)
    if as_json:
        print_json(told)
    else:
        tell(f"{approval} is {'refused' if refuse else 'granted'}")


def invite(runs: RunsOption, campaign: CampaignOption = None) -> None:
    """Make a new seat token, and say how to join. Whoever uses it first has the seat from then."""
    owner = find_owner(runs, campaign)
    told = _ask(owner, "POST", "/api/seat/invite", {})
    sys.stdout.write("\n".join(invitation(owner.door.url, str(told["token"]))) + "\n")


def _show_waiting(waiting: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({"approvals": waiting})
        return
    console = Console(highlight=False)
    for call in waiting:
        head = Text.assemble((call["approval"], "bold"), f"  {call['tool']}")
        console.print(head)
        console.print(Text(plain(json.dumps(call["arguments"], indent=2))))
    if not waiting:
        console.print("no call waits for approval")


def _at_work(owner: Owner) -> str:
    """Raises BusyError when nobody is."""
    told = _ask(owner, "GET", "/api/sessions")["sessions"]
    for one in reversed(told):
        if one["state"] in _AT_WORK:
            return str(one["session"])
    if told:
        raise BusyError("no session is at work now", hint="see `ratchet operator sessions`")
    raise NotFoundError("there is no session yet", hint="there is one with each ticket")


def _ask(
    owner: Owner, method: str, path: str, body: Any = None, *, timeout_s: float = 30.0
) -> dict[str, Any]:
    return asyncio.run(
        owner.door.ask(method, path, token=owner.token, body=body, timeout_s=timeout_s)
    )
