"""`ratchet operator`: work on tickets from outside, and look after whoever does."""

from __future__ import annotations

import typer

from campaign.cli import (
    operator_mcp,
    operator_people,
    operator_price,
    operator_shell,
    operator_tools,
    operator_trace,
    operator_wait,
)

app = typer.Typer(
    no_args_is_help=True,
    help="Work on tickets from outside (a person, any agent, any MCP client), and watch, talk to, "
    "take over or approve what another operator does.",
)
operator_wait.register(app)
operator_tools.register(app)
operator_shell.register(app)
operator_mcp.register(app)
operator_people.register(app)
operator_trace.register(app)
operator_price.register(app)
