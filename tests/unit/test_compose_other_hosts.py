"""What deploy/compose adds to docker-compose.yml, so that load can come from other hosts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from loadgen.config import DEFAULT_MASTER_PORT, Config
from loadgen.options import parser, read_config

ROOT = Path(__file__).parents[2]
OVERRIDE = ROOT / "deploy/compose/other-hosts.yml"
WORKER = ROOT / "deploy/compose/worker.yml"
PAGE = (ROOT / "docs/load.md").read_text()
#: what worker.yml does not go without
GIVEN = {
    "WORKER_NAME": "host-b",
    "WORKER_USER": "1000",
    "LOAD_TOKEN_FILE": "load.token",
    "METRICS_ADDRESS": "172.20.0.1:19646",
}
_VARIABLE = re.compile(r"\$\{([A-Z_]+):([-?])([^}]*)\}")


def read(file: Path) -> dict[str, Any]:
    return dict(YAML(typ="safe").load(file.read_text()))


BASE = read(ROOT / "docker-compose.yml")
ADDED: Mapping[str, dict[str, Any]] = read(OVERRIDE)["services"]


def filled(text: str, **given: str) -> str:
    """With the variables as given, or as they are if nothing is said."""

    def value(match: re.Match[str]) -> str:
        assert match[1] in given or match[2] == "-", f"{match[1]} has no default"
        return given.get(match[1], match[3])

    return _VARIABLE.sub(value, text)


def variables(file: Path) -> set[str]:
    return {match[1] for match in _VARIABLE.finditer(file.read_text())}


def workers_in(page: str) -> Iterator[list[str]]:
    """The words after `python -m loadgen` of each worker that a page starts without a file."""
    for block in re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            _, found, rest = line.partition("python -m loadgen ")
            if found and "--worker" in rest and "--config" not in rest:
                yield shlex.split(rest, comments=True)


def config_of(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """As the process understands them, its token given one way or the other."""
    token = tmp_path / "token"
    token.write_text("t\n")
    monkeypatch.setenv("RATCHET_LOAD_TOKEN", "t")
    given = parser().parse_args(words)
    if given.token_file is not None:
        given.token_file = token
    return read_config(given)


def test_it_speaks_of_services_and_networks_that_there_are() -> None:
    assert set(ADDED) <= set(BASE["services"])
    networks = {name for service in ADDED.values() for name in service.get("networks", ())}
    assert networks <= set(BASE["networks"])


def test_the_way_to_the_master_and_to_the_app_is_published_and_no_other() -> None:
    ports = {name: service["ports"] for name, service in ADDED.items() if "ports" in service}
    told = {name: [filled(port) for port in each] for name, each in ports.items()}
    edge = BASE["services"]["edge"]
    assert told == {
        "loadgen-master": [f"127.0.0.1:{DEFAULT_MASTER_PORT}:{DEFAULT_MASTER_PORT}"],
        "edge": ["127.0.0.1:8000:8000"],
    }
    dockerfile = (ROOT / edge["build"]["dockerfile"]).read_text()
    assert '"--port", "8000"' in dockerfile


def test_both_are_on_the_address_that_is_named() -> None:
    for service in ("loadgen-master", "edge"):
        (port,) = ADDED[service]["ports"]
        assert filled(port, LOAD_ADDRESS="10.0.0.5").startswith("10.0.0.5:")


def test_whoever_publishes_is_on_a_network_that_can_and_on_none_that_leads_out() -> None:
    """Also when a list replaces the one below it, as older versions of compose have it."""
    for name in ("loadgen-master", "edge"):
        networks = ADDED[name].get("networks", BASE["services"][name]["networks"])
        assert sorted(networks) == ["inside", "pages"]


def test_nobody_else_gets_a_network() -> None:
    assert {name for name, service in ADDED.items() if "networks" in service} == {"edge"}


def test_nothing_else_is_changed() -> None:
    assert {name: set(service) for name, service in ADDED.items()} == {
        "loadgen-master": {"ports", "command", "healthcheck"},
        "edge": {"networks", "ports"},
        "campaign": {"environment"},
    }


def test_the_master_is_told_what_it_is_told_otherwise_but_for_how_many_there_are() -> None:
    def rest(command: list[str]) -> list[str]:
        return [word for word in command if not word.startswith("--expect-workers=")]

    master = ADDED["loadgen-master"]["command"]
    assert rest(master) == rest(BASE["services"]["loadgen-master"]["command"])
    assert len(master) == len(rest(master)) + 1


def test_master_and_campaign_wait_for_the_same_number() -> None:
    (expected,) = (
        word.partition("=")[2]
        for word in ADDED["loadgen-master"]["command"]
        if word.startswith("--expect-workers=")
    )
    assert ADDED["campaign"]["environment"] == {"RATCHET_LOAD_WORKERS": expected}
    assert "RATCHET_LOAD_WORKERS" in BASE["services"]["campaign"]["environment"]
    assert (filled(expected), filled(expected, LOAD_EXPECTED="5")) == ("2", "5")


def test_somebody_has_the_time_that_the_page_names_to_start_the_others() -> None:
    assert ADDED["loadgen-master"]["healthcheck"] == {"start_period": "300s"}
    assert "waits five minutes" in PAGE


def test_every_variable_has_a_default_and_is_explained_in_the_file() -> None:
    explained = re.findall(r"^#   ([A-Z_]+) .* (\S+)$", OVERRIDE.read_text(), re.MULTILINE)
    defaults = {match[1]: match[3] for match in _VARIABLE.finditer(OVERRIDE.read_text())}
    assert dict(explained) == defaults


def test_a_worker_s_container_is_as_confined_as_those_of_the_campaign() -> None:
    worker, here = read(WORKER)["services"]["worker"], BASE["services"]["loadgen-worker"]
    same = ("read_only", "cap_drop", "security_opt", "logging", "restart", "image", "pids_limit")
    assert {key: worker[key] for key in same} == {key: here[key] for key in same}
    assert {key: worker[key] for key in ("cpus", "cpuset", "mem_limit")} == {
        key: here[key] for key in ("cpus", "cpuset", "mem_limit")
    }
    assert "volumes" not in worker
    assert not {"privileged", "cap_add", "pid", "ipc"} & set(worker)


def test_a_worker_s_container_is_built_from_where_the_campaign_s_are() -> None:
    build = read(WORKER)["services"]["worker"]["build"]
    assert (WORKER.parent / build["context"]).resolve() == ROOT
    assert build["dockerfile"] == BASE["services"]["loadgen-worker"]["build"]["dockerfile"]


def test_a_worker_s_container_is_told_what_a_worker_understands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [filled(word, **GIVEN) for word in read(WORKER)["services"]["worker"]["command"]]
    config = config_of(words, tmp_path, monkeypatch)
    assert config.role == "worker"
    assert (config.master_host, config.master_port) == ("127.0.0.1", DEFAULT_MASTER_PORT)
    assert config.app_address == "127.0.0.1:8000"
    assert config.metrics_address == GIVEN["METRICS_ADDRESS"]


def test_a_worker_s_container_is_asked_for_its_health_where_its_metrics_are() -> None:
    worker = read(WORKER)["services"]["worker"]
    given = {**GIVEN, "WORKER_HOST": "10.0.0.6", "WORKER_PORT": "9647"}
    words = [filled(word, **given) for word in worker["command"]]
    assert {"--web-host=10.0.0.6", "--web-port=9647"} <= set(words)
    assert filled(worker["healthcheck"]["test"][-1], **given) == "http://10.0.0.6:9647/metrics"


def test_the_token_is_a_file_and_in_no_environment() -> None:
    document = read(WORKER)
    assert "environment" not in document["services"]["worker"]
    assert document["services"]["worker"]["secrets"] == ["load_token"]
    assert filled(document["secrets"]["load_token"]["file"], **GIVEN) == "load.token"


def test_the_page_prints_workers_that_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = [config_of(words, tmp_path, monkeypatch) for words in workers_in(PAGE)]
    assert len(printed) == 4
    assert all(config.role == "worker" for config in printed)


def test_the_page_names_what_a_container_has_to_be_told() -> None:
    for name in GIVEN | {"MASTER_HOST": "", "APP_ADDRESS": "", "WORKER_HOST": ""}:
        assert name in variables(WORKER)
        assert re.search(rf"\b{name}\b", PAGE), name
    for name in ("LOAD_EXPECTED", "LOAD_ADDRESS"):
        assert re.search(rf"\b{name}\b", PAGE), name


def test_the_page_reads_the_token_where_it_is() -> None:
    from campaign.stack.compose.places import ComposePlaces  # noqa: PLC0415 - its one use

    assert f"cat campaign \\\n  {ComposePlaces(load_workers=1).loadgen_token} |" in PAGE
