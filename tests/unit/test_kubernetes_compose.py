"""A cluster runs what docker compose runs; each difference is named here, with its reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from campaign.cli.up import TOLD
from campaign.cli.variables import variable_of
from tests.kubernetes_kit import (
    MANIFESTS,
    ROOT,
    Document,
    PodOf,
    environment,
    identity,
    pods,
    read,
    render,
)

COMPOSE: Mapping[str, Any] = read(ROOT / "docker-compose.yml")[0]
SERVICES: Mapping[str, dict[str, Any]] = COMPOSE["services"]
DOCUMENTS = [*render(MANIFESTS / "base"), *render(MANIFESTS / "grafana")]
PODS = {pod.name: pod for pod in pods(DOCUMENTS)}
#: what a part is in a cluster: the container, and the pod that it is in
PARTS = {
    **{name: (name, name) for name in SERVICES},
    "setup": ("campaign", "setup"),
    "campaign": ("campaign", "daemon"),
}
#: parts that a campaign ends, so that they start anew (see `again`)
RESTARTED = {"postgres", "app", "loadgen-master", "loadgen-worker", "prometheus"}
AGAIN = ["/bin/sh", "/etc/ratchet/again"]
#: of images that are not ours: what they run when they are told nothing
ENTRYPOINTS = {
    "prom/prometheus": ["/bin/prometheus"],
    "grafana/grafana": ["/run.sh"],
}
#: the users of images that are not ours
USERS = {"prom/prometheus": "65534:65534", "grafana/grafana": "472:0"}

#: it plays what the job's other container asks for, and does not begin one by itself
DAEMON = ["serve", "--api-key-file", "/run/ratchet/secrets/anthropic_api_key"]
#: it may be on another node, without the volume: no socket, no file from the campaign, no spool
WORKER = [
    "--worker",
    "--master-host=loadgen-master",
    "--app-address=edge:8000",
    "--clients=loadgen.chat_db_app",
    "--token-file=/run/ratchet/load-token/token",
    "--web-host=0.0.0.0",
    "--web-port=8089",
]
#: what is played the job's container says, and nothing is published
NOT_THERE = {
    "campaign": set(map(variable_of, TOLD))
    | {f"RATCHET_{page}_PORT" for page in ("PAGE", "GRAFANA", "PROMETHEUS", "LOCUST")}
    | {"ANTHROPIC_BASE_URL", "RATCHET_WEBHOOK", "RATCHET_WEBHOOK_SECRET_FILE"},
    # a file (volume `given`)
    "setup": {"ANTHROPIC_API_KEY"},
}
ADDED = {
    "postgres": {"STOP_SIGNAL": SERVICES["postgres"]["stop_signal"].removeprefix("SIG")},
    "loadgen-master": {"LOAD_WORKERS": "2"},
    # One worker in compose, two in a cluster, if nothing is said.
    "campaign": {"RATCHET_LOAD_WORKERS": "2"},
}


def container_of(service: str) -> Document:
    pod, name = PARTS[service]
    return next(each for each in PODS[pod].containers if each["name"] == name)


def built(service: Mapping[str, Any]) -> dict[str, list[str]]:
    """ENTRYPOINT, CMD and USER of the image that compose builds."""
    told: dict[str, list[str]] = {}
    build = service["build"]
    last = stage = ""
    stages: dict[str, dict[str, list[str]]] = {}
    for line in (ROOT / build["dockerfile"]).read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            source, _, stage = rest.partition(" AS ")
            last = stage or "the last"
            told = stages[last] = dict(stages.get(source, {}))
        elif word in {"ENTRYPOINT", "CMD"}:
            told[word] = json.loads(rest)
        elif word == "USER":
            told[word] = [rest]
    return stages[build.get("target", last)]


def image_of(service: Mapping[str, Any]) -> dict[str, list[str]]:
    """The same of any image; what compose builds is built for one of the services with it."""
    name = service["image"].rpartition(":")[0]
    for each in SERVICES.values():
        if each["image"] == service["image"] and "build" in each:
            return built(each)
    return {
        "ENTRYPOINT": ENTRYPOINTS.get(name, []),
        "CMD": [],
        "USER": [USERS[name]] if name in USERS else [],
    }


def unasked(value: Any) -> Any:
    """As compose has it when no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) if isinstance(value, str) else value


def named(word: str) -> str:
    """`${X:-1}` of compose and `$(X)` of a cluster are the same."""
    return re.sub(r"\$[{(](\w+)(:-[^}]*)?[})]", r"<\1>", word)


def mib(amount: str) -> float:
    number, unit = re.fullmatch(r"(\d+)([mMgG])i?", amount).groups()  # type: ignore[union-attr]
    return int(number) * {"m": 1, "g": 1024}[unit.lower()]


def mounts(container: Document) -> dict[str, tuple[str, bool]]:
    """By place: the folder of the volume, and whether it is read-only."""
    return {
        mount["mountPath"]: (mount["subPath"], mount.get("readOnly", False))
        for mount in container.get("volumeMounts", ())
        if mount["name"] == "campaign"
    }


def test_every_service_is_a_part_of_the_cluster_and_nothing_else_is() -> None:
    assert {pod for pod, _ in PARTS.values()} == set(PODS)
    components = {pod.component for pod in PODS.values()}
    assert components == set(SERVICES) - {"setup"}


@pytest.mark.parametrize("service", SERVICES)
def test_every_part_is_the_same_image(service: str) -> None:
    assert container_of(service)["image"] == SERVICES[service]["image"]


@pytest.mark.parametrize("pod", PODS.values(), ids=lambda pod: pod.name)
def test_whoever_waits_runs_nothing_else(pod: PodOf) -> None:
    images = {service["image"] for service in SERVICES.values()}
    assert {each["image"] for each in pod.containers} <= images


@pytest.mark.parametrize("service", SERVICES)
def test_every_part_runs_the_same_command(service: str) -> None:
    told, image = SERVICES[service], image_of(SERVICES[service])
    entrypoint = told.get("entrypoint", image["ENTRYPOINT"])
    words = told.get("command", [] if "entrypoint" in told else image.get("CMD", []))
    words = {"campaign": DAEMON, "loadgen-worker": WORKER}.get(service, words)
    container = container_of(service)
    # What an image runs by itself is left to it, where nothing stands before it.
    command = container.get("command", entrypoint)
    before = AGAIN if service in RESTARTED else []
    assert command == [*before, *entrypoint]
    assert [named(word) for word in container.get("args", [])] == [named(word) for word in words]


@pytest.mark.parametrize("service", SERVICES)
def test_every_part_has_the_same_environment(service: str) -> None:
    told = SERVICES[service].get("environment", {})
    expected = {
        name: str(unasked(value))
        for name, value in told.items()
        if name not in NOT_THERE.get(service, set())
    }
    found = environment(container_of(service), DOCUMENTS)
    assert found == expected | ADDED.get(service, {})


@pytest.mark.parametrize("service", sorted(set(SERVICES) - {"loadgen-worker"}))
def test_every_part_sees_the_same_folders(service: str) -> None:
    volumes = COMPOSE["volumes"]
    expected = {}
    for volume in SERVICES[service].get("volumes", ()):
        source, target, *mode = volume.split(":")
        if source in volumes:
            expected[target] = (source, mode == ["ro"])
    assert mounts(container_of(service)) == expected


def test_a_worker_may_be_on_any_node() -> None:
    assert mounts(container_of("loadgen-worker")) == {}


@pytest.mark.parametrize("service", SERVICES)
def test_every_file_of_the_repository_is_seen_where_compose_shows_it(service: str) -> None:
    pod, _ = PARTS[service]
    volumes = {volume["name"]: volume for volume in PODS[pod].spec["volumes"]}
    seen = {
        place: text
        for mount in container_of(service).get("volumeMounts", ())
        for place, text in files_at(mount, volumes[mount["name"]])
    }
    for volume in SERVICES[service].get("volumes", ()):
        source, target, *_ = volume.split(":")
        path = ROOT / source
        if source.startswith("./") and path.is_file():
            assert seen[target] == path.read_text()
        elif source.startswith("./"):
            files = [each for each in path.rglob("*") if each.is_file()]
            assert files
            assert all(
                seen[f"{target}/{file.relative_to(path)}"] == file.read_text() for file in files
            )


def files_at(mount: Document, volume: Document) -> Iterator[tuple[str, str]]:
    """Of the repository's: where each is seen, and its text."""
    for source in volume.get("projected", {}).get("sources", [volume]):
        if "configMap" not in source:
            continue
        wanted = ("ConfigMap", source["configMap"]["name"])
        (found,) = (each for each in DOCUMENTS if identity(each) == wanted)
        for name, text in found["data"].items():
            if "subPath" not in mount:
                yield f"{mount['mountPath']}/{name}", text
            elif mount["subPath"] == name:
                yield mount["mountPath"], text


@pytest.mark.parametrize("service", SERVICES)
def test_every_part_has_the_same_user_groups_and_capabilities(service: str) -> None:
    told, container = SERVICES[service], container_of(service)
    secure = {**PODS[PARTS[service][0]].spec["securityContext"], **container["securityContext"]}
    (user,) = [told["user"]] if "user" in told else image_of(told)["USER"]
    assert f"{secure['runAsUser']}:{secure['runAsGroup']}" == user
    groups = [int(group) for group in told.get("group_add", ())]
    assert secure.get("supplementalGroups", []) == groups
    assert secure["capabilities"].get("add", []) == told.get("cap_add", [])


@pytest.mark.parametrize("service", SERVICES)
def test_every_part_is_bounded_alike(service: str) -> None:
    told, container = SERVICES[service], container_of(service)
    assert mib(container["resources"]["limits"]["memory"]) == mib(unasked(told["mem_limit"]))
    if "stop_grace_period" in told:
        spec = PODS[PARTS[service][0]].spec
        assert f"{spec['terminationGracePeriodSeconds']}s" == told["stop_grace_period"]


@pytest.mark.parametrize("service", sorted(set(SERVICES) - {"setup"}))
def test_every_part_is_asked_in_the_same_way_whether_it_is_ready(service: str) -> None:
    container = container_of(service)
    probe = container["readinessProbe"]["exec"]["command"]
    assert ["CMD", *probe] == SERVICES[service]["healthcheck"]["test"]


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_is_restarted_by_a_probe(service: str) -> None:
    """A part that hangs is named by the campaign; it is not healed behind its back."""
    assert "livenessProbe" not in container_of(service)


@pytest.mark.parametrize("service", SERVICES)
def test_what_may_be_written_beside_the_volume_is_in_memory_or_bounded(service: str) -> None:
    volumes = {v["name"]: v for v in PODS[PARTS[service][0]].spec["volumes"]}
    scratch = {
        mount["mountPath"]
        for mount in container_of(service).get("volumeMounts", ())
        if "emptyDir" in volumes[mount["name"]]
    }
    expected = {str(place).split(":")[0] for place in SERVICES[service].get("tmpfs", ())}
    if "shm_size" in SERVICES[service]:
        expected.add("/dev/shm")  # noqa: S108 - where Postgres has it
    assert scratch == expected
