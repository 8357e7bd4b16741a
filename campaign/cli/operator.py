"""`ratchet operator`: work on tickets from outside, and look after whoever does."""

from __future__ import annotations

import typer

from campaign.cli.lazy import lazy_group

_COMMANDS = {
    "campaign.cli.operator_wait": ("wait", "take", "release"),
    "campaign.cli.operator_tools": ("tools",),
    "campaign.cli.operator_shell": ("shell",),
    "campaign.cli.operator_mcp": ("mcp",),
    "campaign.cli.operator_people": (
        "sessions",
        "watch",
        "message",
        "take-over",
        "approve",
        "invite",
    ),
    "campaign.cli.operator_trace": ("trace",),
    "campaign.cli.operator_price": ("price",),
}

_app = typer.Typer(
    cls=lazy_group(_COMMANDS),
    no_args_is_help=True,
    help="Work on tickets from outside (a person, any agent, any MCP client), and watch, talk to, "
    "take over or approve what another operator does.",
)


def register(app: typer.Typer) -> None:
    app.add_typer(_app, name="operator")
