"""The HTTP API's part on sessions: each route with the secret it wants, and with others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from campaign.errors import AccessError, BusyError, HarnessError, NotFoundError, UsageError
from campaign.http_parts import is_gone
from campaign.joining import Door
from campaign.joining.door import GoneError, UnansweredError
from tests.seats_kit import SPECS, TOKEN, FakeCampaign, serving, until


@dataclass(kw_only=True)
class Stage:
    """A campaign of two tickets, and the way to its API."""

    campaign: FakeCampaign
    door: Door
    key: str = ""

    async def ask(self, path: str, body: Any = None, *, token: str = "") -> dict[str, Any]:
        """GET without a body, with the owner's token unless said otherwise."""
        method = "GET" if body is None else "POST"
        return await self.door.ask(method, path, token=token or TOKEN, body=body)

    async def take(self) -> tuple[str, str]:
        """The path and the token of the next ticket's session."""
        if not self.key:
            token = self.campaign.register.seat_token or ""
            self.key = (await self.ask("/api/seat/claim", {}, token=token))["key"]
        told = await self.ask("/api/seat/take", {"wait_s": 20}, token=self.key)
        assert told["state"] == "ticket"
        return f"/api/sessions/{told['session']}", told["token"]

    async def resolve(self, path: str, token: str) -> None:
        told = await self.ask(f"{path}/tools/resolve", {"root_cause": "locks"}, token=token)
        assert told["ends_session"]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncGenerator[Stage, None]:
    campaign = FakeCampaign(trace=tmp_path / "T001-s1.jsonl")
    async with serving(campaign) as url:
        playing = asyncio.create_task(campaign.play(2))
        yield Stage(campaign=campaign, door=Door(url=url))
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)


async def test_sessions_are_told_to_whoever_plays_the_campaign_alone(stage: Stage) -> None:
    await stage.campaign.state("waiting")
    told = await stage.ask("/api/sessions")
    assert told["campaign"] == "one"
    (session,) = told["sessions"]
    assert (session["session"], session["state"], session["calls"]) == ("T001-s1", "waiting", 0)
    assert (stage.campaign.register.seat_token or "seat.") not in json.dumps(told)
    _, token = await stage.take()
    for wrong in ("none", token, stage.key):
        with pytest.raises(AccessError):
            await stage.ask("/api/sessions", token=wrong)


async def test_taking_a_ticket_tells_all_that_is_needed_to_work_on_it(stage: Stage) -> None:
    key = (await stage.ask("/api/seat/claim", {}, token=stage.campaign.register.seat_token or ""))[
        "key"
    ]
    told = await stage.ask("/api/seat/take", {"wait_s": 20}, token=key)
    assert (told["role"], told["ticket"]) == ("You are on call.", "T001: it is slow")
    assert [tool["name"] for tool in told["tools"]] == [spec.name for spec in SPECS]
    assert told["tools"][0]["parameters"]["required"] == ["query"]


async def test_a_tools_answer_is_told_with_its_exit_code(stage: Stage) -> None:
    path, token = await stage.take()
    failed = await stage.ask(f"{path}/tools/bash", {"command": "false"}, token=token)
    assert failed == {
        "text": "exit code 1",
        "is_error": False,
        "exit_code": 1,
        "ends_session": False,
        "messages": [],
    }
    wrong = await stage.ask(f"{path}/tools/sql", {"query": "bad"}, token=token)
    assert (wrong["is_error"], wrong["exit_code"]) == (True, None)
    unknown = await stage.ask(f"{path}/tools/nonsense", {}, token=token)
    assert unknown["is_error"]


async def test_two_tickets_are_worked_one_after_the_other(stage: Stage) -> None:
    first = await stage.take()
    await stage.resolve(*first)
    second = await stage.take()
    assert second[0] == "/api/sessions/T002-s1"
    with pytest.raises(AccessError, match="does not open"):
        await stage.ask(f"{second[0]}/tools/sql", {"query": "1"}, token=first[1])
    with pytest.raises(AccessError, match="is over"):
        await stage.ask(f"{first[0]}/tools/sql", {"query": "1"}, token=first[1])
    await stage.resolve(*second)
    assert stage.campaign.refused == ["a call to session T002-s1 with the old token of T001-s1"]
    assert (await stage.ask("/api/seat/take", {"wait_s": 20}, token=stage.key))["state"] == "over"


@pytest.mark.parametrize(
    "path",
    ["tools/sql", "release", "message", "take-over"],
)
async def test_nothing_happens_to_a_session_without_its_secret(stage: Stage, path: str) -> None:
    session, token = await stage.take()
    body = {"text": "x"} if path == "message" else {}
    is_tool = path in {"tools/sql", "release"}
    for wrong in ("none", TOKEN if is_tool else token, stage.key):
        with pytest.raises(AccessError):
            await stage.ask(f"{session}/{path}", body, token=wrong)
    assert stage.campaign.sessions[0].tools.calls == []
    assert stage.campaign.said == []


async def test_an_operator_cannot_approve_its_own_call(stage: Stage) -> None:
    stage.campaign.approve = True
    session, token = await stage.take()
    deploying = asyncio.create_task(
        stage.ask(f"{session}/tools/deploy", {"message": "an index"}, token=token)
    )
    seat = await stage.campaign.state("taken")
    await until(lambda: bool(seat.approvals.waiting))
    waiting = (await stage.ask("/api/approvals"))["approvals"]
    assert waiting[0]["approval"] == "T001-s1-a1"
    assert waiting[0]["arguments"] == {"message": "an index"}
    for theirs in (token, stage.key):
        with pytest.raises(AccessError):
            await stage.ask("/api/approvals/T001-s1-a1", {"granted": True}, token=theirs)
        with pytest.raises(AccessError):
            await stage.ask("/api/approvals", token=theirs)
    answer = {"granted": False, "reason": "at night"}
    await stage.ask("/api/approvals/T001-s1-a1", answer)
    assert (await deploying)["text"] == "refused: at night"
    with pytest.raises(NotFoundError, match="no call waits"):
        await stage.ask("/api/approvals/T001-s1-a1", answer)
    with pytest.raises(NotFoundError, match="no session"):
        await stage.ask("/api/approvals/T009-s1-a1", answer)


async def test_a_client_that_leaves_ends_its_call_and_the_session_goes_on(stage: Stage) -> None:
    path, token = await stage.take()
    tools = stage.campaign.sessions[0].tools
    call = asyncio.create_task(stage.ask(f"{path}/tools/bash", {"command": "sleep"}, token=token))
    await tools.begun.wait()
    call.cancel()
    await until(lambda: tools.ended == ["bash"])
    await stage.resolve(path, token)


async def test_a_client_that_leaves_while_it_waits_is_given_no_ticket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[web.Request] = []

    def looked_after(request: web.Request) -> bool:
        waits.append(request)
        return is_gone(request)

    monkeypatch.setattr("campaign.seats.working_routes.is_gone", looked_after)
    campaign = FakeCampaign()
    async with serving(campaign) as url:
        stage = Stage(campaign=campaign, door=Door(url=url))
        token = campaign.register.seat_token or ""
        stage.key = (await stage.ask("/api/seat/claim", {}, token=token))["key"]
        waiting = asyncio.create_task(stage.ask("/api/seat/take", {"wait_s": 60}, token=stage.key))
        await until(lambda: bool(waits))
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        # The end of its connection may be on the way for a while.
        await until(lambda: is_gone(waits[0]))
        playing = asyncio.create_task(campaign.play())
        assert (await stage.take())[0] == "/api/sessions/T001-s1"
        playing.cancel()


async def test_a_message_that_a_client_left_before_is_heard_with_the_next_answer(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, token = await stage.take()
    await stage.ask(f"{path}/message", {"text": "look at the locks"})
    session = stage.campaign.sessions[0]

    async def broken(*_: object) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as lost:
        lost.setattr(web.Response, "write_eof", broken)
        with pytest.raises((UnansweredError, HarnessError)):
            await stage.ask(f"{path}/tools/sql", {"query": "1"}, token=token)
    told = await stage.ask(f"{path}/tools/sql", {"query": "1"}, token=token)
    assert told["messages"] == ["look at the locks"]
    assert session.trace.told.count("user: look at the locks") == 1
    assert session.noted.turns == 2


async def test_a_person_talks_to_a_session_and_takes_it_over(stage: Stage) -> None:
    path, token = await stage.take()
    await stage.ask(f"{path}/message", {"text": "look at the locks"})
    told = await stage.ask(f"{path}/tools/sql", {"query": "1"}, token=token)
    assert told["messages"] == ["look at the locks"]
    taken = await stage.ask(f"{path}/take-over", {})
    assert taken["ticket"] == "T001: it is slow"
    with pytest.raises(AccessError):
        await stage.ask(f"{path}/tools/sql", {"query": "1"}, token=token)
    await stage.resolve(path, taken["token"])
    await stage.campaign.state("waiting", 2)
    assert stage.campaign.results[0].reason == "a person took the session over"
    with pytest.raises(BusyError, match="over"):
        await stage.ask(f"{path}/take-over", {})
    with pytest.raises(BusyError, match="over"):
        await stage.ask(f"{path}/message", {"text": "too late"})


async def test_giving_a_ticket_back_ends_its_session(stage: Stage) -> None:
    path, token = await stage.take()
    await stage.ask(f"{path}/release", {"reason": "out of ideas"}, token=token)
    await stage.campaign.state("waiting", 2)
    assert stage.campaign.results[0].reason == "out of ideas"


async def test_a_trace_is_followed_to_the_end_of_its_session(stage: Stage) -> None:
    path, token = await stage.take()
    trace = stage.campaign.trace
    assert trace is not None
    trace.write_text('{"kind": "one"}\n{"kind": "tw')
    with pytest.raises(AccessError):
        await anext(stage.door.follow(f"{path}/trace", token="wrong"))  # noqa: S106 - it is
    async with aclosing(stage.door.follow(f"{path}/trace", token=token)) as lines:
        assert await anext(lines) == '{"kind": "one"}'
        with trace.open("a") as stream:
            stream.write('o"}\n')
        assert await anext(lines) == '{"kind": "two"}'
    watching = stage.door.follow(f"{path}/trace?after=1", token=TOKEN)
    await stage.resolve(path, token)
    assert [line async for line in watching] == ['{"kind": "two"}']


async def test_a_body_is_checked_and_bounded(stage: Stage) -> None:
    path, token = await stage.take()
    for wrong, words in (
        ({"wait_s": -1}, "wait_s"),
        ({"wait_s": 1e9}, "wait_s"),
        ({"nonsense": 1}, "nonsense"),
    ):
        with pytest.raises(UsageError, match=words):
            await stage.ask("/api/seat/take", wrong, token=stage.key)
    with pytest.raises(UsageError, match="text"):
        await stage.ask(f"{path}/message", {"text": "x" * 20_001})
    with pytest.raises(UsageError, match="Entity Too Large"):
        await stage.ask(f"{path}/tools/sql", {"query": "x" * 2_000_000}, token=token)
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(stage.door.url, headers=headers) as client,
        client.post(f"{path}/tools/sql", data=b"[1]") as answer,
    ):
        assert answer.status == 400
    assert stage.campaign.sessions[0].tools.calls == []


async def test_a_defect_is_told_without_the_harness_insides(stage: Stage) -> None:
    path, token = await stage.take()
    stage.campaign.sessions[0].tools.failure = RuntimeError("/secret/place")
    with pytest.raises(HarnessError) as caught:
        await stage.ask(f"{path}/tools/sql", {"query": "1"}, token=token)
    assert "/secret" not in f"{caught.value} {caught.value.hint}"


async def test_the_end_of_the_campaign_leaves_no_call_waiting_for_approval(stage: Stage) -> None:
    stage.campaign.approve = True
    session, token = await stage.take()
    deploying = asyncio.create_task(
        stage.ask(f"{session}/tools/deploy", {"message": "an index"}, token=token)
    )
    seat = await stage.campaign.state("taken")
    await until(lambda: bool(seat.approvals.waiting))
    await seat.close()
    with pytest.raises(BusyError, match="ended during the call"):
        await deploying
    assert seat.approvals.waiting == ()


async def test_nobody_at_the_address_is_told_apart_from_a_refusal() -> None:
    with pytest.raises(GoneError, match="no campaign answers"):
        await Door(url="http://127.0.0.1:1").ask("GET", "/api/sessions", token="x")  # noqa: S106
