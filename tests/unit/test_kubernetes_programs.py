"""The small programs of deploy/kubernetes/base, run as they lie there, and what setup is given."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

import pytest

from campaign.stack import ComposePlaces
from campaign.stack.compose.setup import set_up
from loadgen.options import parser, read_config
from tests.kubernetes_kit import MANIFESTS, environment, pods, render

BASE = MANIFESTS / "base"
NAMESPACES = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
CAN_UNSHARE = (
    shutil.which("unshare") is not None
    and subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode == 0
)


@contextmanager
def again(
    tmp_path: Path, body: str, *, before: tuple[str, ...] = (), stop_signal: str = "TERM"
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """`again` running a script of this body; what is written to `$TOLD` can be read as it comes."""
    told = tmp_path / "told"
    os.mkfifo(told)
    script = tmp_path / "command"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    running = subprocess.Popen(
        [*before, "/bin/sh", str(BASE / "again"), str(script)],
        env={"PATH": os.environ["PATH"], "TOLD": str(told), "STOP_SIGNAL": stop_signal},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield running, told
    finally:
        # With what it runs, which may wait for a reader of the pipe that never comes.
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.communicate()


def test_what_ends_is_run_again_and_its_end_is_said(tmp_path: Path) -> None:
    with again(tmp_path, 'echo "$$" >"$TOLD"; exit 3') as (running, told):
        assert told.read_text() != told.read_text()
        assert running.stderr is not None
        assert running.stderr.readline().startswith("again: ended with 3, and is run again")


@pytest.mark.parametrize("stop_signal", ["TERM", "INT"])
def test_it_is_told_to_end_as_it_wants_and_its_code_is_handed_on(
    tmp_path: Path, stop_signal: str
) -> None:
    # A shell that runs in the background cannot hear of INT; Python and Postgres can.
    python = shutil.which("python3")
    body = f"""exec {python} -c '
import os, signal
def end(number, frame):
    os._exit(40 + number)
signal.signal(signal.SIG{stop_signal}, end)
with open(os.environ["TOLD"], "w") as told:
    told.write("ready")
while True:
    signal.pause()
'"""
    with again(tmp_path, body, stop_signal=stop_signal) as (running, told):
        assert told.read_text() == "ready"
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 40 + signal.Signals[f"SIG{stop_signal}"]


@pytest.mark.skipif(not CAN_UNSHARE, reason="no process namespaces for us here")
def test_nothing_of_it_outlives_its_end(tmp_path: Path) -> None:
    """As when a container ends: not even what left its session."""
    body = """
    if [ -e "$TOLD.begun" ]; then exec sleep infinity; fi
    : >"$TOLD.begun"
    setsid sh -c 'exec 3>"$TOLD"; echo begun >&3; exec sleep infinity' &
    until [ -s "$TOLD.heard" ]; do :; done
    """
    with again(tmp_path, body, before=NAMESPACES) as (_, told), told.open() as pipe:
        assert pipe.readline() == "begun\n"
        (tmp_path / "told.heard").write_text("yes")
        # The end of the file comes when nobody holds the pipe any more.
        assert pipe.readline() == ""


def played(tmp_path: Path, *, journal: str | None) -> str:
    """What `play` has `ratchet` do."""
    bin_dir, runs = tmp_path / "bin", tmp_path / "runs"
    bin_dir.mkdir()
    (bin_dir / "ratchet").write_text('#!/bin/sh\necho "$@"\nexit 1\n')
    (bin_dir / "ratchet").chmod(0o755)
    if journal is not None:
        (runs / "first").mkdir(parents=True)
        (runs / "first" / journal).touch()
    health = "/usr/local/bin/python3 -IS /usr/local/lib/health.py"
    text = (BASE / "play").read_text()
    assert health in text
    (tmp_path / "play").write_text(text.replace(health, "true"))
    done = subprocess.run(
        ["/bin/sh", str(tmp_path / "play"), "--operator", "reference"],
        env={
            "PATH": f"{bin_dir}:{os.environ['PATH']}",
            "RATCHET_RUNS": str(runs),
            "RATCHET_CAMPAIGN": "first",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    return done.stdout.strip()


def test_a_campaign_that_there_is_not_is_begun(tmp_path: Path) -> None:
    assert played(tmp_path, journal=None) == "run --name first --operator reference"


@pytest.mark.parametrize("journal", ["journal.db", "journal.url"])
def test_a_campaign_that_was_begun_is_taken_up(tmp_path: Path, journal: str) -> None:
    assert played(tmp_path, journal=journal) == "resume first"


@pytest.fixture
def isolated(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("isolated", BASE / "isolated.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "_PAUSE_S", 0.0)
    monkeypatch.setattr(module, "_PATIENCE_S", 0.0)
    return module


def judged(module: ModuleType, monkeypatch: pytest.MonkeyPatch, *targets: str) -> int:
    monkeypatch.setattr(module.sys, "argv", ["isolated", *targets])
    return int(module.main())


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Nobody listens there, and nobody else can."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


def test_the_app_does_not_start_where_policies_are_not_enforced(
    isolated: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    closed_port: int,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = f"127.0.0.1:{server.getsockname()[1]}"
        assert judged(isolated, monkeypatch, f"127.0.0.1:{closed_port}", target) == 1
    assert f"{target} can be reached" in capsys.readouterr().err


def test_the_app_starts_where_nothing_can_be_reached(
    isolated: ModuleType, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    assert judged(isolated, monkeypatch, f"127.0.0.1:{closed_port}") == 0


def test_a_policy_that_comes_late_is_waited_for(
    isolated: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([True, False, True, False, False])
    monkeypatch.setattr(isolated, "_PATIENCE_S", 60.0)
    monkeypatch.setattr(isolated, "_reaches", lambda _host, _port: next(looks))
    assert judged(isolated, monkeypatch, "192.0.2.1:443") == 0
    assert list(looks) == []


@pytest.mark.parametrize(
    "targets", [(), ("$(KUBERNETES_SERVICE_HOST):443",), ("kubernetes:443",), ("192.0.2.1",)]
)
def test_what_cannot_be_tried_is_no_proof(
    isolated: ModuleType, monkeypatch: pytest.MonkeyPatch, targets: tuple[str, ...]
) -> None:
    assert judged(isolated, monkeypatch, *targets) == 2


def test_the_token_that_workers_are_given_is_the_masters_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "chown", lambda *_: None)
    places, given = ComposePlaces(root=tmp_path), "for all of them"
    set_up(places, given_token=given)
    set_up(places, given_token=f"not {given}")
    assert places.loadgen_token.read_text() == f"{given}\n"
    assert json.loads(places.loadgen_config.read_text())["control_token"] == given


def test_the_load_generator_understands_what_master_and_workers_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "chown", lambda *_: None)
    places, given = ComposePlaces(root=tmp_path), "for all of them"
    set_up(places, given_token=given)
    documents = render(BASE)
    read = {}
    for pod in pods(documents):
        for container in (each for each in pod.lasting if each["name"].startswith("loadgen-")):
            words = [
                word.replace("$(LOAD_WORKERS)", environment(container, documents)["LOAD_WORKERS"])
                if "$(" in word
                else word.replace("/run/ratchet/load-token/token", str(places.loadgen_token))
                for word in container["args"]
            ]
            words = [word.replace("=/run/ratchet/", f"={tmp_path}/run/ratchet/") for word in words]
            read[pod.name] = read_config(parser().parse_args(words))
    master, worker = read["loadgen-master"], read["loadgen-worker"]
    assert (master.role, worker.role) == ("master", "worker")
    assert master.control_token == worker.control_token == given
    assert (master.expect_workers, master.web_port, worker.web_port) == (2, 8089, 8089)
    assert (worker.master_host, worker.app_address) == ("loadgen-master", "edge:8000")
