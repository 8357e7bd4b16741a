"""Operators with tools in the compose stack: one that resolves, and one that is hostile.

RATCHET_COMPOSE=1; needs docker and images. The model is the tests' own, on the docker bridge.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.compose_kit import Project, project, why_no_engine
from tests.compose_shell_kit import (
    KEY,
    attack,
    bridge_address,
    fake_of_the_api,
    in_shell,
)
from tests.hostile_containers import FORBIDDEN

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("RATCHET_COMPOSE") != "1", reason="RATCHET_COMPOSE=1 builds and starts it"
    ),
    pytest.mark.timeout(1800),
]


@dataclass(frozen=True, kw_only=True)
class Played:
    """A stack whose campaign is over, and what the model was asked."""

    stack: Project
    state: dict[str, Any]
    record: Path
    said: str


@pytest.fixture(scope="module")
def bridge() -> str:
    if problem := why_no_engine():
        pytest.fail(f"RATCHET_COMPOSE=1, but {problem}")
    return bridge_address()


@pytest.fixture(scope="module")
def played(bridge: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """`docker compose up` with a key."""
    record = tmp_path_factory.mktemp("fake") / "asked.json"
    with (
        fake_of_the_api(bridge, record) as url,
        project(
            RATCHET_LADDER="missing_index", ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL=url
        ) as stack,
    ):
        stack.run("build", timeout_s=1500)
        stack.run("up", "--detach", "--wait")
        state = stack.until("finished", timeout_s=600)
        said = stack.run("logs", "campaign").stdout
        yield Played(stack=stack, state=state, record=record, said=said)


def test_with_a_key_claude_resolves_the_ticket_and_it_is_said_why(played: Played) -> None:
    assert "operator claude: there is an API key" in played.said
    (trial,) = played.state["trials"]
    assert trial["verdict"] == "resolved", played.said[-4000:]
    assert trial["session_end"] == "resolved"
    assert trial["deployments"] - trial["deployments_failed"] >= 1


def test_the_operator_used_its_shell(played: Played) -> None:
    assert " bash(" in played.said
    assert "harness gave up" not in played.said


def test_the_key_is_a_file_of_the_campaigns_and_nowhere_else(played: Played) -> None:
    stack = played.stack
    file = "/run/ratchet/secrets/anthropic_api_key"
    assert stack.inside("campaign", "cat", file).stdout.strip() == KEY
    for service in ("campaign", "shell", "app", "postgres", "loadgen-worker", "edge"):
        container = stack.run("ps", "--quiet", service).stdout.strip()
        told = subprocess.run(
            ["docker", "inspect", container], capture_output=True, text=True, check=True
        )
        assert KEY not in told.stdout, service
        if service != "campaign":
            assert stack.inside(service, "cat", file).returncode != 0, service
    looking = f"grep -rlsa {KEY[:12]}[{KEY[12]}]{KEY[13:]} /etc /home /opt /run /srv /tmp /var"
    (found,) = in_shell(stack, f"{looking}; env | grep -c ANTHROPIC")
    assert found.output == "0\n"
    journal = "grep -rlsa sk-ant-only /var/lib/ratchet/runs"
    assert stack.inside("campaign", "sh", "-c", journal).stdout == ""


def test_what_is_meant_to_be_reached_is_reached(played: Played) -> None:
    work = (
        "id -un; pwd; test -w main.py && echo writable",
        attack("sql('SELECT count(*) FROM messages')"),
        "python3 -m pytest --version && git --version && cd /tmp && touch here",
    )
    who, database, tools = in_shell(played.stack, *work)
    assert who.output == "oncall\n/srv/app\nwritable\n"
    assert database.output == "GOT\n"
    assert tools.exit_code == 0, tools.output


@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_hostile_shell_does_not_get(what: str, played: Played, bridge: str) -> None:
    (tried,) = in_shell(played.stack, attack(FORBIDDEN[what].replace("BRIDGE", bridge)))
    assert tried.exit_code == 0, tried.output
    assert tried.output.startswith("refused:"), f"it got {what}: {tried.output}"


def test_who_only_looks_changes_nothing_and_has_no_database(played: Played) -> None:
    who, writes, database, reads = in_shell(
        played.stack,
        "id -un",
        attack("open('/srv/app/main.py', 'a')"),
        attack("sql('SELECT 1')"),
        "head -c 3 main.py",
        looks=True,
    )
    assert who.output == "lookout\n"
    assert writes.output.startswith("refused: PermissionError")
    assert database.output.startswith("refused: PermissionError")
    assert (reads.exit_code, len(reads.output)) == (0, 3)


def test_nothing_of_a_session_is_there_in_the_next_one(played: Played) -> None:
    leaves = (
        "setsid setsid sleep 86399 >/dev/null 2>&1 & "
        "echo left > /tmp/left; echo left > /dev/shm/left; mkdir /tmp/shut; chmod 0 /tmp/shut; "
        "ipcmk --shmem 4096; until pgrep -xf 'sleep 8639[9]'; do sleep 0.1; done"
    )
    first, there = in_shell(played.stack, leaves, "pgrep -cxf 'sleep 8639[9]'; ls /tmp /dev/shm")
    assert first.exit_code == 0, first.output
    assert there.output == "1\n/dev/shm:\nleft\n\n/tmp:\nleft\nshut\n"
    (after,) = in_shell(
        played.stack, "pgrep -cf 'sleep 8639[9]'; ls -A /tmp /dev/shm; ipcs -m | grep -c oncall"
    )
    assert after.output == "0\n/dev/shm:\n\n/tmp:\n0\n"


def test_one_that_uses_too_much_is_ended_and_the_service_goes_on(played: Played) -> None:
    hog = "import os; keep = [bytearray(os.urandom(1)) * (256 << 20) for _ in range(20)]"
    memory, bomb, disk, output, slow, after = in_shell(
        played.stack,
        f'for each in 1 2 3 4; do (setsid python3 -c "{hog}; input()" &) ; done; sleep 50',
        "for each in $(seq 600); do sleep 50 & done; jobs -r | wc -l",
        "for each in $(seq 8); do head -c 100M /dev/zero > f$each; done; sleep 30",
        "head -c 20M /dev/zero | tr '\\0' x; echo end",
        "sleep 86398",
        "rm -f f*; echo well",
        timeout_s=60.0,
    )
    assert "of memory" in memory.output, memory.output[-300:]
    assert "Resource temporarily unavailable" in bomb.output, bomb.output[-300:]
    assert "of disk" in disk.output, disk.output[-300:]
    assert len(output.output) < 70_000
    assert "took longer than 60 s" in slow.output
    assert (after.exit_code, after.output) == (0, "well\n")


def test_a_service_that_was_killed_comes_back(played: Played) -> None:
    played.stack.kill("shell")
    played.stack.run("up", "--detach", "--wait", "--no-recreate", "shell")
    (after,) = in_shell(played.stack, "echo well")
    assert after.output == "well\n"
