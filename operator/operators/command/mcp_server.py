"""A session's tools as an MCP server (streamable HTTP) at a Unix socket that is handed over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mcp_types
import uvicorn
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from starlette.requests import Request

from campaign.model import said_by_a_person
from operators.session import Session
from operators.toolbox.answer import Answer

#: as the agent sees the server: its tools are called after it
SERVER_NAME = "oncall"
PATH = "/mcp"

#: where Claude Code puts the id under which the model made the call
_CALL_ID = "claudecode/toolUseId"
_MAX_REQUEST_BYTES = 8 << 20
_MAX_SESSIONS = 16
_MAX_CONNECTIONS = 32
#: what went wrong is none of the agent's business
_FAILED = Answer(text="the tool failed for a reason that is none of yours", is_error=True)
_LEFT = Answer(text="the agent did not wait for the answer", is_error=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One call that was answered."""

    #: the agent's own id of it; empty: it did not say
    call: str
    tool: str
    arguments: Mapping[str, Any]
    answer: Answer
    duration_s: float


class ToolServer:
    """Serves the tools of one session, and remembers each answer until the trace takes it."""

    def __init__(
        self,
        session: Session,
        *,
        clock: Callable[[], float] = time.monotonic,
        keeps: bool = True,
    ) -> None:
        """`keeps`: answers are remembered; not when the toolbox tells the trace of them."""
        self._session = session
        self._clock = clock
        self._keeps = keeps
        self._done: list[Done] = []
        #: a tool failed for no fault of the agent's: the session is over, and says so
        self.failure: Exception | None = None

    @contextlib.asynccontextmanager
    async def serve(self, listener: socket.socket) -> AsyncIterator[None]:
        """Answer at `listener`, which listens already, while the block lasts; it is closed then."""
        app = self.server().streamable_http_app(
            streamable_http_path=PATH,
            max_request_body_size=_MAX_REQUEST_BYTES,
            session_idle_timeout=None,
            max_sessions=_MAX_SESSIONS,
        )
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="critical",
            access_log=False,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_graceful_shutdown=0,
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="agent-tools")
        try:
            yield
        finally:
            server.should_exit = True
            await serving

    def server(self) -> Server[Any]:
        """The MCP server itself, over whichever transport."""
        return Server(SERVER_NAME, on_list_tools=self._list, on_call_tool=self._call)

    def take(self, call: str, tool: str, arguments: Mapping[str, Any]) -> Done | None:
        """The answer to this call, once: by its id, else the oldest such call without one."""
        for number, done in enumerate(self._done):
            if done.call == call if done.call else _same(done, tool, arguments):
                return self._done.pop(number)
        return None

    def untold(self) -> Sequence[Done]:
        """All that was not taken, the oldest first; it is taken then."""
        untold, self._done = self._done, []
        return untold

    async def _list(self, _context: object, _params: object) -> mcp_types.ListToolsResult:
        return mcp_types.ListToolsResult(
            tools=[
                mcp_types.Tool(
                    name=spec.name,
                    description=spec.description,
                    input_schema=dict(spec.parameters),
                )
                for spec in self._session.tools.specs
            ]
        )

    async def _call(
        self,
        context: ServerRequestContext[Any, Any],
        params: mcp_types.CallToolRequestParams,
    ) -> mcp_types.CallToolResult:
        answer = await self._answer(params)
        # A message that was handed to a caller who has left would be heard by nobody.
        said = () if await _has_left(context) else await self._session.messages()
        for text in said:
            self._session.trace.user_message(text)
        return _result(answer, *map(said_by_a_person, said))

    async def _answer(self, params: mcp_types.CallToolRequestParams) -> Answer:
        """What the tool says; remembered however the call ends."""
        arguments, call = params.arguments or {}, _call_id(params.meta)
        began = self._clock()
        answer = _LEFT
        try:
            answer = await self._session.tools.call(params.name, arguments, call=call)
        except Exception as problem:  # noqa: BLE001 - raised again by whoever runs the session
            self.failure = self.failure or problem
            answer = _FAILED
        finally:
            if self._keeps:
                duration_s = self._clock() - began
                self._done.append(
                    Done(
                        call=call,
                        tool=params.name,
                        arguments=arguments,
                        answer=answer,
                        duration_s=duration_s,
                    )
                )
        return answer


class _Server(uvicorn.Server):
    """Ctrl-C and SIGTERM stay with whoever runs the session."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _result(answer: Answer, *also: str) -> mcp_types.CallToolResult:
    texts = (answer.text, *also)
    return mcp_types.CallToolResult(
        content=[mcp_types.TextContent(text=text) for text in texts], is_error=answer.is_error
    )


async def _has_left(context: ServerRequestContext[Any, Any]) -> bool:
    """Whoever called is gone, as far as the transport can tell."""
    request = context.request
    return isinstance(request, Request) and await request.is_disconnected()


def _call_id(meta: Any) -> str:
    found = meta.get(_CALL_ID) if isinstance(meta, dict) else None
    return found if isinstance(found, str) else ""


def _same(done: Done, tool: str, arguments: Mapping[str, Any]) -> bool:
    return done.tool == tool and _canonical(done.arguments) == _canonical(arguments)


def _canonical(arguments: Mapping[str, Any]) -> str:
    return json.dumps(arguments, sort_keys=True, default=str)
