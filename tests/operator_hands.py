"""The on-call model's decisions, carried out by whoever has hands: an MCP client, or a shell."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.acceptance_kit import RATCHET
from tests.fake_messages.model import Model, Reply, Text, ToolUse
from tests.fake_messages.oncall import OnCall
from tests.fake_messages.oncall.conversation import Result

#: no on-call engineer by rules needs more
_TURNS = 80
#: a campaign starts, plays a trial and audits it meanwhile
_PATIENCE_S = 600.0


class Hands(Protocol):
    """A way to the tools of a session."""

    async def ticket(self) -> str | None:
        """Waits for the next one and takes it; None: there will be no more."""

    async def tools(self) -> Sequence[str]:
        """Their names."""

    async def use(self, tool: str, arguments: Mapping[str, Any]) -> Result: ...


@dataclass(kw_only=True)
class Worked:
    """What was done on the tickets that were taken."""

    tickets: list[str] = field(default_factory=list)
    #: names of the tools that were called
    calls: list[str] = field(default_factory=list)
    last_words: list[str] = field(default_factory=list)


async def work(hands: Hands, model: Model | None = None) -> Worked:
    """Ticket after ticket, until there are no more."""
    worked = Worked()
    while (ticket := await hands.ticket()) is not None:
        worked.tickets.append(ticket)
        worked.last_words.append(await _work_on(hands, ticket, model or OnCall(), worked))
    return worked


async def _work_on(hands: Hands, ticket: str, model: Model, worked: Worked) -> str:
    tools = [{"name": name} for name in await hands.tools()]
    messages: list[dict[str, Any]] = [{"role": "user", "content": ticket}]
    for turn in range(_TURNS):
        said = model.answer({"tools": tools, "messages": messages})
        assert isinstance(said, Reply)
        uses = [block for block in said.content if isinstance(block, ToolUse)]
        if not uses:
            return " ".join(block.text for block in said.content if isinstance(block, Text))
        worked.calls += [use.name for use in uses]
        results = await asyncio.gather(*(hands.use(use.name, _object(use)) for use in uses))
        ids = [f"call-{turn}-{number}" for number in range(len(uses))]
        messages += [
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": name, "name": use.name, "input": _object(use)}
                    for name, use in zip(ids, uses, strict=True)
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": name,
                        "content": result.text,
                        "is_error": result.is_error,
                    }
                    for name, result in zip(ids, results, strict=True)
                ],
            },
        ]
    raise AssertionError("it never stops")


def _object(use: ToolUse) -> dict[str, Any]:
    assert isinstance(use.input, Mapping)
    return dict(use.input)


# -- an MCP client ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class McpHands:
    """A client of the `mcp` package; it also keeps to what the server says of waiting."""

    client: Client

    async def ticket(self) -> str | None:
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                result = await self._call("wait_for_ticket", {})
                assert not result.is_error, result.text
                if result.text.startswith("The campaign is over"):
                    return None
                if not result.text.startswith("No ticket yet"):
                    return result.text

    async def tools(self) -> Sequence[str]:
        return [tool.name for tool in (await self.client.list_tools()).tools]

    async def use(self, tool: str, arguments: Mapping[str, Any]) -> Result:
        return await self._call(tool, arguments)

    async def _call(self, tool: str, arguments: Mapping[str, Any]) -> Result:
        answer = await self.client.call_tool(tool, dict(arguments))
        parts = [getattr(part, "text", "") for part in answer.content]
        return Result(text="\n".join(parts), is_error=bool(answer.is_error))


@asynccontextmanager
async def over_stdio(env: Mapping[str, str]) -> AsyncIterator[McpHands]:
    """The client starts the server."""
    server = StdioServerParameters(command=str(RATCHET), args=["operator", "mcp"], env=dict(env))
    async with Client(stdio_client(server)) as client:
        yield McpHands(client=client)


@asynccontextmanager
async def over_http(env: Mapping[str, str]) -> AsyncIterator[McpHands]:
    """The server is there already; clients have the seat token as their bearer token."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = await asyncio.create_subprocess_exec(
        RATCHET, "operator", "mcp", "--http", str(port), env=dict(env)
    )
    headers = {"Authorization": f"Bearer {env['RATCHET_SEAT_TOKEN']}"}
    try:
        await _answering(server, port)
        async with (
            httpx2.AsyncClient(headers=headers, timeout=_PATIENCE_S) as http,
            Client(
                streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)
            ) as client,
        ):
            yield McpHands(client=client)
    finally:
        if server.returncode is None:
            server.terminate()
        await server.wait()


async def _answering(server: asyncio.subprocess.Process, port: int) -> None:
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert server.returncode is None, "the MCP server has ended"
        await asyncio.sleep(0.05)


# -- a shell ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ShellHands:
    """Commands, their standard input and output, and their exit codes; nothing else."""

    env: Mapping[str, str]
    folder: Path
    #: two commands at once would be two on the same wallet, and a shell has them one by one
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ticket(self) -> str | None:
        async with asyncio.timeout(_PATIENCE_S):
            ended = await self._run("wait")
        assert ended.code in {0, 1}, ended
        return ended.out if ended.code == 0 else None

    async def tools(self) -> Sequence[str]:
        ended = await self._run("tools", "--raw")
        assert ended.code == 0, ended
        return [tool["name"] for tool in json.loads(ended.out)["tools"]]

    async def use(self, tool: str, arguments: Mapping[str, Any]) -> Result:
        ended = await self._run("tools", tool, "--json", "-", text=json.dumps(dict(arguments)))
        assert ended.code in {0, 1}, ended
        return Result(text=ended.out.rstrip("\n"), is_error=ended.code == 1)

    async def _run(self, *words: str, text: str = "") -> _Ended:
        pipe = asyncio.subprocess.PIPE
        async with self.turn:
            process = await asyncio.create_subprocess_exec(
                RATCHET,
                "operator",
                *words,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                env=dict(self.env),
                cwd=self.folder,
            )
            try:
                out, err = await process.communicate(text.encode())
            finally:
                if process.returncode is None:
                    process.kill()
        code = -1 if process.returncode is None else process.returncode
        return _Ended(words=words, code=code, out=out.decode(), err=err.decode())


@dataclass(frozen=True, kw_only=True)
class _Ended:
    words: tuple[str, ...]
    code: int
    out: str
    err: str
