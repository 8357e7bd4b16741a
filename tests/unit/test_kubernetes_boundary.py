"""What the app and its database can reach in a cluster, and what a container may do there."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.kubernetes_kit import (
    MANIFESTS,
    Document,
    PodOf,
    pods,
    read,
    render,
    selects,
)

EVERYTHING = [
    *(each for folder in ("base", "grafana", "outside") for each in render(MANIFESTS / folder)),
    *read(MANIFESTS / "reader.yaml"),
]
PODS = {pod.component: pod for pod in pods(EVERYTHING)}
POLICIES = {
    each["metadata"]["name"]: each["spec"] for each in EVERYTHING if each["kind"] == "NetworkPolicy"
}
CONTAINERS = [
    pytest.param(pod, each, id=f"{pod.name}-{each['name']}")
    for pod in PODS.values()
    for each in pod.containers
]
#: beside these, every container has no capability and is not root
CAPABLE = {
    "app": {"SETUID", "SETGID", "KILL"},
    "shell": {"SETUID", "SETGID", "KILL"},
    "setup": {"CHOWN", "FOWNER", "FSETID", "DAC_OVERRIDE"},
}
NAME_SERVICE = 53
#: what the namespace's level of pod security lets a container add, as Kubernetes documents it
BASELINE = {
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD"),
    *("NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
}


def rules(pod: PodOf, way: str) -> Iterator[Mapping[str, Any]]:
    """`way`: ingress or egress."""
    for spec in POLICIES.values():
        if selects(spec["podSelector"], pod.labels):
            yield from spec.get(way, ())


def ports(pod: PodOf, other: PodOf, way: str) -> set[int]:
    """Of those in the rules of `pod`, the ports on which it may meet `other`."""
    found = set()
    for rule in rules(pod, way):
        for peer in rule.get({"ingress": "from", "egress": "to"}[way], ()):
            assert set(peer) in ({"podSelector"}, {"ipBlock"})
            if "podSelector" in peer and selects(peer["podSelector"], other.labels):
                found |= {port["port"] for port in rule["ports"]}
    return found


def roads(*, agreed: bool) -> set[tuple[str, str, int]]:
    """Who may connect to whom and where: if both sides say so, or if either does."""
    found = set()
    for start in PODS.values():
        for end in PODS.values():
            leaving, coming = ports(start, end, "egress"), ports(end, start, "ingress")
            joined = leaving & coming if agreed else leaving | coming
            found |= {(start.component, end.component, port) for port in joined}
    return found


def test_every_pod_is_under_a_policy_that_lets_nothing_through_either_way() -> None:
    assert POLICIES["nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_these_are_all_the_roads_there_are() -> None:
    assert roads(agreed=True) == {
        ("loadgen-worker", "edge", 8000),
        ("loadgen-worker", "loadgen-master", 5557),
        ("prometheus", "edge", 8000),
        ("prometheus", "loadgen-master", 8089),
        ("prometheus", "loadgen-worker", 8089),
        ("prometheus", "campaign", 8390),
        ("campaign", "edge", 8000),
        ("campaign", "edge", 8001),
        ("campaign", "loadgen-master", 8089),
        ("campaign", "prometheus", 9090),
        ("grafana", "prometheus", 9090),
    }


def test_no_road_is_open_at_one_end_only() -> None:
    assert roads(agreed=False) == roads(agreed=True)


@pytest.mark.parametrize("name", ["app", "postgres", "shell"])
def test_the_app_its_database_and_the_shells_have_no_road_at_all(name: str) -> None:
    assert [*rules(PODS[name], "egress"), *rules(PODS[name], "ingress")] == []


def test_every_road_leads_to_a_port_that_is_listened_on() -> None:
    for _, end, port in roads(agreed=True):
        listening = {
            each["containerPort"] for c in PODS[end].containers for each in c.get("ports", ())
        }
        assert port in listening


def test_those_who_need_names_may_ask_for_them_and_that_is_all_they_may_ask_of_everybody() -> None:
    for pod in PODS.values():
        anywhere = {
            port["port"]
            for rule in rules(pod, "egress")
            if "to" not in rule
            for port in rule["ports"]
        }
        starts = {start for start, _, _ in roads(agreed=True)}
        assert anywhere == ({NAME_SERVICE} if pod.component in starts else set())
        assert all("from" in rule for rule in rules(pod, "ingress"))


def outside(pod: PodOf) -> list[tuple[Any, list[Any], set[int]]]:
    return [
        (
            ipaddress.ip_network(peer["ipBlock"]["cidr"]),
            [ipaddress.ip_network(each) for each in peer["ipBlock"]["except"]],
            {port["port"] for port in rule["ports"]},
        )
        for rule in rules(pod, "egress")
        for peer in rule.get("to", ())
        if "ipBlock" in peer
    ]


def test_only_the_campaign_has_a_way_out_and_only_if_it_is_asked_for() -> None:
    assert [name for name, pod in PODS.items() if outside(pod)] == ["campaign"]
    assert not any(
        "ipBlock" in str(each)
        for folder in ("base", "grafana", "example")
        for each in render(MANIFESTS / folder)
        if each["kind"] == "NetworkPolicy"
    )


@pytest.mark.parametrize(
    ("address", "is_open"),
    [
        ("1.1.1.1", True),
        ("160.79.104.10", True),
        ("10.96.0.1", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("172.20.0.1", False),
        ("192.168.1.1", False),
    ],
)
def test_the_way_out_leads_to_no_private_address(address: str, *, is_open: bool) -> None:
    ((everything, closed, leaving),) = outside(PODS["campaign"])
    assert leaving == {443}
    here = ipaddress.ip_address(address)
    assert (here in everything and not any(here in each for each in closed)) is is_open


@pytest.mark.parametrize("name", ["app", "shell"])
def test_the_pod_of_the_app_and_that_of_the_shells_hold_these_alone(name: str) -> None:
    """Containers of a pod share its network: what listened there could be reached."""
    assert [each["name"] for each in PODS[name].lasting] == [name]
    assert PODS[name].spec["dnsPolicy"] == "None"


def test_nothing_listens_in_the_pods_without_a_network() -> None:
    for name in ("app", "postgres", "shell"):
        assert not any("ports" in each for each in PODS[name].containers)


@pytest.mark.parametrize("name", ["app", "shell"])
def test_neither_is_started_before_it_was_seen_that_policies_are_enforced(name: str) -> None:
    first = PODS[name].containers[0]
    assert first["command"][-1] == "/etc/ratchet/isolated.py"
    assert first["args"] == [
        "$(KUBERNETES_SERVICE_HOST):$(KUBERNETES_SERVICE_PORT)",
        "$(NODE):10250",
    ]
    assert first["env"] == [
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}
    ]


def test_nothing_of_the_harness_can_be_read_in_the_apps_container() -> None:
    app = PODS["app"]
    (container,) = app.lasting
    volumes = {volume["name"]: volume for volume in app.spec["volumes"]}
    (programs,) = (volumes[m["name"]] for m in container["volumeMounts"] if m["name"] == "programs")
    assert programs["configMap"] == {
        "name": "programs",
        "items": [{"key": "again", "path": "again"}],
        "defaultMode": 0o500,
    }
    assert "env" not in container
    assert "envFrom" not in container


def test_secrets_are_files_of_those_who_need_them() -> None:
    holders = {
        (pod.component, container["name"])
        for pod in PODS.values()
        for volume in pod.spec["volumes"]
        if "secret" in str(volume)
        for container in pod.containers
        if any(m["name"] == volume["name"] for m in container.get("volumeMounts", ()))
    }
    assert holders == {("campaign", "setup"), ("loadgen-worker", "loadgen-worker")}
    assert "secretKeyRef" not in str(EVERYTHING)
    assert "secretRef" not in str(EVERYTHING)


@pytest.mark.parametrize("pod", PODS.values(), ids=lambda pod: pod.name)
def test_no_pod_has_a_token_or_anything_of_its_node(pod: PodOf) -> None:
    assert pod.spec["automountServiceAccountToken"] is False
    assert pod.spec["enableServiceLinks"] is False
    assert "serviceAccountName" not in pod.spec
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod.spec)
    assert all("hostPath" not in volume for volume in pod.spec["volumes"])


@pytest.mark.parametrize("pod", PODS.values(), ids=lambda pod: pod.name)
def test_only_the_jobs_containers_see_each_others_processes(pod: PodOf) -> None:
    assert pod.spec.get("shareProcessNamespace", False) is (pod.component == "campaign")


@pytest.mark.parametrize(("pod", "container"), CONTAINERS)
def test_every_root_is_read_only_and_every_capability_dropped(
    pod: PodOf, container: Document
) -> None:
    assert pod.spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    told = container["securityContext"]
    assert told["readOnlyRootFilesystem"] is True
    assert told["allowPrivilegeEscalation"] is False
    assert told["capabilities"]["drop"] == ["ALL"]
    assert set(told["capabilities"].get("add", ())) == CAPABLE.get(container["name"], set())
    assert "seccompProfile" not in told
    assert "privileged" not in told


@pytest.mark.parametrize(("pod", "container"), CONTAINERS)
def test_only_those_with_capabilities_are_root(pod: PodOf, container: Document) -> None:
    told = {**pod.spec["securityContext"], **container["securityContext"]}
    is_root = container["name"] in CAPABLE
    assert (told["runAsUser"] == 0) is is_root
    assert told.get("runAsNonRoot", False) is not is_root


@pytest.mark.parametrize(("pod", "container"), CONTAINERS)
def test_every_container_asks_for_what_it_needs_and_is_bounded(
    pod: PodOf, container: Document
) -> None:
    resources = container["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    assert set(resources["limits"]) == {"cpu", "memory"}
    for volume in pod.spec["volumes"]:
        assert "emptyDir" not in volume or "sizeLimit" in volume["emptyDir"]


@pytest.mark.parametrize("name", ["app", "postgres", "loadgen-worker"])
def test_app_database_and_load_have_their_processors_to_themselves(name: str) -> None:
    """Where the kubelet pins (static policy): all that is asked for is also the limit."""
    for container in PODS[name].containers:
        assert container["resources"]["requests"] == container["resources"]["limits"]
    (main,) = PODS[name].lasting
    assert main["resources"]["limits"]["cpu"].isdecimal()


def test_a_volume_is_given_to_nobody_as_a_whole() -> None:
    for pod in PODS.values():
        for container in pod.containers:
            for mount in container.get("volumeMounts", ()):
                assert mount["name"] != "campaign" or mount["subPath"]
        # It would be given to that group, folder by folder, at each start.
        has_it = any("persistentVolumeClaim" in volume for volume in pod.spec["volumes"])
        assert not (has_it and "fsGroup" in pod.spec["securityContext"])


def test_the_namespace_refuses_pods_that_want_more_than_these() -> None:
    (namespace,) = (each for each in EVERYTHING if each["kind"] == "Namespace")
    assert namespace["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "baseline"}
    assert set().union(*CAPABLE.values()) <= BASELINE
