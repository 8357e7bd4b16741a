"""Agents as processes: what they are given, what they reach, and that nothing of them is left."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from operators.command import AgentAdapter, CommandDriver, ModelApi
from operators.session import Briefing

from campaign import sandbox
from campaign.adapters.agents import AgentProcesses
from campaign.identity import Identity, app_identity
from campaign.model import OperatorOptions, SessionOutcome, SessionResult
from tests.command_kit import BRIEFING, FakeSession

KEY = "sk-ant-very-secret-key-000"
API = ModelApi(
    base_url="http://127.0.0.1:9",
    key="ANTHROPIC_API_KEY",
    header="x-api-key",
    allow=("POST /v1/messages",),
)
REPOSITORY = Path(__file__).resolve().parents[2]

needs_sandbox = pytest.mark.skipif(
    sandbox.unavailable(app_identity()) is not None, reason="there is no sandbox here"
)

#: what every agent below begins with: `say` writes a note
PRELUDE = """
import json, os, socket, subprocess, sys, urllib.request
def say(**what):
    print(json.dumps({"type": "note", "text": json.dumps(what)}), flush=True)
def post(url, body):
    request = urllib.request.Request(
        url,
        json.dumps(body).encode(),
        {"content-type": "application/json",
         "accept": "application/json, text/event-stream"},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return [answer.status, answer.read().decode()]
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]
def call(tool, **arguments):
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo":
             {"name": "x", "version": "1"}}
    request = urllib.request.Request(
        TOOLS, json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello})
        .encode(), {"content-type": "application/json",
                    "accept": "application/json, text/event-stream"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        session = answer.headers["mcp-session-id"]
        answer.read()
    body = {"jsonrpc": "2.0", "id": 2, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments}}
    request = urllib.request.Request(
        TOOLS, json.dumps(body).encode(),
        {"content-type": "application/json", "mcp-session-id": session,
         "accept": "application/json, text/event-stream"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read().decode()
PROMPT = sys.stdin.read()
TOOLS, MODEL = sys.argv[1:3]
"""


def adapter(script: str, **more: Any) -> AgentAdapter:
    fields: dict[str, Any] = {
        "title": "Test agent",
        "executable": "/usr/bin/python3",
        "arguments": ("-I", "${home}/agent.py", "${tools_url}", "${model_url}"),
        "stdin": "${prompt}",
        "output": "generic-jsonl",
        "files": {"agent.py": PRELUDE + script, "deep/er/note": "for ${home}"},
        "environment": {"ANTHROPIC_API_KEY": "placeholder"},
        "model_api": API,
    }
    return AgentAdapter(**(fields | more))


async def run(
    script: str, session: FakeSession, *, confined: bool = True, **more: Any
) -> SessionResult:
    environ = {"ANTHROPIC_API_KEY": KEY, "PATH": os.environ["PATH"], "MY_REGION": "north"}
    runner = AgentProcesses(environ=environ, confined=confined)
    return await CommandDriver(adapter(script, **more), runner).drive(session)


def told(session: FakeSession) -> dict[str, Any]:
    notes: dict[str, Any] = {}
    for (text,) in session.trace.of("remark"):
        if text.startswith("{"):  # its own; others are of the relay and the tools
            notes |= json.loads(text)
    return notes


def marked(mark: str) -> Iterator[psutil.Process]:
    """Those that run; one that has ended has no command line."""
    for process in psutil.process_iter(["cmdline"]):
        if mark in " ".join(process.info["cmdline"] or ()):
            yield process


BOTH = pytest.mark.parametrize("confined", [pytest.param(True, marks=needs_sandbox), False])


@BOTH
async def test_an_agent_has_its_prompt_its_files_and_its_tools(*, confined: bool) -> None:
    session = FakeSession()
    script = """
say(prompt=PROMPT, region=os.environ.get("MY_REGION"), cwd=os.getcwd(), home=os.environ["HOME"])
say(note=open("deep/er/note").read(), variables=sorted(os.environ))
say(answer=call("bash", command="ls"))
call("resolve", root_cause="x")
"""
    left = await run(script, session, confined=confined, needs=("MY_REGION",))
    assert left.outcome is SessionOutcome.RESOLVED, left
    notes = told(session)
    assert notes["prompt"] == f"{BRIEFING.role}\n\n{BRIEFING.prior}\n\n{BRIEFING.ticket}"
    assert notes["region"] == "north"
    assert notes["cwd"] == notes["home"]
    assert notes["note"] == f"for {notes['home']}"
    assert "ran ls" in notes["answer"]
    assert [tool for tool, _, _ in session.calls] == ["bash", "resolve"]
    wanted = {"ANTHROPIC_API_KEY", "HOME", "LANG", "MY_REGION", "PATH", "TERM", "TMPDIR"}
    assert set(notes["variables"]) - {"LC_CTYPE", "PWD"} == wanted


ATTEMPTS = """
def tries(what):
    try:
        return what() or "done"
    except Exception as error:
        return type(error).__name__
def connect(family, address):
    with socket.socket(family) as client:
        client.settimeout(3)
        client.connect(address)
folder, port = PROMPT.split()
say(
    host=tries(lambda: connect(socket.AF_INET, ("127.0.0.1", int(port)))),
    repository="done" if tries(lambda: os.listdir(folder)) != "FileNotFoundError" else "absent",
)
"""


@BOTH
async def test_what_the_sandbox_keeps_from_an_agent_it_could_do_without_one(
    *, confined: bool
) -> None:
    """Else the next test could not fail."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ticket = f"{REPOSITORY} {listener.getsockname()[1]}"
        session = FakeSession(briefing=Briefing(role="", prior="", ticket=ticket))
        await run(ATTEMPTS, session, confined=confined)
    notes = told(session)
    wanted = ("ConnectionRefusedError", "absent") if confined else ("done", "done")
    assert (notes["host"], notes["repository"]) == wanted


@needs_sandbox
async def test_an_agent_reaches_nothing_but_its_tools_and_its_model() -> None:
    script = """
import glob
def tries(what):
    try:
        return what() or "done"
    except Exception as error:
        return type(error).__name__
def connect(family, address):
    with socket.socket(family) as client:
        client.settimeout(3)
        client.connect(address)
say(
    host=tries(lambda: connect(socket.AF_INET, ("127.0.0.1", int(PROMPT.split("port ")[1])))),
    internet=tries(lambda: connect(socket.AF_INET, ("1.1.1.1", 443))),
    resolver=tries(lambda: socket.getaddrinfo("api.anthropic.com", 443)),
    repository=tries(lambda: os.listdir(PROMPT.split("folder ")[1].split(" ")[0])),
    usr=tries(lambda: open("/usr/mine", "w")),
    room=tries(lambda: open("/run/agent/mine", "w")),
    relay=tries(lambda: open("/run/agent/relay.py", "a")),
    root=sorted(os.listdir("/")),
    sockets=sorted(glob.glob("/run/**/*", recursive=True)),
)
seen = ""
for path in glob.glob("/proc/*/cmdline") + glob.glob("/proc/*/environ"):
    try:
        seen += open(path).read() + "|"
    except OSError:
        pass
for folder, _, files in os.walk("/run"):
    for name in files:
        try:
            seen += open(f"{folder}/{name}").read()
        except OSError:
            pass
say(seen=seen)
say(other=post(MODEL + "/v1/files", {}), wrong=post(TOOLS.replace("/mcp", "/x"), {}))
"""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        prompt = f"folder {REPOSITORY} port {port}"
        briefing = Briefing(role="", prior="", ticket=prompt)
        session = FakeSession(briefing=briefing)
        left = await run(script, session, files={"agent.py": PRELUDE + script})
    assert left.outcome is SessionOutcome.GAVE_UP, left
    notes = told(session)
    assert notes["host"] == "ConnectionRefusedError"
    assert notes["internet"] in {"OSError", "TimeoutError"}
    assert notes["resolver"] == "gaierror"
    assert notes["repository"] == "FileNotFoundError"
    assert {notes["usr"], notes["room"], notes["relay"]} <= {"OSError", "PermissionError"}
    assert set(notes["root"]) <= {
        *("bin", "dev", "etc", "lib", "lib32", "lib64", "libx32"),
        *("opt", "proc", "run", "sbin", "tmp", "usr"),
    }
    assert {Path(path).name for path in notes["sockets"]} == {
        *("agent", "agent.py", "config.json", "files", "model.sock", "passwd"),
        *("relay.py", "stdin", "tools.sock"),
    }
    assert KEY not in notes["seen"]
    assert str(REPOSITORY) not in notes["seen"].replace(prompt, "")
    assert notes["other"][0] == 403
    assert notes["wrong"][0] == 404


@BOTH
async def test_nothing_of_an_agent_is_left_when_it_is_ended(*, confined: bool) -> None:
    session = FakeSession()
    mark = f"left-behind-{os.getpid()}-{confined}"
    # `bash` below is the moment at which the budget is over: by then the child runs
    script = f"""
child = "import time; time.sleep(600) # {mark}"
subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.DEVNULL)
call("bash", command="ls")
__import__("time").sleep(600)
"""

    class UntilCalled(FakeSession):
        def over_budget(self) -> str:
            return "over" if self.calls else ""

    session = UntilCalled()
    left = await run(script, session, confined=confined)
    assert (left.outcome, left.reason) == (SessionOutcome.BUDGET_SPENT, "over")
    async with asyncio.timeout(60):
        while any(marked(mark)):  # noqa: ASYNC110 - the kernel decides when what was killed is gone
            await asyncio.sleep(0.02)


@BOTH
async def test_a_crash_is_told_by_its_last_words_without_anything_secret(*, confined: bool) -> None:
    script = f"""
sys.stderr.write("x" * 100_000 + "\\nthe key {KEY} and AIzaSyA0123456789abcdefghij\\n")
sys.exit(3)
"""
    left = await run(script, FakeSession(), confined=confined)
    assert left.outcome is SessionOutcome.FAILED
    assert "exit code 3" in left.reason
    assert left.reason.endswith("the key [key] and [key]")


@BOTH
async def test_an_agent_that_is_killed_is_told_as_a_shell_tells_it(*, confined: bool) -> None:
    left = await run("os.kill(os.getpid(), 9)", FakeSession(), confined=confined)
    assert (left.outcome, "exit code 137" in left.reason) == (SessionOutcome.FAILED, True)


async def test_lines_are_kept_whole_and_a_monstrous_one_is_cut() -> None:
    session = FakeSession()
    script = """
note = {"type": "note", "text": "x" * 3_000_000}
sys.stdout.write(json.dumps(note) + "\\n")
sys.stdout.write('{"type": "note", "text": "' + "y" * 20_000_000 + '"}\\n')
sys.stdout.write('{"type": "note", "text": "the last, without an end"}')
"""
    await run(script, session, confined=False)
    first, second, last = (text for (text,) in session.trace.of("remark"))
    assert len(first) == 3_000_000
    assert second.endswith(f"({16 << 20} chars)")
    assert last == "the last, without an end"


async def test_the_models_api_that_is_away_is_no_fault_of_the_agents() -> None:
    left = await run('post(MODEL + "/v1/messages", {}); sys.exit(1)', FakeSession(), confined=False)
    assert left.outcome is SessionOutcome.UNAVAILABLE
    assert "cannot be reached" in left.reason


async def test_without_a_sandbox_an_agent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "unavailable", lambda _: "bubblewrap needs Linux")
    left = await run("", FakeSession())
    assert left.outcome is SessionOutcome.UNAVAILABLE
    assert "there is none to be had: bubblewrap needs Linux" in left.reason


@pytest.mark.parametrize(
    ("environ", "more", "message"),
    [
        ({}, {}, "set ANTHROPIC_API_KEY"),
        ({"ANTHROPIC_API_KEY": KEY}, {"needs": ("MY_REGION",)}, "needs MY_REGION"),
        ({"ANTHROPIC_API_KEY": KEY}, {"executable": "no-such-agent"}, "RATCHET_NO_SUCH_AGENT"),
    ],
)
async def test_what_is_missing_is_told(
    environ: Mapping[str, str], more: dict[str, Any], message: str
) -> None:
    runner = AgentProcesses(environ=environ, confined=False)
    left = await CommandDriver(adapter("", **more), runner).drive(FakeSession())
    assert left.outcome is SessionOutcome.UNAVAILABLE
    assert message in left.reason


@needs_sandbox
@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's agents run as that user")
async def test_a_program_that_the_agents_user_cannot_reach_is_told(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    program = hidden / "real"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    left = await run("", FakeSession(), executable=str(program))
    assert left.outcome is SessionOutcome.UNAVAILABLE
    assert "install it below /usr/local" in left.reason


async def test_a_base_url_of_the_options_is_where_the_model_is_asked() -> None:
    session = FakeSession(options=OperatorOptions(base_url="http://127.0.0.1:1"))
    left = await run('post(MODEL + "/v1/messages", {}); sys.exit(1)', session, confined=False)
    assert ":1 " in left.reason or "127.0.0.1:1" in left.reason


async def test_a_sandbox_is_looked_for_once_and_not_while_others_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[str] = []

    def look(_: Identity) -> None:
        looked.append(threading.current_thread().name)

    monkeypatch.setattr(sandbox, "unavailable", look)
    environ = {"ANTHROPIC_API_KEY": KEY, "PATH": os.environ["PATH"]}
    driver = CommandDriver(adapter("pass"), AgentProcesses(environ=environ))
    for _ in range(2):
        await driver.drive(FakeSession())
    assert len(looked) == 1
    assert looked != [threading.main_thread().name]


async def test_a_machine_without_room_for_an_agent_is_none_of_its_faults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(prefix: str) -> str:
        raise OSError(28, f"no space for {prefix}")

    monkeypatch.setattr("campaign.adapters.agents.room.tempfile.mkdtemp", full)
    left = await run("pass", FakeSession(), confined=False)
    assert left.outcome is SessionOutcome.UNAVAILABLE
    assert "no space" in left.reason
