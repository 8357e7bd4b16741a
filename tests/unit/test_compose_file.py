"""What docker-compose.yml promises of every container; read as it lies there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from campaign.stack.postgres import SETTINGS

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
#: runs once, before everything else, without a network
SETUP = "setup"


def compose() -> dict[str, Any]:
    return dict(YAML(typ="safe").load(COMPOSE.read_text()))


SERVICES: Mapping[str, dict[str, Any]] = compose()["services"]
LASTING = {name: service for name, service in SERVICES.items() if name != SETUP}


def volumes_of(service: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for volume in service.get("volumes", ()):
        source, target, *mode = str(volume).split(":")
        yield source, target, mode[0] if mode else "rw"


@pytest.mark.parametrize("name", SERVICES)
def test_nobody_has_the_docker_socket(name: str) -> None:
    assert "docker.sock" not in str(SERVICES[name])


@pytest.mark.parametrize("name", SERVICES)
def test_every_root_is_read_only_and_every_capability_dropped(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "pid" not in service
    assert "ipc" not in service


def test_capabilities_are_added_where_they_are_explained_and_nowhere_else() -> None:
    added = {
        name: set(service["cap_add"]) for name, service in SERVICES.items() if "cap_add" in service
    }
    assert added == {
        "setup": {"CHOWN", "FOWNER", "FSETID", "DAC_OVERRIDE"},
        "app": {"SETUID", "SETGID", "KILL"},
        "shell": {"SETUID", "SETGID", "KILL"},
    }


def test_only_those_with_capabilities_are_root() -> None:
    roots = {
        name for name, service in SERVICES.items() if str(service.get("user", "")).startswith("0")
    }
    assert roots == {"setup", "app", "shell"}


def test_what_is_published_is_published_on_the_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"campaign", "grafana", "prometheus", "loadgen-master"}
    for ports in published.values():
        for port in ports:
            assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z]+_PORT:-\d+\}:\d+", port), port


@pytest.mark.parametrize("name", ["app", "postgres", "shell", SETUP])
def test_the_app_its_database_and_the_shells_have_no_network(name: str) -> None:
    assert SERVICES[name]["network_mode"] == "none"
    assert "networks" not in SERVICES[name]


def test_only_the_campaign_has_a_way_out() -> None:
    networks = compose()["networks"]
    assert networks["inside"]["internal"] is True
    masquerade = networks["pages"]["driver_opts"]["com.docker.network.bridge.enable_ip_masquerade"]
    assert masquerade == "false"
    outside = {
        name for name, service in SERVICES.items() if "outside" in service.get("networks", ())
    }
    assert outside == {"campaign"}


def test_the_app_sees_sockets_and_releases_and_nothing_of_the_harness() -> None:
    seen = {source: mode for source, _, mode in volumes_of(SERVICES["app"])}
    assert seen == {
        "database-socket": "ro",
        "app-socket": "rw",
        "app-control": "rw",
        "app-state": "rw",
        "releases": "ro",
    }


def test_the_shells_see_the_work_tree_environments_and_the_databases_socket_alone() -> None:
    shell = SERVICES["shell"]
    assert sorted(volumes_of(shell)) == [
        ("database-socket", "/run/oncall/postgresql", "ro"),
        ("environments", "/var/lib/ratchet/environments", "ro"),
        ("shell-socket", "/run/ratchet/shell", "rw"),
        ("workspaces", "/srv", "rw"),
    ]
    assert "environment" not in shell
    assert "secrets" not in shell


def test_the_shells_get_a_tenth_of_the_processors_where_these_are_scarce() -> None:
    assert SERVICES["shell"]["cpu_shares"] * 10 <= 1024
    assert {name for name, service in SERVICES.items() if "cpu_shares" in service} == {"shell"}


def test_the_model_s_key_is_in_no_environment_but_that_of_setup() -> None:
    told = {
        name for name, service in SERVICES.items() if "API_KEY" in str(service.get("environment"))
    }
    assert told == {SETUP}


def test_the_keys_are_seen_by_the_campaign_alone() -> None:
    holders = {
        name
        for name, service in LASTING.items()
        if any(source == "secrets" for source, _, _ in volumes_of(service))
    }
    assert holders == {"campaign"}
    superusers = {
        name
        for name, service in LASTING.items()
        if any(source == "database-secret" for source, _, _ in volumes_of(service))
    }
    assert superusers == {"campaign", "postgres"}


@pytest.mark.parametrize("name", LASTING)
def test_every_service_that_stays_is_checked_and_brought_back(name: str) -> None:
    service = LASTING[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    # Docker 20.10 refuses it.
    assert "start_interval" not in service["healthcheck"]
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_bounded(name: str) -> None:
    assert "mem_limit" in SERVICES[name]
    assert "pids_limit" in SERVICES[name]
    assert SERVICES[name]["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", LASTING)
def test_nothing_starts_before_what_it_stands_on_is_healthy(name: str) -> None:
    for needed, how in LASTING[name]["depends_on"].items():
        wanted = "service_completed_successfully" if needed == SETUP else "service_healthy"
        assert how["condition"] == wanted


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned(name: str) -> None:
    _, tag = SERVICES[name]["image"].rsplit(":", 1)
    assert tag != "latest"
    assert re.search(r"\d", tag)


@pytest.mark.parametrize("file", sorted(ROOT.glob("deploy/images/*/Dockerfile")), ids=str)
def test_every_image_is_built_from_a_pinned_one_in_stages(file: Path) -> None:
    stages: set[str] = set()
    for line in file.read_text().splitlines():
        if match := re.fullmatch(r"FROM (\S+)(?: AS (\S+))?", line):
            assert match[1] in {"python:3.13-slim", "scratch"} | stages
            stages |= {match[2]} if match[2] else set()
    assert len(stages) > 1


def test_processors_are_pinned_only_by_the_environment() -> None:
    pinned = [service["cpuset"] for service in SERVICES.values() if "cpuset" in service]
    assert pinned
    assert all(re.fullmatch(r"\$\{[A-Z]+_CPUSET:-\}", cpuset) for cpuset in pinned)


def test_the_database_is_set_as_on_the_local_stack() -> None:
    """Else the two stacks would not judge alike."""
    command = SERVICES["postgres"]["command"]
    given = dict(word.split("=", 1) for word in command[1:] if word != "-c")
    differs = {
        name: (given.get(name), value)
        for name, value in SETTINGS.items()
        if given.get(name) != value
    }
    assert differs == {}


def test_the_database_lets_in_whom_the_local_stack_lets_in() -> None:
    from campaign.stack import postgres  # noqa: PLC0415 - what is private there

    def doors(text: str) -> list[list[str]]:
        return [line.split() for line in text.splitlines() if line and not line.startswith("#")]

    assert doors((ROOT / "deploy/postgres/pg_hba.conf").read_text()) == doors(postgres._HBA)


def test_every_variable_has_a_default_and_a_line_in_the_example() -> None:
    variables = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE.read_text()))
    without = {v for v in variables if not re.search(rf"\$\{{{v}:-[^}}]*\}}", COMPOSE.read_text())}
    assert without == set()
    explained = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert variables == explained
