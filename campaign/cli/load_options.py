"""The options of every command that plays a campaign in this process: who offers the load."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

import typer

from campaign.errors import UsageError
from campaign.stack import LoadDivision

#: what workers on other hosts must know (`loadgen.options` reads the same)
TOKEN_VARIABLE = "RATCHET_LOAD_TOKEN"  # noqa: S105 - a variable's name

_PANEL = "Who offers the load"
_MOST = 100
_PORTS = range(1, 65_536)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadArguments:
    """As given on the command line; None: not given."""

    load_workers: Annotated[
        int | None,
        typer.Option(
            "--load-workers",
            min=0,
            max=_MOST,
            help="Divide the load among so many processes; else one offers all of it.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    load_others: Annotated[
        int | None,
        typer.Option(
            "--load-others",
            min=0,
            max=_MOST,
            help="Wait for so many on other hosts besides (docs/load.md has their command).",
            rich_help_panel=_PANEL,
        ),
    ] = None
    load_listen: Annotated[
        str | None,
        typer.Option(
            "--load-listen",
            metavar="HOST:PORT",
            help=f"Where they find us; with ${TOKEN_VARIABLE}, which they must know.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    app_port: Annotated[
        int | None,
        typer.Option(
            "--app-port",
            min=_PORTS.start,
            max=_PORTS.stop - 1,
            help="The app's port on 127.0.0.1, for a relay to it; else any that is free.",
            rich_help_panel=_PANEL,
        ),
    ] = None

    @property
    def is_given(self) -> bool:
        """Whether it is another campaign than a daemon would play."""
        return any((self.load_workers, self.load_others, self.load_listen, self.app_port))

    def require_usable(self) -> None:
        """Raises UsageError when it does not fit together; before anything is made."""
        self.division  # noqa: B018 - raises

    @property
    def division(self) -> LoadDivision:
        """Raises UsageError when it does not fit together."""
        workers, others = self.load_workers or 0, self.load_others or 0
        if self.load_listen is None:
            if others:
                raise UsageError(
                    "--load-others: where would they find us?",
                    hint="say it with --load-listen HOST:PORT",
                )
            return LoadDivision(workers=workers)
        if not others:
            raise UsageError("--load-listen is for --load-others, and there are none")
        token = os.environ.get(TOKEN_VARIABLE)
        if not token:
            raise UsageError(
                f"--load-others needs {TOKEN_VARIABLE}: they would not be let in",
                hint=f"export {TOKEN_VARIABLE}=$(openssl rand -hex 24), here and there",
            )
        host, port = _address(self.load_listen)
        return LoadDivision(workers=workers, others=others, host=host, port=port, token=token)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) not in _PORTS:
        raise UsageError(f"--load-listen {text}: not HOST:PORT")
    return host.strip("[]"), int(port)
