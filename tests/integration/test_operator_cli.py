"""Tickets worked by `ratchet operator …` alone: an agent that has nothing but a shell, a person."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from yarl import URL

from campaign.model import SessionOutcome, SessionResult, Spend
from tests.integration.operator_kit import Done, interrupt, outside
from tests.seats_kit import FakeCampaign, until


@contextmanager
def nobody_at(url: str) -> Iterator[None]:
    """Its port is held and does not listen: no other test's server comes by it meanwhile."""
    where = URL(url)
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((where.host, where.port))
        yield


async def test_an_agent_that_has_only_a_shell_works_a_whole_campaign(tmp_path: Path) -> None:
    campaign = FakeCampaign()
    async with outside(campaign, tmp_path, tickets=2) as agent:
        first = await agent.run("wait")
        assert (first.code, "T001: it is slow" in first.out) == (0, True), first.err
        listed = await agent.run("tools")
        assert "sql query [max_rows=…]" in listed.out
        by_json = await agent.run("tools", "sql", "--json", '{"query": "select 1"}')
        assert (by_json.code, by_json.out) == (0, "sql is done\n"), by_json
        await agent.run("tools", "sql", "--json", "-", text='{"query": "select 2"}')
        notes = tmp_path / "notes"
        notes.write_text("two\nlines")
        await agent.run("tools", "deploy", "--arg-file", f"message={notes}")
        refused = await agent.run("tools", "sql", "--arg", "query=bad")
        assert (refused.code, refused.out) == (1, "syntax error at bad; see the query\n")
        failed = await agent.run("tools", "bash", "--arg", "command=false", "--raw")
        assert (failed.code, json.loads(failed.out)["exit_code"]) == (0, 1)
        assert (await agent.run("tools", "resolve", "--arg", "root_cause=locks")).code == 0
        late = await agent.run("tools", "sql", "--arg", "query=1")
        assert (late.code, "is over" in late.err) == (2, True)
        second = await agent.run("wait", "--json")
        assert json.loads(second.out)["session"] == "T002-s1"
        await agent.run("tools", "resolve", "--arg", "root_cause=locks")
        over = await agent.run("wait")
        assert (over.code, "over" in over.err) == (1, True)
    assert campaign.sessions[0].tools.calls[:3] == [
        ("sql", {"query": "select 1"}),
        ("sql", {"query": "select 2"}),
        ("deploy", {"message": "two\nlines"}),
    ]
    assert [result.outcome for result in campaign.results] == [SessionOutcome.RESOLVED] * 2
    assert campaign.refused == []


async def test_a_campaign_whose_process_is_gone_is_over_to_whoever_had_its_seat(
    tmp_path: Path,
) -> None:
    async with outside(FakeCampaign(), tmp_path) as agent:
        assert (await agent.run("wait")).code == 0
    with nobody_at(agent.campaign.url):
        assert (await agent.run("wait")).code == 1
        stranger = {"XDG_STATE_HOME": str(tmp_path / "other")}
        assert (await agent.run("wait", env=stranger)).code == 3


async def test_nothing_yet_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    async with outside(FakeCampaign(), tmp_path, tickets=0) as agent:
        register = agent.campaign.register
        await until(lambda: register._over)
        register._over = False
        assert (await agent.run("wait", "--timeout", "0.1")).code == 75
        assert (await agent.run("take")).code == 75


async def test_only_the_first_with_the_seat_token_has_the_seat(tmp_path: Path) -> None:
    async with outside(FakeCampaign(), tmp_path) as agent:
        assert (await agent.run("wait")).code == 0
        late = await agent.run("wait", env={"XDG_STATE_HOME": str(tmp_path / "other")})
        assert (late.code, "used already" in late.err) == (2, True)
        twice = await agent.run("wait")
        assert (twice.code, "taken already" in twice.err) == (2, True)
        again = await agent.run("take", "--again")
        assert (again.code, "T001" in again.out) == (0, True)


async def test_an_interrupted_call_ends_and_the_session_goes_on(tmp_path: Path) -> None:
    campaign = FakeCampaign()
    async with outside(campaign, tmp_path) as agent:
        await agent.run("wait")
        process = await agent.start("tools", "bash", "--arg", "command=sleep")
        tools = campaign.sessions[0].tools
        await tools.begun.wait()
        interrupt(process)
        assert (await agent.end(process)).code == 130
        await until(lambda: tools.ended == ["bash"])
        assert (await agent.run("tools", "resolve", "--arg", "root_cause=x")).code == 0


async def test_wrong_use_is_told_with_what_to_do(tmp_path: Path) -> None:
    async with outside(FakeCampaign(), tmp_path) as agent:
        before = await agent.run("tools", "sql", "--arg", "query=1")
        assert (before.code, "`ratchet operator wait`" in before.err) == (2, True)
        await agent.run("wait")
        for arguments, problem in (
            (("nonsense",), "there is no tool nonsense"),
            (("sql", "--arg", "rows=1"), "no argument 'rows'"),
            (("sql", "--json", "["), "no JSON"),
            (("sql", "--arg-file", "query=/nowhere"), "cannot be read"),
        ):
            wrong = await agent.run("tools", *arguments)
            assert (wrong.code, problem in wrong.err) == (2, True), wrong


async def test_a_person_works_at_a_prompt_ticket_after_ticket(tmp_path: Path) -> None:
    campaign = FakeCampaign()
    lines = (
        "help",
        "sql select 'a b'",
        "nonsense",
        "http_request GET /healthz timeout_s=2",
        "res it was the locks",
        "release",
        "quit",
        "g",
        "out of ideas",
    )
    async with outside(campaign, tmp_path, tickets=2) as agent:
        done = await agent.run("shell", text="\n".join(lines) + "\n")
    assert done.code == 0, done.err
    assert "T001-s1> " in done.out
    assert "http_request method path [timeout_s=…]" in done.out
    assert "there is no tool 'nonsense'" in done.err
    assert campaign.sessions[0].tools.calls == [
        ("sql", {"query": "select 'a b'"}),
        ("http_request", {"method": "GET", "path": "/healthz", "timeout_s": 2}),
        ("resolve", {"root_cause": "it was the locks"}),
    ]
    assert campaign.results == [
        SessionResult(outcome=SessionOutcome.RESOLVED, spend=Spend(turns=3)),
        SessionResult(outcome=SessionOutcome.GAVE_UP, reason="out of ideas"),
    ]


async def test_whoever_plays_watches_talks_approves_and_takes_over(tmp_path: Path) -> None:
    trace = tmp_path / "T001-s1.jsonl"
    trace.write_text('{"kind": "one"}\n')
    campaign = FakeCampaign(approve=True, trace=trace)
    async with outside(campaign, tmp_path) as agent:
        await agent.run("wait")
        assert "T001-s1" in (await agent.own("sessions")).out
        assert (await agent.own("message", "look at the locks")).code == 0
        heard = await agent.run("tools", "sql", "--arg", "query=1")
        said = "A person who watches this session says: look at the locks"
        assert heard.out == f"sql is done\n\n{said}\n"
        seat = await campaign.state("taken")
        deploying = await agent.start("tools", "deploy", "--arg", "message=index")
        await until(lambda: bool(seat.approvals.waiting))
        assert "T001-s1-a1" in (await agent.own("approve")).out
        refusal = ("approve", "T001-s1-a1", "--refuse", "--reason", "at night")
        assert (await agent.own(*refusal)).code == 0
        refused = await agent.end(deploying)
        assert (refused.code, refused.out) == (1, "refused: at night\n")
        watching = await agent.start(
            "watch", "--json", "--campaign", "one", "--runs", str(agent.runs)
        )
        assert watching.stdout is not None
        assert await watching.stdout.readline() == b'{"kind": "one"}\n'
        person = await agent.own("take-over", "T001-s1", text="resolve the locks\n")
        assert (person.code, "T001: it is slow" in person.out) == (0, True), person.err
        assert await agent.end(watching) == Done(code=0, out="", err="")
        assert (await agent.run("tools", "sql", "--arg", "query=1")).code == 2
    assert campaign.results[0].reason == "a person took the session over"


async def test_a_token_of_one_session_is_enough_to_work_on_it(tmp_path: Path) -> None:
    campaign = FakeCampaign()
    async with outside(campaign, tmp_path) as agent:
        await agent.run("wait")
        printed = await agent.own("take-over", "T001-s1", "--token")
        assert printed.out.startswith("export RATCHET_URL=")
        token = printed.out.strip().rpartition("RATCHET_SESSION_TOKEN=")[2]
        env = {"RATCHET_SESSION_TOKEN": token, "RATCHET_SEAT_TOKEN": ""}
        done = await agent.run("tools", "resolve", "--arg", "root_cause=x", env=env)
        assert done.code == 0, done.err


async def test_a_new_invitation_moves_the_seat(tmp_path: Path) -> None:
    async with outside(FakeCampaign(), tmp_path) as agent:
        await agent.run("take")
        invited = await agent.own("invite")
        token = invited.out.rpartition("RATCHET_SEAT_TOKEN=")[2].split()[0]
        other = {"XDG_STATE_HOME": str(tmp_path / "other"), "RATCHET_SEAT_TOKEN": token}
        assert (await agent.run("take", "--again", env=other)).code == 0


async def test_ctrl_c_at_the_prompt_ends_the_call_and_not_the_session(tmp_path: Path) -> None:
    campaign = FakeCampaign()
    async with outside(campaign, tmp_path) as agent:
        person = await agent.start("shell")
        assert person.stdin is not None
        person.stdin.write(b"bash sleep\n")
        await campaign.state("taken")
        tools = campaign.sessions[0].tools
        await tools.begun.wait()
        interrupt(person)
        await until(lambda: tools.ended == ["bash"])
        done = await agent.end(person, text="resolve the locks\n")
    assert "bash is ended; the session goes on" in done.err
    assert campaign.results[0].outcome is SessionOutcome.RESOLVED
