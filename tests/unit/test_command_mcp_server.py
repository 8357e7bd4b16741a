from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import mcp
import mcp_types
from operators.command.mcp_server import SERVER_NAME, ToolServer
from operators.toolbox.answer import Answer

from tests.command_kit import SPECS, FakeSession


def text_of(result: Any) -> list[str]:
    assert isinstance(result, mcp_types.CallToolResult)
    return [block.text for block in result.content if isinstance(block, mcp_types.TextContent)]


class Broken(FakeSession):
    async def call(self, tool: str, arguments: Mapping[str, Any], *, call: str = "") -> Answer:
        raise OSError(f"/the/harness/journal: disk full {tool} {len(arguments)} {call}")


async def test_the_tools_are_listed_as_they_are_told_to_everybody() -> None:
    async with mcp.Client(ToolServer(FakeSession()).server()) as client:
        assert client.server_info is not None
        assert client.server_info.name == SERVER_NAME
        tools = (await client.list_tools()).tools
    assert [(tool.name, tool.description, tool.input_schema) for tool in tools] == [
        (spec.name, spec.description, dict(spec.parameters)) for spec in SPECS
    ]


async def test_an_answer_is_its_text_and_whether_it_is_an_error() -> None:
    async with mcp.Client(ToolServer(FakeSession()).server()) as client:
        good = await client.call_tool("bash", {"command": "ls"})
        bad = await client.call_tool("bash", {"command": "false"})
    assert (text_of(good), good.is_error) == (["ran ls"], False)
    assert (text_of(bad), bad.is_error) == (["it failed"], True)


async def test_a_call_keeps_the_name_that_the_model_gave_it() -> None:
    session = FakeSession()
    server = ToolServer(session)
    async with mcp.Client(server.server()) as client:
        meta: Any = {"claudecode/toolUseId": "toolu_7"}
        await client.call_tool("bash", {"command": "ls"}, meta=meta)
    assert session.calls == [("bash", {"command": "ls"}, "toolu_7")]
    done = server.take("toolu_7", "bash", {"command": "ls"})
    assert done is not None
    assert (done.answer.text, done.answer.exit_code) == ("ran ls", 0)
    assert server.take("toolu_7", "bash", {"command": "ls"}) is None


async def test_a_call_without_a_name_is_found_by_what_it_asked_for() -> None:
    server = ToolServer(FakeSession())
    async with mcp.Client(server.server()) as client:
        await client.call_tool("bash", {"command": "ls", "x": 1})
    assert server.take("any", "bash", {"command": "cat"}) is None
    assert server.take("any", "bash", {"x": 1, "command": "ls"}) is not None


async def test_what_people_say_comes_with_the_next_answer() -> None:
    session = FakeSession(said=["look at the pool"])
    async with mcp.Client(ToolServer(session).server()) as client:
        first = await client.call_tool("bash", {"command": "ls"})
        second = await client.call_tool("bash", {"command": "ls"})
    assert text_of(first) == ["ran ls", "A person who watches this session says: look at the pool"]
    assert text_of(second) == ["ran ls"]
    assert session.trace.of("user_message") == [("look at the pool",)]


async def test_a_fault_of_the_harness_is_kept_for_it_and_not_told_to_the_agent() -> None:
    server = ToolServer(Broken())
    async with mcp.Client(server.server()) as client:
        result = await client.call_tool("bash", {"command": "ls"})
    assert (text_of(result), result.is_error) == (
        ["the tool failed for a reason that is none of yours"],
        True,
    )
    assert isinstance(server.failure, OSError)


async def test_answers_are_not_kept_where_nobody_takes_them() -> None:
    server = ToolServer(FakeSession(), keeps=False)
    async with mcp.Client(server.server()) as client:
        await client.call_tool("bash", {"command": "ls"})
    assert server.untold() == []


async def test_what_nobody_took_is_handed_over_once_and_faults_are_among_it() -> None:
    server = ToolServer(Broken())
    async with mcp.Client(server.server()) as client:
        await client.call_tool("bash", {"command": "ls"})
    (done,) = server.untold()
    assert (done.tool, done.answer.is_error) == ("bash", True)
    assert server.untold() == []


async def test_what_people_say_waits_for_an_agent_that_hears_it(tmp_path: Path) -> None:
    """One that hung up during the call would never have read it."""
    at_work, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Slow(FakeSession):
        async def call(self, tool: str, arguments: Mapping[str, Any], *, call: str = "") -> Answer:
            try:
                at_work.set()
                await may_end.wait()
                for _ in range(20):  # until the server has seen that the caller is gone
                    await asyncio.sleep(0)
                return await super().call(tool, arguments, call=call)
            finally:
                ended.set()

    session = Slow(said=["look at the pool"])
    path = tmp_path / "tools.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    listener.setblocking(False)  # noqa: FBT003 - positional only
    async with (
        ToolServer(session).serve(listener),
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as http,
    ):
        mcp_session = await opened(http)
        hung_up = asyncio.create_task(called(http, mcp_session, 2))
        await asyncio.wait_for(at_work.wait(), 10)
        hung_up.cancel()
        await asyncio.gather(hung_up, return_exceptions=True)
        may_end.set()
        await asyncio.wait_for(ended.wait(), 10)
        again = await asyncio.wait_for(called(http, mcp_session, 3), 10)
    assert "look at the pool" in again
    assert session.trace.of("user_message") == [("look at the pool",)]


HEADERS = {"accept": "application/json, text/event-stream", "host": "127.0.0.1:8401"}


async def opened(http: aiohttp.ClientSession) -> str:
    hello = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "x", "version": "1"},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    async with http.post("http://127.0.0.1/mcp", json=body, headers=HEADERS) as answer:
        await answer.read()
        return answer.headers["mcp-session-id"]


async def called(http: aiohttp.ClientSession, mcp_session: str, number: int) -> str:
    params = {"name": "bash", "arguments": {"command": "ls"}}
    body = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
    headers = HEADERS | {"mcp-session-id": mcp_session}
    async with http.post("http://127.0.0.1/mcp", json=body, headers=headers) as answer:
        return await answer.text()
