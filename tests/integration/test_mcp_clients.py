"""Real MCP clients of the `mcp` package, over stdio and over streamable HTTP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from campaign.model import SessionOutcome
from loadgen.testing import held_port
from tests.integration.operator_kit import Outside, outside
from tests.runs_kit import RATCHET
from tests.seats_kit import SPECS, FakeCampaign, until


def stdio(agent: Outside) -> Client:
    parameters = StdioServerParameters(
        command=str(RATCHET), args=["operator", "mcp"], env=agent.env()
    )
    return Client(stdio_client(parameters))


@asynccontextmanager
async def over_http(agent: Outside) -> AsyncIterator[Client]:
    """Beside the seat token, which is the clients' bearer token."""
    token = agent.env()["RATCHET_SEAT_TOKEN"]
    async with http_server(agent) as url:
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            yield client


@asynccontextmanager
async def http_server(agent: Outside) -> AsyncIterator[str]:
    with held_port() as port:
        process = await agent.start("mcp", "--http", str(port))
        try:
            await until(lambda: _answers(port))
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.terminate()
            await process.communicate()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def text(result: Any) -> str:
    return "\n".join(part.text for part in result.content)


async def work_two_tickets(client: Client) -> None:
    """All that a client does, and what it is told."""
    listed = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(listed) == {
        "wait_for_ticket",
        "release_ticket",
        *(spec.name for spec in SPECS),
    }
    assert listed["sql"].description == SPECS[0].description
    assert listed["sql"].input_schema == SPECS[0].parameters
    assert "T001: it is slow" in text(await client.call_tool("wait_for_ticket"))
    twice = await client.call_tool("wait_for_ticket")
    assert (twice.is_error, "taken already" in text(twice)) == (True, True)
    fine = await client.call_tool("sql", {"query": "select 1"})
    assert (fine.is_error, text(fine)) == (False, "sql is done")
    wrong = await client.call_tool("sql", {"query": "bad"})
    assert (wrong.is_error, text(wrong)) == (True, "syntax error at bad; see the query")
    assert not (await client.call_tool("resolve", {"root_cause": "locks"})).is_error
    late = await client.call_tool("sql", {"query": "1"})
    assert (late.is_error, "wait_for_ticket" in text(late)) == (True, True)
    assert "T002" in text(await client.call_tool("wait_for_ticket", {"timeout_s": 30}))
    await client.call_tool("release_ticket", {"reason": "out of ideas"})
    assert "over" in text(await client.call_tool("wait_for_ticket"))


async def test_a_client_over_stdio_works_two_tickets(tmp_path: Path) -> None:
    campaign = FakeCampaign()
    async with outside(campaign, tmp_path, tickets=2) as agent, stdio(agent) as client:
        await work_two_tickets(client)
    assert [result.outcome for result in campaign.results] == [
        SessionOutcome.RESOLVED,
        SessionOutcome.GAVE_UP,
    ]


async def test_a_client_over_http_works_two_tickets(tmp_path: Path) -> None:
    campaign = FakeCampaign()
    async with outside(campaign, tmp_path, tickets=2) as agent, over_http(agent) as client:
        await work_two_tickets(client)
    assert [result.outcome for result in campaign.results] == [
        SessionOutcome.RESOLVED,
        SessionOutcome.GAVE_UP,
    ]


async def test_http_wants_the_token(tmp_path: Path) -> None:
    async with (
        outside(FakeCampaign(), tmp_path) as agent,
        http_server(agent) as url,
        httpx2.AsyncClient(timeout=60) as http,
    ):
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            answer = await http.post(url, json={}, headers=headers)
            assert answer.status_code == 401


async def test_a_cancelled_call_ends_and_the_session_goes_on(tmp_path: Path) -> None:
    campaign = FakeCampaign()
    async with outside(campaign, tmp_path) as agent, stdio(agent) as client:
        await client.call_tool("wait_for_ticket")
        tools = campaign.sessions[0].tools
        call = asyncio.create_task(client.call_tool("bash", {"command": "sleep"}))
        await tools.begun.wait()
        call.cancel()
        await until(lambda: tools.ended == ["bash"])
        assert not (await client.call_tool("resolve", {"root_cause": "x"})).is_error


async def test_a_long_call_says_that_it_goes_on(tmp_path: Path) -> None:
    campaign = FakeCampaign()
    async with outside(campaign, tmp_path) as agent, stdio(agent) as client:
        await client.call_tool("wait_for_ticket")
        told = asyncio.Event()

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            assert (total, message) == (None, "still at it")
            assert progress > 0
            told.set()
            campaign.sessions[0].tools.may_go_on.set()

        slow = await client.call_tool("bash", {"command": "sleep"}, progress_callback=hear)
        assert text(slow) == "bash is done"
        assert told.is_set()


async def test_a_client_that_crashed_goes_on_where_it_was(tmp_path: Path) -> None:
    campaign = FakeCampaign()
    async with outside(campaign, tmp_path) as agent:
        async with stdio(agent) as client:
            await client.call_tool("wait_for_ticket")
        async with stdio(agent) as client:
            assert "T001" in text(await client.call_tool("wait_for_ticket"))
            await client.call_tool("resolve", {"root_cause": "x"})
    assert campaign.results[0].outcome is SessionOutcome.RESOLVED


async def test_messages_of_people_come_with_the_next_answer(tmp_path: Path) -> None:
    campaign = FakeCampaign()
    async with outside(campaign, tmp_path) as agent, stdio(agent) as client:
        await client.call_tool("wait_for_ticket")
        await (await campaign.state("taken")).say("look at the locks")
        heard = text(await client.call_tool("sql", {"query": "1"}))
        said = "A person who watches this session says: look at the locks"
        assert heard == f"sql is done\n{said}"


@pytest.mark.parametrize("how", ["over", "never there"])
async def test_without_a_campaign_a_client_is_told_so(tmp_path: Path, how: str) -> None:
    campaign = FakeCampaign()
    async with outside(campaign, tmp_path, tickets=0) as agent:
        env = {} if how == "over" else {"RATCHET_URL": "http://127.0.0.1:1"}
        agent.environment |= env
        async with stdio(agent) as client:
            assert {"wait_for_ticket"} <= {tool.name for tool in (await client.list_tools()).tools}
            answer = await client.call_tool("wait_for_ticket")
            words = "no more tickets" if how == "over" else "no campaign answers"
            assert words in text(answer)
            assert answer.is_error == (how != "over")
