"""`ratchet serve`, and the commands that find it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from campaign import host as hosting
from campaign.adapters.journal import open_journal
from campaign.addresses import Address, announce, announced, daemon_file, read_address
from campaign.host import Host
from campaign.machine import Campaign, fold
from campaign.model import Event
from campaign.orders import OPERATORS
from campaign.player import Performance
from tests.runs_kit import RATCHET, played, ratchet, write_run


@dataclass(kw_only=True)
class Answer:
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(kw_only=True)
class Daemon:
    """A real `ratchet serve`."""

    process: subprocess.Popen[str]
    address: Address
    runs: Path

    def ask(self, path: str, body: object = None, *, token: str | None = "") -> Answer:
        """GET, or POST when there is a body; `token` "" is the right one."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.address.url}{path}", data=data)  # noqa: S310 - on loopback
        if token is not None:
            request.add_header("Authorization", f"Bearer {token or self.address.token}")
        try:
            with urlopen(request, timeout=20) as answer:  # noqa: S310 - on loopback
                return Answer(status=answer.status, body=answer.read())
        except HTTPError as error:
            return Answer(status=error.code, body=error.read())


@contextmanager
def serving(runs: Path, *, env: dict[str, str] | None = None) -> Iterator[Daemon]:
    """Until it says where it is; ended as a user would."""
    process = subprocess.Popen(
        [str(RATCHET), "serve", "--port", "0", "--runs", str(runs)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    )
    assert process.stderr is not None
    try:
        where = process.stderr.readline().split()
        assert where[:2] == ["ratchet", "serves"], where
        assert process.stderr.readline().startswith("token: ")
        address = read_address(daemon_file(runs))
        assert address is not None
        assert (address.url, address.pid) == (where[2], process.pid)
        yield Daemon(process=process, address=address, runs=runs)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
        process.stderr.close()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """It cannot play: a Prometheus is what its PATH lacks."""
    tools = tmp_path_factory.mktemp("bin")
    for name in ("git", "bwrap", "setpriv", "prlimit", "true"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    with tempfile.TemporaryDirectory(prefix="ratchet-cli-") as folder:
        runs = Path(folder).resolve()
        runs.chmod(0o755)
        write_run(runs, "one", played(1, name="one"))
        with serving(runs, env={"PATH": str(tools)}) as daemon:
            yield daemon


def test_it_says_that_it_lives(daemon: Daemon) -> None:
    assert daemon.ask("/healthz").json == {"status": "ok", "pid": daemon.process.pid}


def test_its_address_is_its_users_own(daemon: Daemon) -> None:
    assert daemon_file(daemon.runs).stat().st_mode & 0o777 == 0o600


def test_its_metrics_are_named_as_prometheus_wants_them(daemon: Daemon) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool")
    metrics = daemon.ask("/metrics").body
    done = subprocess.run(
        [promtool, "check", "metrics"], input=metrics, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_it_describes_itself(daemon: Daemon) -> None:
    assert daemon.ask("/openapi.json").json["openapi"] == "3.1.0"


def test_it_tells_of_campaigns(daemon: Daemon) -> None:
    (state,) = daemon.ask("/api/campaigns").json["campaigns"]
    assert (state["campaign"], state["phase"], state["running_here"]) == ("one", "finished", False)
    assert daemon.ask("/api/campaigns/one").json["campaign"] == "one"
    assert daemon.ask("/api/campaigns/none").status == 404
    assert b"<html" in daemon.ask("/api/campaigns/one/report/index.html").body


def test_it_sends_events(daemon: Daemon) -> None:
    first, *_, last, rest = daemon.ask("/api/campaigns/one/events").body.decode().split("\n\n")
    assert first.startswith("id: 1\nevent: campaign_started\ndata: {")
    number = int(last.split()[1])
    again = daemon.ask(f"/api/campaigns/one/events?after={number - 1}").body.decode()
    assert again == f"{last}\n\n"
    assert rest == ""
    assert daemon.ask(f"/api/campaigns/one/events?after={number + 1}").status == 400


def test_it_starts_nothing_without_its_token(daemon: Daemon) -> None:
    assert daemon.ask("/api/campaigns", {}, token=None).status == 401
    assert daemon.ask("/api/campaigns", {}, token="wrong").status == 401  # noqa: S106


def test_a_bad_order_is_refused_with_what_to_do(daemon: Daemon) -> None:
    answer = daemon.ask("/api/campaigns", {"operator": "x"})
    assert (answer.status, answer.json) == (
        400,
        {"error": "unknown operator: x", "hint": f"there are: {', '.join(OPERATORS)}"},
    )
    assert daemon.ask("/api/campaigns/none/stop", {}).status == 404
    assert daemon.ask("/api/campaigns/one/stop", {}).status == 409


def test_what_its_machine_lacks_is_told_to_the_command_that_asked(daemon: Daemon) -> None:
    """The command's own PATH is in order: it is the daemon that was asked."""
    for command in (["run", "--first", "1"], ["trial", "missing_index"]):
        done = ratchet(*command, "--runs", daemon.runs)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Prometheus: prometheus was not found on PATH" in done.stderr
        assert done.stderr.count("ratchet: ") == 1
    assert {path.name for path in daemon.runs.iterdir()} == {"one", "daemon.json"}


def test_a_second_daemon_for_the_same_folder_is_refused(daemon: Daemon) -> None:
    done = ratchet("serve", "--port", "0", "--runs", daemon.runs)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"pid {daemon.process.pid} at {daemon.address.url}" in done.stderr
    assert read_address(daemon_file(daemon.runs)) == daemon.address


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_and_takes_its_address_away(tmp_path: Path, number: int) -> None:
    with serving(tmp_path) as daemon:
        daemon.process.send_signal(number)
        assert daemon.process.wait(timeout=20) == 0
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_daemon_left_is_ignored_and_replaced(tmp_path: Path) -> None:
    with serving(tmp_path) as killed:
        killed.process.kill()
        killed.process.wait()
        assert daemon_file(tmp_path).exists()
        # Its pid may belong to somebody else by now, who answers nothing.
        announce(
            daemon_file(tmp_path),
            Address(url=killed.address.url, token="t", pid=os.getpid()),  # noqa: S106
        )
        with serving(tmp_path) as daemon:
            assert daemon.ask("/healthz").status == 200


class FakePlayer:
    """Stands in for `campaign.player.play`: writes a journal, then waits for its end."""

    def __init__(self, events: Sequence[Event], *, written: int = 0) -> None:
        self.events = events
        #: so many of them are in the journal already
        self.written = written
        self.may_end = asyncio.Event()
        self.begun = asyncio.Event()
        self.stopped_by = ""

    def now(self) -> float:
        return self.events[-1].at

    async def request_stop(self, reason: str) -> None:
        self.stopped_by = reason
        self.may_end.set()

    async def __call__(self, performance: Performance) -> Campaign:
        async with open_journal(performance.run.path) as journal:
            performance.on_shell(self)  # type: ignore[arg-type]
            for event in self.events[self.written :]:
                await journal.append(event)
            self.begun.set()
            await self.may_end.wait()
        campaign = fold(self.events)
        assert campaign is not None
        return campaign


@asynccontextmanager
async def fake_daemon(
    runs: Path, player: FakePlayer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Host]:
    """A host of this process that announces itself as `ratchet serve` does."""
    monkeypatch.setattr(hosting, "play", player)
    monkeypatch.setattr(hosting, "require_ready", lambda _: "")
    async with Host(runs) as host:
        with ExitStack() as ending:
            ending.enter_context(announced(daemon_file(runs), host.address))
            yield host


async def test_a_command_has_the_daemon_play_and_follows_it_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    player = FakePlayer(played(2))
    async with fake_daemon(tmp_path, player, monkeypatch):
        asking = asyncio.create_task(
            asyncio.to_thread(ratchet, "run", "--json", "--name", "x", "--runs", tmp_path)
        )
        await player.begun.wait()
        player.may_end.set()
        done = await asking
    assert done.returncode == 0, done.stderr
    assert f"played by the daemon (pid {os.getpid()})" in done.stderr
    assert "campaign finished: 2 resolved" in done.stderr
    assert json.loads(done.stdout)["verdicts"]["resolved"] == 2


async def test_ctrl_c_ends_the_following_and_not_the_campaign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    player = FakePlayer(played(2)[:20])
    async with fake_daemon(tmp_path, player, monkeypatch) as host:
        command = await asyncio.create_subprocess_exec(
            *(str(RATCHET), "run", "--name", "x", "--runs", str(tmp_path)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert command.stdout is not None
        await command.stdout.readline()
        command.send_signal(signal.SIGINT)
        _, stderr = await command.communicate()
        assert command.returncode == 130
        assert f"ratchet stop x --runs {tmp_path}" in stderr.decode()
        assert "Traceback" not in stderr.decode()
        assert (await host.campaign("x"))["running_here"]
        done = await asyncio.to_thread(ratchet, "stop", "--runs", tmp_path)
        assert done.returncode == 0, done.stderr
        assert player.stopped_by == "asked over the API"


async def test_a_stopped_campaign_is_resumed_by_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = played(2)
    await asyncio.to_thread(write_run, tmp_path, "x", events[:30])
    player = FakePlayer(events, written=30)
    player.may_end.set()
    async with fake_daemon(tmp_path, player, monkeypatch):
        done = await asyncio.to_thread(ratchet, "resume", "--runs", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "campaign finished: 2 resolved" in done.stdout
