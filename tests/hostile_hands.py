"""Our own hands in a container of the compose stack: a Python there that does what it is told."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.compose_kit import Project

#: of the harness's own, with its packages
PYTHON = "/opt/ratchet/venv/bin/python3"

_PATIENT_S = 5.0

#: reads code, a line of JSON each, and says what `result` is then
_LISTEN = """
import json, sys
space = {}
for line in sys.stdin:
    space["result"] = None
    try:
        exec(json.loads(line), space)
        said = {"said": space["result"]}
    except BaseException as error:
        said = {"failed": repr(error)}
    print(json.dumps(said, default=str), flush=True)
"""

#: what they all can do
_SKILLS = """
import http.client, glob, json, os, re, signal, socket, subprocess, sys, time
class Way(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("container", timeout=60)
        self.path = path
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)
def ask(path, method, url, body=None):
    way = Way(path)
    way.request(method, url, None if body is None else json.dumps(body))
    answer = way.getresponse()
    said = answer.read().decode()
    if answer.status != 200:
        raise OSError(f"{answer.status}: {said}")
    return said
victim = None
def a_victim(secret, careless):
    global victim
    waits = ["-IS", "-c", "import time\\nwhile True: time.sleep(60)", "victim"]
    words = [sys.executable, *waits, *([secret] if careless else [])]
    if victim is not None and victim.args != words:
        victim.kill()
        victim.wait()
    if victim is None or victim.poll() is not None:
        victim = subprocess.Popen(words, env={"ANTHROPIC_API_KEY": secret})
    return victim.pid
def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    return done.stdout or done.stderr
def of_user(uid):
    found = []
    for path in glob.glob("/proc/[0-9]*/status"):
        try:
            status = dict(line.split(":", 1) for line in open(path) if ":" in line)
        except OSError:
            continue
        if int(status["Uid"].split()[0]) == uid and not status["State"].strip().startswith("Z"):
            found.append(int(status["Pid"]))
    return found
def with_word(word):
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            if word in open(path).read().split("\\0"):
                found.append(int(path.split("/")[2]))
        except OSError:
            pass
    return found
"""


@dataclass(kw_only=True)
class Hands:
    """One such Python; what it learns it keeps."""

    process: subprocess.Popen[str] = field(repr=False)

    def do(self, code: str, /, **given: Any) -> Any:
        """Run it with these names; what it leaves in `result`, as JSON has it.

        Raises:
            AssertionError: it raised something, or has ended.
        """
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        names = "".join(f"{name} = {value!r}\n" for name, value in given.items())
        stdin.write(json.dumps(names + code) + "\n")
        stdin.flush()
        line = stdout.readline()
        assert line, f"it has ended: {code[:200]}"
        said = json.loads(line)
        assert "failed" not in said, said["failed"]
        return said["said"]


@contextmanager
def hands(stack: Project, service: str, *, python: str = PYTHON, user: str = "") -> Iterator[Hands]:
    """As its first user, or as another one."""
    who = ("--user", user) if user else ()
    words = ("exec", "--no-TTY", *who, service, python, "-c", _LISTEN)
    with subprocess.Popen(
        [*stack.command, *words],
        env=stack.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        made = Hands(process=process)
        try:
            made.do(_SKILLS)
            yield made
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(timeout=_PATIENT_S)
            except subprocess.TimeoutExpired:
                process.kill()
