from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    assert text_of(first) == ["ran ls", "Message from your team: look at the pool"]
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
