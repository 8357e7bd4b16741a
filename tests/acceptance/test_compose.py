"""`docker compose up`, as it lies in the repository. RATCHET_COMPOSE=1; needs docker and images."""

from __future__ import annotations

import json
import os
import time
import urllib.request

import pytest

from tests.compose_kit import Project, project, why_no_engine

#: one of the users that the app runs as
APP = "10011"
#: a fault of the harness in one of these spoils the trial
UNDER_LOAD = ("disturbed", "repairing", "recovering")

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("RATCHET_COMPOSE") != "1", reason="RATCHET_COMPOSE=1 builds and starts it"
    ),
    pytest.mark.timeout(1800),
]


@pytest.fixture(scope="module", autouse=True)
def engine() -> None:
    """It was asked for: to be skipped silently would be a lie."""
    if problem := why_no_engine():
        pytest.fail(f"RATCHET_COMPOSE=1, but {problem}")


def up(stack: Project) -> float:
    """Brought up until all is healthy; how long that took once the images were there, seconds."""
    stack.run("build", timeout_s=1500)
    began = time.monotonic()
    stack.run("up", "--detach", "--wait")
    return time.monotonic() - began


def test_a_trial_is_resolved_and_nothing_is_left_behind() -> None:
    with project(RATCHET_LADDER="missing_index") as stack:
        assert up(stack) < 180
        stack.until_said("campaign", "operator reference: no API key", "http://127.0.0.1:")
        state = stack.until("finished", timeout_s=420)
        (trial,) = state["trials"]
        assert trial["verdict"] == "resolved"
        # The app ends with its campaign, and its container is started anew.
        stack.until_anew("app", since=trial["ended_at"])
        records = stack.inside(
            "app", "sh", "-c", "cat /var/lib/ratchet/app/runs/*/supervisor/*.jsonl"
        )
        assert any('"ok":true' in line.replace(" ", "") for line in records.stdout.splitlines())
        _everything_is_up(stack)
        _the_app_can_reach_nothing(stack)
        stack.run("down", "--volumes")
        assert stack.left() == {}


def test_a_campaign_goes_on_after_the_whole_stack_was_restarted() -> None:
    with project(RATCHET_LADDER="missing_index") as stack:
        up(stack)
        stack.until(*UNDER_LOAD, timeout_s=300)
        stack.run("down")
        stack.run("up", "--detach", "--wait")
        stack.until_said("campaign", "goes on where it was cut short")
        (trial,) = stack.until("finished", timeout_s=420)["trials"]
        assert trial["verdict"] in {"resolved", "inconclusive"}


def test_one_trial_alone_is_one_command() -> None:
    with project() as stack:
        stack.run("build", timeout_s=1500)
        words = ("trial", "missing_index", "--json")
        done = stack.run("run", "--rm", "--no-TTY", "campaign", *words, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        (trial,) = json.loads(done.stdout)["trials"]
        assert trial["verdict"] == "resolved"


def _everything_is_up(stack: Project) -> None:
    paths = {
        "PAGE_PORT": "/healthz",
        "GRAFANA_PORT": "/api/health",
        "PROMETHEUS_PORT": "/-/ready",
        "LOCUST_PORT": "/",
    }
    for name, path in paths.items():
        assert _answers(int(stack.variables[name]), path), name


def _answers(port: int, path: str) -> bool:
    """At a campaign's end the load generator is started anew: it may just be away."""
    url = f"http://127.0.0.1:{port}{path}"
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return bool(answer.status == 200)
        except OSError:
            time.sleep(0.5)  # another container is on its way
    return False


def _the_app_can_reach_nothing(stack: Project) -> None:
    releases = stack.inside("campaign", "sh", "-c", "ls -d /var/lib/ratchet/releases/*/*")
    release = releases.stdout.split()[0]
    assert stack.inside("app", "cat", f"{release}/main.py", user=APP).returncode == 0
    refused = {
        "the supervisor's socket": "s.connect('/run/ratchet/control/supervisor.sock')",
        "its configuration": "open('/run/ratchet/control/supervisor.json')",
        "the supervisor's code": "os.listdir('/opt/ratchet')",
        "the records of a campaign": "os.listdir('/var/lib/ratchet/app/runs')",
        "the list of releases": "os.listdir('/var/lib/ratchet/releases')",
        "a release": f"open('{release}/main.py', 'w')",
        "a socket in the place of another": "s.bind('/run/postgresql/.s.PGSQL.5433')",
        "the public socket": "os.unlink('/run/ratchet/app/app.sock')",
        "the root": "open('/etc/passwd', 'a')",
        "the network": "socket.create_connection(('1.1.1.1', 53), 2)",
        "names": "socket.getaddrinfo('prometheus', 9090)",
    }
    for what, attack in refused.items():
        code = f"import os, socket; s = socket.socket(socket.AF_UNIX); {attack}"
        tried = stack.inside("app", "python3", "-c", code, user=APP)
        assert tried.returncode != 0, f"the app reaches {what}"
        assert "rror: [Errno" in tried.stderr, tried.stderr
    interfaces = stack.inside("app", "ls", "/sys/class/net", user=APP).stdout.split()
    assert interfaces == ["lo"]
    database = (
        "import socket; socket.socket(socket.AF_UNIX).connect('/run/postgresql/.s.PGSQL.5432')"
    )
    allowed = stack.inside("app", "python3", "-c", database, user=APP)
    assert allowed.returncode == 0, allowed.stderr
