"""The manifests are what the API takes, and whatever one of them names is there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from tests.kubernetes_kit import (
    MANIFESTS,
    ROOT,
    Document,
    PodOf,
    environment,
    identity,
    pods,
    read,
    read_text,
    render,
    selects,
)

FOLDERS = ("base", "grafana", "outside", "example")
#: the oldest with companions that start before a container, and the newest whose schema is known
VERSIONS = ("1.29", "1.33", kubernetes_validate.latest_version())
#: docs/kubernetes.md has the commands that make them
GIVEN_SECRETS = {"load-token": {"token"}, "anthropic-api-key": {"anthropic_api_key"}}
#: what `kubectl apply` notes of an object may be no longer than this
MAX_NOTED_BYTES = 262_144

READER = read(MANIFESTS / "reader.yaml")
RENDERED = {folder: render(MANIFESTS / folder) for folder in FOLDERS}
EVERYTHING = [*RENDERED["base"], *RENDERED["grafana"], *RENDERED["outside"], *READER]
PODS = {pod.name: pod for pod in pods(EVERYTHING)}
CONTAINERS = [
    pytest.param(pod, each, id=f"{pod.name}-{each['name']}")
    for pod in PODS.values()
    for each in pod.containers
]


def named(documents: list[Document], kind: str) -> dict[str, Document]:
    return {name: each for each in documents for its, name in [identity(each)] if its == kind}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_document_is_what_the_api_takes(folder: str, version: str) -> None:
    for document in [*RENDERED[folder], *READER]:
        assert kubernetes_validate.validate(document, version, strict=True)


def test_a_field_that_there_is_not_is_noticed() -> None:
    document = next(each for each in RENDERED["base"] if each["kind"] == "Job")
    document = {**document, "spec": {**document["spec"], "backOffLimit": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, VERSIONS[0], strict=True)


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_is_there_twice(folder: str) -> None:
    names = [identity(each) for each in RENDERED[folder]]
    assert sorted(set(names)) == sorted(names)


def test_every_file_is_part_of_something() -> None:
    taken = {
        (path.parent / name).resolve()
        for path in ROOT.glob("deploy/**/kustomization.yaml")
        for kustomization in read(path)
        for name in (
            *kustomization.get("resources", ()),
            *(
                file
                for each in kustomization.get("configMapGenerator", ())
                for file in each["files"]
            ),
        )
    }
    files = {
        path.resolve()
        for place in ("kubernetes/**", "grafana/dashboards", "postgres", "prometheus")
        for path in (ROOT / "deploy").glob(f"{place}/*")
        if path.is_file() and path.name not in {"kustomization.yaml", "reader.yaml"}
        if "__pycache__" not in path.parts
    }
    assert files - taken == set()


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_map_can_be_noted_by_kubectl(folder: str) -> None:
    for name, document in named(RENDERED[folder], "ConfigMap").items():
        size = sum(len(text.encode()) for text in document["data"].values())
        assert size < 0.75 * MAX_NOTED_BYTES, name


@pytest.mark.parametrize(("pod", "container"), CONTAINERS)
def test_every_mount_is_of_a_volume_that_the_pod_has(pod: PodOf, container: Document) -> None:
    volumes = {volume["name"] for volume in pod.spec["volumes"]}
    assert {mount["name"] for mount in container.get("volumeMounts", ())} <= volumes


@pytest.mark.parametrize("pod", PODS.values(), ids=lambda pod: pod.name)
def test_every_volume_is_of_something_that_is_there_and_is_mounted(pod: PodOf) -> None:
    mounted = {mount["name"] for each in pod.containers for mount in each.get("volumeMounts", ())}
    for volume in pod.spec["volumes"]:
        assert volume["name"] in mounted
        for source in volume.get("projected", {}).get("sources", [volume]):
            require_there(source)


def require_there(source: Document) -> None:
    if claim := source.get("persistentVolumeClaim"):
        assert claim["claimName"] in named(EVERYTHING, "PersistentVolumeClaim")
    elif told := source.get("configMap"):
        data = named(EVERYTHING, "ConfigMap")[told["name"]]["data"]
        assert {item["key"] for item in told.get("items", ())} <= set(data)
    elif secret := source.get("secret"):
        keys = GIVEN_SECRETS[secret.get("name") or secret["secretName"]]
        assert {item["key"] for item in secret.get("items", ())} <= keys
    else:
        assert "emptyDir" in source


@pytest.mark.parametrize(("pod", "container"), CONTAINERS)
def test_a_file_of_a_map_that_is_mounted_alone_is_in_it(pod: PodOf, container: Document) -> None:
    volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
    for mount in container.get("volumeMounts", ()):
        told = volumes[mount["name"]].get("configMap")
        if told is not None and "subPath" in mount:
            assert mount["subPath"] in named(EVERYTHING, "ConfigMap")[told["name"]]["data"]


def test_every_program_that_a_container_runs_of_ours_is_mounted_there() -> None:
    for pod in PODS.values():
        volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
        for container in pod.containers:
            words = [*container.get("command", ()), *container.get("args", ())]
            for word in (word for word in words if word.startswith("/etc/ratchet/")):
                (mount,) = (
                    m for m in container["volumeMounts"] if m["mountPath"] == "/etc/ratchet"
                )
                told = volumes[mount["name"]]["configMap"]
                data = named(EVERYTHING, "ConfigMap")[told["name"]]["data"]
                seen = {item["path"] for item in told.get("items", ())} or set(data)
                assert Path(word).name in seen


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_every_deployment_selects_its_own_pods_and_no_others(kind: str) -> None:
    for name, document in named(EVERYTHING, kind).items():
        if kind == "Deployment":
            chosen = {
                pod.name
                for pod in PODS.values()
                if selects(document["spec"]["selector"], pod.labels)
            }
            assert chosen == {name}
        assert PODS[name].component == name


def test_every_service_leads_to_a_port_of_the_pod_of_its_name() -> None:
    services = named(EVERYTHING, "Service")
    assert set(services) == {"campaign", "edge", "grafana", "loadgen-master", "prometheus"}
    for name, service in services.items():
        spec = service["spec"]
        (pod,) = (p for p in PODS.values() if selects({"matchLabels": spec["selector"]}, p.labels))
        assert pod.name == name
        ports = {port["name"]: port for each in pod.containers for port in each.get("ports", ())}
        for port in spec["ports"]:
            assert port["port"] == ports[port["targetPort"]]["containerPort"]


def test_who_is_not_ready_yet_is_found_all_the_same() -> None:
    """The master waits for workers that find it by its service."""
    for name in ("loadgen-master", "edge", "prometheus"):
        assert named(EVERYTHING, "Service")[name]["spec"]["publishNotReadyAddresses"] is True


@pytest.mark.parametrize("pod", PODS.values(), ids=lambda pod: pod.name)
def test_whoever_has_the_volume_is_on_the_node_of_the_others(pod: PodOf) -> None:
    has_it = any("persistentVolumeClaim" in volume for volume in pod.spec["volumes"])
    assert (pod.labels.get("shares-volume") == "true") is has_it
    together = pod.spec.get("affinity", {}).get("podAffinity", {})
    terms = together.get("requiredDuringSchedulingIgnoredDuringExecution", [])
    assert bool(terms) is has_it
    for term in terms:
        assert term["topologyKey"] == "kubernetes.io/hostname"
        # Else the first of them would wait for another one.
        assert selects(term["labelSelector"], pod.labels)


@pytest.mark.parametrize("folder", ["base", "example"])
def test_as_many_workers_are_waited_for_as_there_are(folder: str) -> None:
    replicas = named(RENDERED[folder], "Deployment")["loadgen-worker"]["spec"]["replicas"]
    for name in ("loadgen-master", "campaign"):
        (pod,) = (each for each in pods(RENDERED[folder]) if each.name == name)
        main = next(each for each in pod.lasting if "WORKERS" in str(each.get("env")))
        waited = {k: v for k, v in environment(main, RENDERED[folder]).items() if "WORKERS" in k}
        assert list(waited.values()) == [str(replicas)]


def test_the_example_changes_what_it_says() -> None:
    documents = RENDERED["example"]
    assert {each["metadata"].get("namespace", "ratchet-nightly") for each in documents} == {
        "ratchet-nightly"
    }
    job = next(pod for pod in pods(documents) if pod.name == "campaign")
    assert environment(job.spec["containers"][0], documents)["RATCHET_CAMPAIGN"] == "nightly"
    images = {each["image"] for pod in pods(documents) for each in pod.containers}
    ours = {image for image in images if "ratchet-" in image}
    assert len(ours) == 5
    assert all(image.startswith("registry.example.com/ratchet-") for image in ours)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH")
@pytest.mark.parametrize("folder", FOLDERS)
def test_kubectl_makes_the_same_of_it(folder: str) -> None:
    told = subprocess.run(
        ["kubectl", "kustomize", str(MANIFESTS / folder)],
        capture_output=True,
        text=True,
        check=True,
    )

    def by_name(documents: list[Document]) -> dict[tuple[str, str], Any]:
        return {identity(each): each for each in documents}

    assert by_name(read_text(told.stdout)) == by_name(RENDERED[folder])
