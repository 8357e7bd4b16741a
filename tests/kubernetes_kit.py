"""The manifests of deploy/kubernetes as kustomize makes them: the little of it that they use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
MANIFESTS = ROOT / "deploy/kubernetes"
#: where a pod lies in what makes it
PODS = {"Deployment": ("spec", "template"), "Job": ("spec", "template"), "Pod": ()}
COMPONENT = "app.kubernetes.io/component"

Document: TypeAlias = dict[str, Any]


def read(file: Path) -> list[Document]:
    """As YAML 1.1: 0500 is a mode, as it is for kubectl."""
    return read_text(file.read_text())


def read_text(text: str) -> list[Document]:
    # One at a time: the version is forgotten after the first.
    return [_document(part) for part in text.split("\n---\n")]


def _document(text: str) -> Document:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)
    # What an anchor stands for is in several places, and is changed in one.
    document: Document = json.loads(json.dumps(yaml.load(text)))
    return document


def render(folder: Path) -> list[Document]:
    """What `kubectl kustomize <folder>` says, in another order.

    Raises:
        KeyError: a field of the kustomization is not known here.
        FileNotFoundError: it names what is not there.
    """
    kustomization = read(folder / "kustomization.yaml")[0]
    del kustomization["apiVersion"], kustomization["kind"]
    options = kustomization.pop("generatorOptions", {})
    documents = [each for name in kustomization.pop("resources", ()) for each in _at(folder / name)]
    for generator in kustomization.pop("configMapGenerator", ()):
        assert options == {"disableNameSuffixHash": True}
        documents.append(_config_map(folder, generator))
    for field, told in kustomization.items():
        _CHANGES[field](documents, told)
    return documents


def _at(place: Path) -> list[Document]:
    return render(place) if place.is_dir() else read(place)


def _config_map(folder: Path, generator: Mapping[str, Any]) -> Document:
    assert set(generator) == {"name", "files"}
    files = [folder / name for name in generator["files"]]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": generator["name"]},
        "data": {file.name: file.read_text() for file in files},
    }


def _namespace(documents: list[Document], name: str) -> None:
    for document in documents:
        key = "name" if document["kind"] == "Namespace" else "namespace"
        document["metadata"][key] = name


def _images(documents: list[Document], changes: list[Mapping[str, str]]) -> None:
    for change in changes:
        for container in (each for pod in pods(documents) for each in pod.containers):
            if container["image"].rpartition(":")[0] == change["name"]:
                container["image"] = f"{change['newName']}:{change['newTag']}"


def _replicas(documents: list[Document], changes: list[Mapping[str, Any]]) -> None:
    for change in changes:
        found = [each for each in documents if each["metadata"]["name"] == change["name"]]
        (deployment,) = (each for each in found if each["kind"] == "Deployment")
        deployment["spec"]["replicas"] = change["count"]


def _patches(documents: list[Document], patches: list[Mapping[str, Any]]) -> None:
    for patch in patches:
        target = patch["target"]["kind"], patch["target"]["name"]
        (found,) = (each for each in documents if identity(each) == target)
        operations: Any = _document(patch["patch"])
        for operation in operations:
            _apply(found, operation)


def _apply(document: Any, operation: Mapping[str, Any]) -> None:
    *way, last = operation["path"].strip("/").split("/")
    for step in way:
        document = document[int(step)] if isinstance(document, list) else document[step]
    key = int(last) if isinstance(document, list) else last
    # What is to be replaced must be there; so must nothing that is to be added.
    is_there = key in document if isinstance(document, dict) else int(key) < len(document)
    assert is_there == (operation["op"] == "replace"), operation["path"]
    document[key] = operation["value"]


_CHANGES: Mapping[str, Callable[[list[Document], Any], None]] = {
    "namespace": _namespace,
    "images": _images,
    "replicas": _replicas,
    "patches": _patches,
}


def identity(document: Document) -> tuple[str, str]:
    return document["kind"], document["metadata"]["name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodOf:
    """A pod as something makes it."""

    name: str
    labels: Mapping[str, str]
    spec: Document

    @property
    def component(self) -> str:
        return self.labels[COMPONENT]

    @property
    def containers(self) -> tuple[Document, ...]:
        """In the order they start."""
        return (*self.spec.get("initContainers", ()), *self.spec["containers"])

    @property
    def lasting(self) -> tuple[Document, ...]:
        """Those that are there together."""
        companions = (
            each
            for each in self.spec.get("initContainers", ())
            if each.get("restartPolicy") == "Always"
        )
        return (*companions, *self.spec["containers"])


def pods(documents: list[Document]) -> Iterator[PodOf]:
    for document in documents:
        if document["kind"] in PODS:
            made = document
            for step in PODS[document["kind"]]:
                made = made[step]
            labels = made["metadata"]["labels"]
            yield PodOf(name=identity(document)[1], labels=labels, spec=made["spec"])


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """As the API has it: an empty selector selects all."""
    assert set(selector) <= {"matchLabels", "matchExpressions"}
    for wanted in selector.get("matchExpressions", ()):
        assert wanted["operator"] == "In"
        if labels.get(wanted["key"]) not in wanted["values"]:
            return False
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def environment(container: Document, documents: list[Document]) -> dict[str, str]:
    """What the container's environment says, but for what only a node knows.

    Raises:
        KeyError: a value is of a map, or of an entry, that there is not.
    """
    maps = {each["metadata"]["name"]: each for each in documents if each["kind"] == "ConfigMap"}
    told = {}
    for each in container.get("env", ()):
        source = each.get("valueFrom", {})
        if "configMapKeyRef" in source:
            place = source["configMapKeyRef"]
            told[each["name"]] = maps[place["name"]]["data"][place["key"]]
        elif "fieldRef" not in source:
            told[each["name"]] = each["value"]
    return told
