"""A shell of the operator's in the compose stack, driven from the campaign's container."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.compose_kit import ROOT, Project

PYTHON = "/opt/ratchet/venv/bin/python3"
KEY = "sk-ant-only-for-this-test"

#: runs in the campaign's container, with its own code: one session, command by command
_DRIVER = """
import asyncio, json, sys
from operators import ToolError
from campaign.rooms import shells_elsewhere
from campaign.stack import ComposePlaces
async def main():
    asked = json.load(sys.stdin)
    made = ComposePlaces().tool_environments.iterdir()
    shells = shells_elsewhere(next(each for each in made if each.is_dir()))
    said = []
    async with (shells.open_to_look() if asked["looks"] else shells.open()) as shell:
        for command in asked["commands"]:
            try:
                done = await shell.run(command, timeout_s=asked["timeout_s"])
                said.append({"exit_code": done.exit_code, "output": done.output})
            except ToolError as refused:
                said.append({"exit_code": None, "output": str(refused)})
    print(json.dumps(said))
asyncio.run(main())
"""

#: what an attack may use; it has succeeded when it raises nothing
_PRELUDE = """
import asyncio, asyncpg, ctypes, glob, os, signal, socket, time
libc = ctypes.CDLL(None, use_errno=True)
def called(code):
    if code < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
def unix(path):
    socket.socket(socket.AF_UNIX).connect(path)
def sql(text, **who):
    async def ask():
        told = {"host": "/run/postgresql", "user": "chat", "database": "chat", **who}
        way = await asyncpg.connect(**told, timeout=5)
        try:
            return await way.fetch(text)
        finally:
            await way.close()
    return asyncio.run(ask())
def of_others():
    mine = os.getuid()
    for each in glob.glob("/proc/[0-9]*"):
        with open(each + "/status") as status:
            uid = next(int(line.split()[1]) for line in status if line.startswith("Uid:"))
        if uid != mine:
            yield int(each.rsplit("/", 1)[1])
"""


@dataclass(frozen=True, kw_only=True)
class Said:
    """How a command ended; `exit_code` is None when the shell was ended with it."""

    exit_code: int | None
    output: str


def in_shell(
    stack: Project, *commands: str, looks: bool = False, timeout_s: float = 60.0
) -> list[Said]:
    """One session of its own; nothing may be played meanwhile."""
    asked = json.dumps({"looks": looks, "commands": commands, "timeout_s": timeout_s})
    told = stack.run("exec", "--no-TTY", "campaign", PYTHON, "-c", _DRIVER, stdin=asked)
    return [Said(**each) for each in json.loads(told.stdout)]


def attack(code: str) -> str:
    """A command that prints GOT, or why not."""
    tried = "\n".join(f"    {line}" for line in code.splitlines())
    program = (
        f"{_PRELUDE}\ntry:\n{tried}\n"
        "except (OSError, asyncpg.PostgresError) as error:\n    print('refused:', repr(error))\n"
        "else:\n    print('GOT')\n"
    )
    return f"python3 - <<'ATTACK'\n{program}ATTACK"


@contextmanager
def fake_of_the_api(bridge: str, record: Path) -> Iterator[str]:
    """A model that finds things out, on an address of this machine; its base URL."""
    words = ("--host", bridge, "--model", "tests.fake_messages.oncall:OnCall", "--api-key", KEY)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fake_messages", *words, "--record", str(record)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            told: dict[str, Any] = json.loads(process.stdout.readline())
            yield str(told["base_url"])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def bridge_address() -> str:
    """Of this machine, as containers reach it."""
    told = subprocess.run(
        ["docker", "network", "inspect", "bridge"], capture_output=True, text=True, check=True
    )
    (network,) = json.loads(told.stdout)
    return str(network["IPAM"]["Config"][0].get("Gateway", "172.17.0.1"))
