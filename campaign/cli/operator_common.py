"""What the commands of `ratchet operator` share: where the campaign is, and with what secret."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from campaign.addresses import read_address
from campaign.cli.plain import plain
from campaign.errors import BusyError, UsageError
from campaign.joining import Door, Member, Told
from campaign.model import said_by_a_person
from campaign.run_holder import run_holder
from campaign.runs import api_file, find_run, list_runs

URL = "RATCHET_URL"
SEAT_TOKEN = "RATCHET_SEAT_TOKEN"  # noqa: S105 - the name of a variable
SESSION_TOKEN = "RATCHET_SESSION_TOKEN"  # noqa: S105 - the same

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar=URL,
        help="Of the process that plays the campaign; else the one that plays in --runs.",
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help=f"A file with the seat token; else ${SEAT_TOKEN}. Never an argument: all can see it.",
        dir_okay=False,
        exists=True,
    ),
]
AgainOption = Annotated[
    bool,
    typer.Option("--again", help="Also a ticket that is taken: its client is lost, or was ours."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The way of whoever plays the campaign, or may read its folder, to its process."""

    door: Door
    token: str = field(repr=False)


def find_owner(runs: Path, campaign: str | None) -> Owner:
    """Of the campaign named, or of the one that is being played.

    Raises:
        BusyError: it is not being played, or the folder is somebody else's.
    """
    if campaign is not None:
        candidates = [find_run(runs, campaign)]
    else:
        candidates = [run for run in list_runs(runs) if run_holder(run.path) is not None]
    for run in candidates:
        if (address := read_address(api_file(run))) is not None:
            return Owner(door=Door(url=address.url), token=address.token)
    raise BusyError(
        f"no campaign in {runs} is being played, or it is another user's",
        hint=f"say where with --runs, or set {URL} and {SEAT_TOKEN} as `ratchet run` printed them",
    )


def find_member(
    runs: Path, url: str | None, token_file: Path | None, *, session_only: bool = False
) -> Member:
    """By what the environment says; else as the owner of the campaign that is played in `runs`.

    `session_only`: the token of a session in the environment counts more than the seat's.
    """
    session_token = os.environ.get(SESSION_TOKEN, "") if session_only else ""
    seat_token = read_token(token_file)
    if url is not None:
        door = Door(url=checked_url(url))
        return Member(door, seat_token=seat_token, session_token=session_token)
    owner = find_owner(runs, None)
    return Member(
        owner.door,
        seat_token=seat_token,
        owner_token=owner.token,
        session_token=session_token,
    )


def read_token(token_file: Path | None) -> str:
    """The seat token; empty for none."""
    if token_file is None:
        return os.environ.get(SEAT_TOKEN, "").strip()
    return token_file.read_text().strip()


def shown(text: str) -> str:
    """As it is for a program; for a terminal without what would move its cursor."""
    return plain(text) if sys.stdout.isatty() else text


def said(told: Told) -> str:
    """What people have said to the session, as lines below an answer."""
    return "".join(f"\n{said_by_a_person(text)}\n" for text in told.messages)


def checked_url(text: str) -> str:
    """To which a secret may be sent: nobody on the way can read it.

    Raises:
        UsageError: it is none, or somebody could.
    """
    try:
        url = urlsplit(text)
        host, known = url.hostname or "", url.scheme in {"http", "https"} and url.port != 0
    except ValueError:
        host, known = "", False
    if not (known and host):
        raise UsageError(f"{text!r} is no URL", hint="such as http://127.0.0.1:8390")
    if url.username is not None or url.path.strip("/") or url.query or url.fragment:
        raise UsageError(
            f"{url.scheme}://{host}: the campaign's address is a host and a port, no more"
        )
    if url.scheme == "http" and not _is_loopback(host):
        raise UsageError(
            f"{text} is another machine: tokens would cross the network for everybody to read",
            hint="reach it by a tunnel, such as ssh -L 8390:127.0.0.1:PORT, or by https",
        )
    return text.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
