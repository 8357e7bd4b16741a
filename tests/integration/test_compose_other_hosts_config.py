"""What docker makes of the files with which load comes from other hosts."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from tests.compose_kit import ROOT, why_no_engine

NO_ENGINE = why_no_engine()

pytestmark = pytest.mark.skipif(bool(NO_ENGINE), reason=f"NOT CHECKED with docker: {NO_ENGINE}")


def config(*files: str, **variables: str) -> dict[str, Any]:
    """`docker compose config`, without a word of complaint."""
    command = ["docker", "compose"]
    for file in files:
        command += ["--file", str(ROOT / file)]
    done = subprocess.run(
        [*command, "config", "--format", "json"],
        env={**kept(), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return dict(json.loads(done.stdout))


def kept() -> Mapping[str, str]:
    names = ("PATH", "HOME", "DOCKER_HOST")
    return {name: os.environ[name] for name in names if name in os.environ}


def published(service: Mapping[str, Any]) -> set[tuple[str, str, int]]:
    return {(port["host_ip"], port["published"], port["target"]) for port in service["ports"]}


def test_with_other_hosts_two_more_ports_are_published_where_they_are_wanted() -> None:
    base = config("docker-compose.yml")["services"]
    both = config("docker-compose.yml", "deploy/compose/other-hosts.yml", LOAD_ADDRESS="10.0.0.5")
    now = both["services"]
    master = "loadgen-master"
    assert published(now[master]) - published(base[master]) == {("10.0.0.5", "5557", 5557)}
    assert published(base[master]) <= published(now[master])
    assert published(now["edge"]) == {("10.0.0.5", "8000", 8000)}
    assert set(now["edge"]["networks"]) == {"inside", "pages"}


def test_with_other_hosts_the_rest_is_as_it_was() -> None:
    base = config("docker-compose.yml")["services"]
    now = config("docker-compose.yml", "deploy/compose/other-hosts.yml")["services"]
    changed = {name for name in base if base[name] != now[name]}
    assert changed == {"loadgen-master", "edge", "campaign"}
    before, after = (each["loadgen-master"]["healthcheck"] for each in (base, now))
    assert before["test"] == after["test"]
    assert now["campaign"]["environment"] == base["campaign"]["environment"] | {
        "RATCHET_LOAD_WORKERS": "2"
    }


def test_a_worker_of_another_host_is_accepted() -> None:
    given = {
        "WORKER_NAME": "host-b",
        "WORKER_USER": "1000",
        "LOAD_TOKEN_FILE": "load.token",
        "METRICS_ADDRESS": "172.20.0.1:19646",
    }
    worker = config("deploy/compose/worker.yml", **given)["services"]["worker"]
    assert "--name=host-b" in worker["command"]
    assert worker["network_mode"] == "host"
