"""The project's own compose file, brought up under another name, with ports of its own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PORTS = ("PAGE_PORT", "GRAFANA_PORT", "PROMETHEUS_PORT", "LOCUST_PORT")


def why_no_engine() -> str:
    """Why there is no docker with its compose plugin here; empty when there is."""
    if shutil.which("docker") is None:
        return "docker is not on PATH"
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return f"{' '.join(command)} fails: {done.stderr.strip()[:200]}"
    return ""


def free_ports(count: int) -> list[int]:
    """All different."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@dataclass(frozen=True, kw_only=True)
class Project:
    """One compose project; `run` and `ask` are commands in it."""

    name: str = field(default_factory=lambda: f"ratchet-test-{secrets.token_hex(3)}")
    variables: Mapping[str, str] = field(default_factory=dict)
    #: compose files that add to the project's own
    added: Sequence[Path] = ()

    @property
    def command(self) -> list[str]:
        """`docker compose` for this project; arguments follow."""
        files = [ROOT / "docker-compose.yml", *self.added]
        return [
            *("docker", "compose", "-p", self.name),
            *(word for file in files for word in ("--file", str(file))),
        ]

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ
        }
        return {**kept, **self.variables}

    def run(
        self, *words: str, check: bool = True, timeout_s: float = 600.0, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """`docker compose <words>`."""
        done = subprocess.run(
            [*self.command, *words],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        assert not check or done.returncode == 0, (
            f"{words}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
        )
        return done

    def inside(self, service: str, *words: str, user: str = "") -> subprocess.CompletedProcess[str]:
        """A command in the service's container, as another user of it if named."""
        who = ("--user", user) if user else ()
        return self.run("exec", "--no-TTY", *who, service, *words, check=False)

    def status(self) -> dict[str, Any]:
        """Of the newest campaign."""
        done = self.inside("campaign", "ratchet", "status", "--json")
        return dict(json.loads(done.stdout)) if done.returncode == 0 else {}

    def until(self, *phases: str, timeout_s: float) -> dict[str, Any]:
        """The campaign's state once it is in one of these phases."""
        deadline, state = time.monotonic() + timeout_s, dict[str, Any]()
        while time.monotonic() < deadline:
            state = self.status()
            if state.get("phase") in phases:
                return state
            time.sleep(1.0)  # another container decides, and only answers when it is asked
        log = self.run("logs", "--tail", "60", "campaign", check=False).stdout
        raise AssertionError(f"not {phases} within {timeout_s:g} s: {state}\n{log}")

    def until_said(self, service: str, *words: str, timeout_s: float = 60.0) -> None:
        """All of these are in its log; a service may be healthy before it says them."""
        deadline = time.monotonic() + timeout_s
        while True:
            log = self.run("logs", service).stdout
            if all(each in log for each in words):
                return
            assert time.monotonic() < deadline, f"{service} did not say {words}: {log[-4000:]}"
            time.sleep(0.5)  # as in `until`

    def pid_of(self, service: str) -> int:
        """Of its first process, on the host."""
        return _pid_of(self._container(service))

    def kill(self, service: str, *, timeout_s: float = 60.0) -> None:
        """Its first process; until the engine knows, it would call the service healthy."""
        container = self._container(service)
        killed, deadline = _pid_of(container), time.monotonic() + timeout_s
        os.kill(killed, signal.SIGKILL)
        while _pid_of(container) == killed:
            assert time.monotonic() < deadline, f"{service} is still there"
            time.sleep(0.1)

    def until_anew(self, service: str, *, since: float, timeout_s: float = 60.0) -> None:
        """It was started after that moment, seconds of the epoch, as at the end of a campaign."""
        deadline, container = time.monotonic() + timeout_s, self._container(service)
        while not (_pid_of(container) and _started_at(container) > since):
            assert time.monotonic() < deadline, f"{service} was not started anew"
            time.sleep(0.1)

    def _container(self, service: str) -> str:
        return self.run("ps", "--all", "--quiet", service).stdout.strip()

    def left(self) -> dict[str, list[str]]:
        """What there still is of it, by kind."""
        label = f"label=com.docker.compose.project={self.name}"
        kinds = {
            "containers": ("ps", "--all", "--quiet"),
            "volumes": ("volume", "ls", "--quiet"),
            "networks": ("network", "ls", "--quiet"),
        }
        found = {kind: _docker(*words, "--filter", label).split() for kind, words in kinds.items()}
        return {kind: names for kind, names in found.items() if names}


@contextmanager
def project(*, added: Sequence[Path] = (), **variables: str) -> Iterator[Project]:
    """Ended with all its volumes, whatever happens."""
    ports = map(str, free_ports(len(PORTS)))
    made = Project(variables=dict(zip(PORTS, ports, strict=True)) | variables, added=added)
    try:
        yield made
    finally:
        made.run("down", "--volumes", "--timeout", "20", check=False)


def _pid_of(container: str) -> int:
    """0: it does not run."""
    return int(_docker("inspect", "--format", "{{.State.Pid}}", container))


def _started_at(container: str) -> float:
    told = _docker("inspect", "--format", "{{.State.StartedAt}}", container)
    return datetime.fromisoformat(told.strip()).timestamp()


def _docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout
