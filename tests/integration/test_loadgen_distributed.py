"""A real master and two real workers on the loopback, at a low rate."""

from __future__ import annotations

import json
import math
import re
import urllib.error
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from campaign.adapters.calibration import Histogram, read_histogram
from loadgen.testing import FakeApp, Generator, Master, Samples, Worker, held_port, wait_until
from loadgen.testing.samples import DONE, ERRORS, OFFERED, STARTED

pytestmark = pytest.mark.alone

pytest_plugins = ["loadgen.testing.fixtures"]

NAMES = ("w1", "w2")
#: user number i always asks for conversation i + 1
OWN = {"pick": "own", "conversations": [1, 7]}
READERS = {"behaviour": "reader", "users": 7, "rate_hz": 3.0, "params": OWN}
WRITERS = {"behaviour": "writer", "users": 4, "rate_hz": 2.0}
ALL_USERS = 11
#: of the clients: an app that is only slow to answer makes no error, and no write unknown
PATIENT_S = 60.0


@dataclass(kw_only=True)
class Crew:
    """A master with its workers, all aimed at the fake app."""

    master: Master
    workers: dict[str, Worker]
    open: ExitStack
    folder: Path

    def join(self, name: str, **config: Any) -> Worker:
        config = {"app_socket": self.folder / "app.sock", "spool_dir": str(self.spool), **config}
        worker = self.workers[name] = self.open.enter_context(Worker(self.master, name, **config))
        # Not the one of that name that was before.
        wait_until(f"{name} is known", lambda: self.pid_of(name) == worker.pid)
        return worker

    def pid_of(self, name: str) -> int | None:
        """As the master knows it."""
        return self.master.workers().get(name, {}).get("pid")

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    def samples(self) -> list[Samples]:
        return [worker.samples() for worker in self.workers.values() if not worker.died()]

    def total(self, name: str, **labels: str) -> float:
        return sum(samples.total(name, **labels) for samples in self.samples())

    def done(self, count: float) -> None:
        wait_until(f"{count} done", lambda: self.total(DONE) >= count)

    def silence(self) -> None:
        self.master.offer(load_id="silence")
        wait_until("all is over", lambda: self.total(OFFERED) == self.total(DONE))

    def parts(self) -> list[float]:
        return [samples.total("loadgen_load_parts") for samples in self.samples()]

    def known_writes(self) -> list[int]:
        return [entry["message_id"] for entry in self.master.ledger(after=0)["entries"]]

    def knows(self, stored: list[dict[str, int]]) -> None:
        """Of what is still on its way, a ledger is not waited for."""
        ids = {message["id"] for message in stored}
        wait_until("every write is known", lambda: set(self.known_writes()) == ids)

    def lost(self) -> dict[str, Any]:
        """The first loss, once there is one."""

        def look() -> list[dict[str, Any]]:
            return [change for change in self.master.changes() if change["kind"] == "lost"]

        return wait_until("a worker is lost", look)[0]


@pytest.fixture
def crew(short_folder: Path, fake_app: FakeApp) -> Iterator[Crew]:
    """Ready to be offered something."""
    assert fake_app.pid
    (short_folder / "spool").mkdir()
    with (
        ExitStack() as open_,
        Master(
            short_folder,
            expect_workers=2,
            client_timeout_s=PATIENT_S,
            spool_dir=str(short_folder / "spool"),
        ) as master,
    ):
        made = Crew(master=master, workers={}, open=open_, folder=short_folder)
        assert not master.is_ready()
        for name in NAMES:
            made.join(name)
        wait_until("the master is ready", master.is_ready)
        yield made


def ids_read(app: FakeApp, *, after: int = 0) -> Counter[str]:
    """How often each conversation was read, from the given request on."""
    paths = app.seen()["paths"][after:]
    return Counter(path.split("/")[3] for path in paths if path.startswith("/api/conversations/"))


def test_the_whole_load_is_offered_once_by_all_together(crew: Crew, fake_app: FakeApp) -> None:
    status = crew.master.offer(READERS, WRITERS, load_id="full")
    assert (status["load_id"], status["users"]) == ("full", ALL_USERS)
    # It answered when every worker had acknowledged, so this is true at once.
    playing = crew.master.playing()
    assert sum(playing.values()) == ALL_USERS
    assert all(5 <= users <= 6 for users in playing.values())
    assert crew.parts() == [2, 2]
    assert crew.total("loadgen_offered_rate_hertz") == 7 * 3.0 + 4 * 2.0
    assert crew.total("loadgen_users") == ALL_USERS
    crew.done(90)
    crew.silence()
    assert crew.total(ERRORS) == 0
    assert crew.total(STARTED) == crew.total(DONE) == len(fake_app.seen()["paths"])
    assert all(samples.total(DONE) > 20 for samples in crew.samples())
    stored = fake_app.seen()["messages"]
    crew.knows(stored)
    assert crew.total("loadgen_acknowledged_writes_total") == len(stored)


def test_no_user_is_played_twice_or_by_nobody(crew: Crew, fake_app: FakeApp) -> None:
    crew.master.offer(READERS)
    crew.done(70)

    def alike() -> bool:
        """One that is played twice has twice as many, always."""
        reads = ids_read(fake_app)
        assert set(reads) <= set(map(str, range(1, 8)))
        return len(reads) == 7 and min(reads.values()) >= 0.7 * max(reads.values())

    # A worker that was late catches up.
    wait_until("all ask as often", alike)


def test_what_is_asked_for_does_not_depend_on_who_asks(
    crew: Crew, fake_app: FakeApp, short_folder: Path
) -> None:
    """Each user's requests are those that it would make under one generator with that seed."""
    random = {"behaviour": "herd", "users": 4, "rate_hz": 5.0}
    crew.master.offer(random)
    crew.done(40)
    crew.silence()
    together = fake_app.seen()["paths"]
    with Generator(short_folder, app_socket=short_folder / "app.sock") as alone:
        alone.offer(random)
        alone.done(40)
        alone.silence()
    apart = fake_app.seen()["paths"][len(together) :]
    # All but the last few, as they do not end at the same moment; by chance, hardly any.
    same = (Counter(together) & Counter(apart)).total()
    assert same >= 0.8 * min(len(together), len(apart))


def test_percentiles_are_of_the_summed_histograms(crew: Crew, fake_app: FakeApp) -> None:
    fake_app.mood(delay_s=0.16)
    crew.master.offer(READERS)
    crew.done(40)
    crew.silence()
    whole = Histogram(counts={})
    for worker in crew.workers.values():
        whole = whole.plus(read_histogram(worker.ask("/metrics"), behaviour="reader"))
    assert whole.counts[math.inf] == crew.total(DONE)
    median = whole.quantile(0.5)
    assert median is not None
    assert median > 0.15


@pytest.mark.parametrize("cause", ["killed", "paused"])
def test_a_worker_that_is_lost_is_named_and_its_users_are_played_by_the_other(
    crew: Crew, fake_app: FakeApp, cause: str
) -> None:
    crew.master.offer(READERS, WRITERS)
    crew.done(40)
    one = crew.workers["w1"]
    one.kill() if cause == "killed" else one.pause()
    lost = crew.lost()
    assert lost["worker"] == "w1"
    assert lost["covered"] is True
    assert _silence_s(lost["reason"], "w1") >= 3.0
    assert lost["reason"].endswith("users are played by w2")
    assert crew.master.playing() == {"w2": ALL_USERS}
    two = crew.workers["w2"].samples()
    assert two.total("loadgen_users") == ALL_USERS
    assert two.total("loadgen_load_parts") == 1
    assert two.total("loadgen_offered_rate_hertz") == 29.0
    status = crew.master.status()
    assert [gone["name"] for gone in status["lost_workers"]] == ["w1"]
    before = len(fake_app.seen()["paths"])
    crew.workers["w2"].once("more", lambda now: now.total(DONE) >= two.total(DONE) + 60)
    reads = ids_read(fake_app, after=before)
    assert set(map(str, range(1, 8))) <= reads.keys()
    log = crew.folder / "master.log"
    wait_until("it is in the log", lambda: "w1 was silent" in log.read_text())


def _silence_s(reason: str, name: str) -> float:
    found = re.search(rf"{name} was silent for (\d+\.\d) s", reason)
    assert found, reason
    return float(found[1])


def test_the_gap_in_which_nobody_played_the_users_is_lag_of_who_takes_them_over(crew: Crew) -> None:
    crew.master.offer(READERS)
    crew.done(20)
    crew.workers["w1"].kill()
    crew.workers["w2"].once(
        "the gap shows", lambda now: now.total("loadgen_scheduler_lag_seconds") >= 3.0
    )


def test_all_that_a_killed_worker_acknowledged_is_known(crew: Crew, fake_app: FakeApp) -> None:
    crew.master.offer({**WRITERS, "rate_hz": 10.0})
    crew.done(60)
    crew.workers["w1"].kill()
    spooled = [
        json.loads(line)["write"]["message_id"]
        for file in crew.spool.glob("w1-*.jsonl")
        for line in file.read_text().splitlines()
    ]
    assert spooled
    assert crew.lost()["covered"] is True
    known = crew.known_writes()
    assert set(spooled) <= set(known)
    assert len(known) == len(set(known))
    assert set(known) <= {message["id"] for message in fake_app.seen()["messages"]}


def test_what_a_lost_worker_elsewhere_acknowledged_is_declared_unknown(crew: Crew) -> None:
    crew.join("elsewhere", spool_dir=None)
    crew.master.offer(READERS, WRITERS)
    crew.done(20)
    crew.workers["elsewhere"].kill()
    lost = crew.lost()
    assert lost["worker"] == "elsewhere"
    assert lost["covered"] is False
    assert "which writes it acknowledged last is not known" in lost["reason"]
    assert sum(crew.master.playing().values()) == ALL_USERS


def test_a_worker_that_is_started_again_takes_its_own_users_again(crew: Crew) -> None:
    crew.master.offer(READERS, WRITERS)
    before = crew.master.playing()
    crew.done(20)
    crew.workers["w1"].kill()
    crew.join("w1")
    wait_until("both play", lambda: crew.master.playing() == before)
    assert crew.parts() == [2, 2]
    assert crew.total("loadgen_users") == ALL_USERS
    assert crew.master.status()["lost_workers"] == []
    wait_until("both are told", lambda: len(crew.master.changes()) >= 2)
    lost, joined = crew.master.changes()
    assert (lost["kind"], lost["covered"], joined["kind"]) == ("lost", True, "joined")


def test_one_that_wakes_up_meets_others_in_its_place_and_takes_it_back(
    crew: Crew, fake_app: FakeApp
) -> None:
    crew.master.offer(READERS, WRITERS)
    before = crew.master.playing()
    crew.done(20)
    crew.workers["w1"].pause()
    crew.lost()
    crew.workers["w1"].go_on()
    wait_until("both play", lambda: crew.master.playing() == before)
    assert crew.total("loadgen_users") == ALL_USERS
    crew.silence()
    crew.knows(fake_app.seen()["messages"])


def test_a_worker_that_hears_no_master_offers_nothing(crew: Crew) -> None:
    crew.master.offer(READERS)
    crew.done(20)
    crew.master.pause()

    def silent() -> bool:
        return all(samples.total("loadgen_offered_rate_hertz") == 0 for samples in crew.samples())

    wait_until("nobody offers anything", silent)
    assert crew.parts() == [0, 0]
    crew.master.go_on()


def test_workers_join_a_master_that_was_started_again(crew: Crew) -> None:
    crew.master.offer(READERS)
    crew.done(20)
    crew.master.kill()
    port, folder = crew.master.master_port, crew.folder
    again = Master(folder, expect_workers=2, master_port=port, spool_dir=str(crew.spool))
    crew.master = crew.open.enter_context(again)
    wait_until("both are there", lambda: len(crew.master.workers()) == 2)
    wait_until("nobody offers anything", lambda: crew.parts() == [0, 0])
    crew.master.offer(READERS, load_id="again")
    assert sum(crew.master.playing().values()) == 7
    before = crew.total(DONE)
    crew.done(before + 20)


def test_without_workers_there_is_no_load(crew: Crew) -> None:
    for worker in crew.workers.values():
        worker.kill()
    wait_until("all are lost", lambda: not crew.master.workers())
    with pytest.raises(urllib.error.HTTPError) as refused:
        crew.master.offer(READERS)
    assert refused.value.code == 503
    assert "there is no worker" in refused.value.read().decode()


def test_the_last_one_that_is_lost_is_not_covered(crew: Crew) -> None:
    crew.master.offer(READERS)
    crew.done(20)
    for worker in crew.workers.values():
        worker.kill()
    wait_until("both are lost", lambda: len(crew.master.changes()) == 2)
    last = crew.master.changes()[-1]
    assert last["covered"] is False
    assert "no worker is left to play its users" in last["reason"]
    assert crew.master.status()["load_id"] is None


def test_who_does_not_know_the_token_has_no_part(crew: Crew) -> None:
    app_socket = crew.folder / "app.sock"
    with Worker(crew.master, "stranger", app_socket=app_socket, control_token="guessed"):  # noqa: S106 - wrong
        log = crew.folder / "master.log"
        wait_until("it is refused", lambda: "another token" in log.read_text())
        crew.master.offer(READERS)
        assert crew.master.playing().keys() == set(NAMES)


def test_the_app_is_reached_over_tcp_too(short_folder: Path) -> None:
    with (
        held_port() as port,
        FakeApp(short_folder / "app.sock", stderr=short_folder / "app.log", port=port) as app,
        Master(short_folder, expect_workers=1) as master,
        Worker(master, "far", app_socket=None, app_address=f"127.0.0.1:{port}") as far,
    ):
        wait_until("it is there", master.is_ready)
        master.offer(READERS, {"behaviour": "streamer", "users": 1, "rate_hz": 1.0})
        samples = far.done(40)
        assert samples.total(ERRORS) == 0
        assert samples.total(DONE, behaviour="streamer") >= 1
        assert len(app.seen()["paths"]) >= 40


def test_the_page_shows_the_workers_and_their_requests(crew: Crew) -> None:
    crew.master.offer(READERS, WRITERS)

    def shown() -> str | None:
        text = crew.master.ask("/stats/requests", token=None)
        return text if '"user_count": 11' in text and '"list_messages"' in text else None

    report = wait_until("the page shows both", shown)
    assert '"state": "running"' in report


def test_prometheus_is_told_where_the_workers_are(crew: Crew) -> None:
    told = json.loads(crew.master.ask("/targets", token=None))
    expected = sorted(f"127.0.0.1:{worker.port}" for worker in crew.workers.values())
    assert told == [{"targets": expected, "labels": {}}]
    samples = crew.master.samples()
    assert samples.total("loadgen_master_workers", state="standby") == 2
    assert samples.total("loadgen_master_expected_workers") == 2
    assert samples.values("loadgen_cpu_ratio") == []


def test_all_of_them_stop_quietly(crew: Crew) -> None:
    crew.master.offer(READERS, WRITERS)
    crew.done(10)
    assert crew.workers["w1"].terminate() == 0
    assert crew.master.terminate() == 0
    wait_until("the other was sent away", crew.workers["w2"].died)
    for name in ("master", *NAMES):
        assert "Traceback" not in (crew.folder / f"{name}.log").read_text()
