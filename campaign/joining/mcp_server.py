"""The tools of a session, and how to get one, as an MCP server."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

import mcp_types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.stdio import stdio_server
from starlette.types import ASGIApp, Receive, Scope, Send

from campaign.errors import RatchetError
from campaign.joining.member import Member, Told, Tool
from campaign.model import said_by_a_person

WAIT = "wait_for_ticket"
RELEASE = "release_ticket"
PATH = "/mcp"

#: so long without a word, and a client is told that it still goes on, seconds
_PROGRESS_S = 5.0
#: below what most clients give a call
_WAIT_S = 45.0
_MAX_WAIT_S = 3600.0

_INSTRUCTIONS = (
    "You are on call for a service. wait_for_ticket gives you the next ticket and says what is "
    "wrong; the other tools work on it; resolve closes it. Then wait for the next one, until you "
    "are told that there will be none."
)
_OWN_TOOLS = (
    Tool(
        name=WAIT,
        description="Wait for the next ticket and take it. Answers with the ticket; or that there "
        "is none yet, and then call it again; or that there will be no more. Only one ticket at a "
        "time is yours: resolve it, or release it, before the next.",
        parameters={
            "type": "object",
            "properties": {
                "timeout_s": {
                    "type": "number",
                    "minimum": 0,
                    "maximum": _MAX_WAIT_S,
                    "default": _WAIT_S,
                    "description": "How long to wait, in seconds",
                }
            },
            "additionalProperties": False,
        },
    ),
    Tool(
        name=RELEASE,
        description="Give the ticket back unresolved, when you cannot do more. It ends the "
        "session; what you deployed stays, and is judged.",
        parameters={
            "type": "object",
            "properties": {"reason": {"type": "string", "description": "Why"}},
            "required": ["reason"],
            "additionalProperties": False,
        },
    ),
)

_T = TypeVar("_T")
_Context = ServerRequestContext[Any, Any]


class SessionServer:
    """One member, whichever transport its client uses, and however many clients there are."""

    def __init__(self, member: Member) -> None:
        self._member = member
        #: names of the tools that clients know of
        self._listed: set[str] = set()
        #: it is ours, but this process does not know it yet: an earlier one took it
        self._has_lost_one = not member.has_one_session
        self.server: Server[Any] = Server(
            "ratchet",
            instructions=_INSTRUCTIONS,
            on_list_tools=self._list,
            on_call_tool=self._call,
        )

    async def serve_stdio(self) -> None:
        """Until the client closes its end."""
        options = self.server.create_initialization_options(NotificationOptions(tools_changed=True))
        async with stdio_server() as (reading, writing):
            await self.server.run(reading, writing, options)

    def http_app(self, *, token: str) -> ASGIApp:
        """Streamable HTTP at `PATH`, for clients that send `Authorization: Bearer <token>`."""
        return _OnlyWith(self.server.streamable_http_app(streamable_http_path=PATH), token=token)

    # -- what clients ask -----------------------------------------------------------------------

    async def _list(self, _context: object, _params: object) -> mcp_types.ListToolsResult:
        own = () if self._member.has_one_session else _OWN_TOOLS
        try:
            theirs = await self._member.tools()
        except RatchetError:
            theirs = ()  # not yet, or not any more: a call says why
        self._listed = {tool.name for tool in theirs}
        return mcp_types.ListToolsResult(tools=[_as_mcp(tool) for tool in (*own, *theirs)])

    async def _call(
        self, context: _Context, params: mcp_types.CallToolRequestParams
    ) -> mcp_types.CallToolResult:
        """What goes wrong reaches the model as an error of the tool, with what to do."""
        arguments = params.arguments or {}
        try:
            return await _with_progress(context, self._dispatch(context, params.name, arguments))
        except RatchetError as error:
            hint = f" ({error.hint})" if error.hint else ""
            return _result(f"{error}{hint}; {WAIT} takes the next ticket", is_error=True)

    async def _dispatch(
        self, context: _Context, name: str, arguments: dict[str, Any]
    ) -> mcp_types.CallToolResult:
        if name == WAIT:
            return await self._wait(context, arguments)
        if name == RELEASE:
            await self._member.release(str(arguments.get("reason", "")))
            return _result(f"given back; {WAIT} takes the next ticket")
        return _told(await self._member.call(name, arguments))

    async def _wait(self, context: _Context, arguments: dict[str, Any]) -> mcp_types.CallToolResult:
        wait_s = arguments.get("timeout_s", _WAIT_S)
        if not isinstance(wait_s, int | float) or not 0 <= wait_s <= _MAX_WAIT_S:
            return _result(f"timeout_s must be between 0 and {_MAX_WAIT_S:.0f}", is_error=True)
        waited = await self._member.take(wait_s=float(wait_s), again=self._has_lost_one)
        self._has_lost_one = False
        if waited.ticket is not None:
            if {tool.name for tool in waited.ticket.tools} != self._listed:
                await context.session.send_tool_list_changed()
            return _result(waited.ticket.briefing)
        if waited.state == "over":
            return _result("The campaign is over: there will be no more tickets. You are done.")
        return _result(f"No ticket yet. Call {WAIT} again.")


class _OnlyWith:
    """An ASGI application behind a bearer token."""

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_right(scope):
            headers = [(b"content-type", b"text/plain"), (b"www-authenticate", b"Bearer")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": b"the token is missing or wrong\n"})
            return
        await self._app(scope, receive, send)

    def _is_right(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
        return len(given) == 1 and hmac.compare_digest(given[0], self._expected)


async def _with_progress(context: _Context, work: Awaitable[_T]) -> _T:
    """Its result. A client that asked for it hears that it goes on; one that cancels ends it."""
    task = asyncio.ensure_future(work)
    passed_s = 0.0
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=_PROGRESS_S)
            if not task.done():
                passed_s += _PROGRESS_S
                await context.session.report_progress(passed_s, message="still at it")
        return task.result()
    finally:
        task.cancel()


def _as_mcp(tool: Tool) -> mcp_types.Tool:
    return mcp_types.Tool(
        name=tool.name, description=tool.description, input_schema=dict(tool.parameters)
    )


def _told(told: Told) -> mcp_types.CallToolResult:
    return _result(told.text, *map(said_by_a_person, told.messages), is_error=told.is_error)


def _result(*texts: str, is_error: bool = False) -> mcp_types.CallToolResult:
    content: Sequence[Any] = [mcp_types.TextContent(text=text) for text in texts]
    return mcp_types.CallToolResult(content=list(content), is_error=is_error)
