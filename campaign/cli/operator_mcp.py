"""`ratchet operator mcp`: the tools for any MCP client, over stdio or streamable HTTP."""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated

import typer

from campaign.cli.common import RunsOption, tell
from campaign.cli.operator_common import (
    SEAT_TOKEN,
    TokenFileOption,
    UrlOption,
    find_member,
    read_token,
)

_LOOPBACK = "127.0.0.1"


def register(app: typer.Typer) -> None:
    app.command("mcp", epilog="Example: claude mcp add ratchet -- ratchet operator mcp")(mcp)


def mcp(
    runs: RunsOption,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    http: Annotated[
        int | None,
        typer.Option("--http", min=1, max=65535, help="Serve streamable HTTP on 127.0.0.1 here."),
    ] = None,
) -> None:
    """Serve the tools of tickets, and `wait_for_ticket`, to an MCP client.

    Over stdio, unless --http says otherwise. A client over HTTP sends the seat token as its
    bearer token; without one, a token is made up and shown. With RATCHET_SESSION_TOKEN it serves
    that one session.
    """
    # Half a second that no other command should take.
    import uvicorn  # noqa: PLC0415

    from campaign.joining.mcp_server import PATH, SessionServer  # noqa: PLC0415

    server = SessionServer(find_member(runs, url, token_file, session_only=True))
    if http is None:
        asyncio.run(server.serve_stdio())
        return
    token = read_token(token_file)
    if not token:
        token = secrets.token_urlsafe(24)
        tell(f"clients need this bearer token: {token}")
    else:
        tell(f"clients need the seat token (${SEAT_TOKEN}) as their bearer token")
    tell(f"MCP over streamable HTTP: http://{_LOOPBACK}:{http}{PATH}")
    config = uvicorn.Config(
        server.http_app(token=token),
        host=_LOOPBACK,
        port=http,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run()
