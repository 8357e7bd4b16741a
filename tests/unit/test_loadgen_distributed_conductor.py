"""The master's hold on its workers, which are played here: what they are told, what they report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loadgen import conductor as module
from loadgen.conductor import Conductor, Settings
from loadgen.control import UnavailableError
from loadgen.ledger import Ledger, Write
from loadgen.load import LoadVector
from loadgen.master_metrics import MasterInstruments
from loadgen.messages import ORDER, WORD, Numbered, Order, Word
from loadgen.shares import Share
from loadgen.spool import Spool

TOKEN = "secret"  # noqa: S105 - the test's
LOAD = LoadVector.model_validate(
    {"id": "full", "dimensions": [{"behaviour": "reader", "users": 5, "rate_hz": 1.0}]}
)


@dataclass
class Stage:
    """Stands for Locust's runner: keeps what is sent, and has workers carry orders out."""

    sent: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    #: do not carry orders out
    deaf: set[str] = field(default_factory=set)
    #: which process each of them is
    lives: dict[str, str] = field(default_factory=dict)
    listener: Callable[..., None] = print
    target_user_count: int = 0
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def environment(self) -> Any:
        return SimpleNamespace(
            events=SimpleNamespace(spawning_complete=SimpleNamespace(fire=lambda **_: None))
        )

    def register_message(self, _name: str, listener: Callable[..., None]) -> None:
        self.listener = listener

    def send_message(self, name: str, data: dict[str, Any], *, client_id: str) -> None:
        self.sent.append((name, client_id, data))
        if name == ORDER and client_id not in self.deaf:
            self.report(client_id, turn=data["turn"])

    def report(self, client: str, *, turn: int = 0, **changed: Any) -> None:
        self.lives[client] = changed.get("life", self.lives.get(client, f"{client}-1"))
        report = {
            "token": TOKEN,
            "name": client,
            "life": self.lives[client],
            "pid": 1,
            "metrics": f"{client}:9646",
            "turn": turn,
            "users": 2,
            "lag_s": 0.0,
            "cpu_ratio": 0.0,
            "writes": [],
            "dropped": 0,
            **changed,
        }
        self.listener(environment=None, msg=SimpleNamespace(data=report, node_id=client))

    def orders(self) -> dict[str, Order]:
        """The last one to each."""
        return {
            client: Order.model_validate(data) for name, client, data in self.sent if name == ORDER
        }

    def words(self, client: str) -> list[Word]:
        return [
            Word.model_validate(data)
            for name, to, data in self.sent
            if (name, to) == (WORD, client)
        ]


@dataclass
class Clock:
    """In place of `time`: 10 ms pass whenever somebody looks."""

    now_s: float = 1000.0

    def monotonic(self) -> float:
        self.now_s += 0.01
        return self.now_s


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(module, "_ACKNOWLEDGE_S", 0.02)
    monkeypatch.setattr(module, "_COLLECT_S", 0.02)
    return Stage()


def conduct(stage: Stage, *names: str, spool_dir: Path | None = None) -> Conductor:
    made = Conductor(
        runner=stage,
        params_models={},
        ledger=stage.ledger,
        instruments=MasterInstruments(expected=2),
        settings=Settings(token=TOKEN, seed=7, timeout_s=2.5, expected=2, spool_dir=spool_dir),
    )
    for name in names:
        stage.report(name)
    return made


def write(number: int) -> Write:
    return Write(
        user_id=1,
        conversation_id=1,
        message_id=number,
        tokens=1,
        kind="message",
        asked_at=1.0,
        acked_at=2.0,
    )


def numbered(*numbers: int) -> list[dict[str, Any]]:
    return [Numbered(seq=each, write=write(each)).model_dump(mode="json") for each in numbers]


def test_all_are_told_what_is_theirs_before_the_load_is_applied(stage: Stage) -> None:
    master = conduct(stage, "a", "b")
    master.apply(LOAD)
    orders = stage.orders()
    shares = {
        name: Share(place=order.place, of=order.of, present=order.present)
        for name, order in orders.items()
    }
    played = [number for share in shares.values() for number in share.numbers(key="k", users=5)]
    assert sorted(played) == [0, 1, 2, 3, 4]
    assert {(order.seed, order.timeout_s) for order in orders.values()} == {(7, 2.5)}
    assert master.status()["workers"][0]["state"] == "playing"
    assert master.changes(after=0) == []


def test_a_dimension_begins_at_the_same_moment_for_all_and_stays(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    master = conduct(stage, "a", "b")
    ordered_s: list[float] = []
    send = stage.send_message

    def note_when(name: str, data: dict[str, Any], *, client_id: str) -> None:
        if name == ORDER:
            ordered_s.append(clock.now_s)
        send(name, data, client_id=client_id)

    stage.send_message = note_when  # type: ignore[method-assign]
    master.apply(LOAD)
    (first, second) = [next(iter(o.starts_in_s.values())) for o in stage.orders().values()]
    assert ordered_s[0] < ordered_s[1]
    assert ordered_s[0] + first == pytest.approx(ordered_s[1] + second)
    assert min(first, second) > 0
    began = dict(master._starts_s)
    master.apply(LOAD)
    assert began
    assert master._starts_s == began


def test_who_does_not_carry_an_order_out_is_lost_and_the_others_play_all_of_it(
    stage: Stage, tmp_path: Path
) -> None:
    spool = Spool(tmp_path, "b-1")
    master = conduct(stage, "a", "b", spool_dir=tmp_path)
    stage.deaf.add("b")
    master.apply(LOAD)
    spool.remove()
    assert stage.orders()["a"].present == (0,)
    (change,) = master.changes(after=0)
    assert (change["worker"], change["kind"], change["covered"]) == ("b", "lost", True)
    assert "did not carry out an order" in change["reason"]


def test_with_nobody_left_the_load_is_refused(stage: Stage) -> None:
    master = conduct(stage)
    with pytest.raises(UnavailableError):
        master.apply(LOAD)
    assert master.load is None
    master = conduct(stage, "a")
    stage.deaf.add("a")
    with pytest.raises(UnavailableError):
        master.apply(LOAD)
    (change,) = master.changes(after=0)
    assert change["covered"] is False


def test_it_is_ready_once_all_were_there_and_stays_so(stage: Stage) -> None:
    master = conduct(stage, "a")
    assert not master.is_ready
    stage.report("b")
    assert master.is_ready
    master._update({"b-1": "was silent for 3.0 s"})
    assert master.is_ready


def test_one_that_comes_back_is_given_its_place_and_the_load(stage: Stage, tmp_path: Path) -> None:
    spool = Spool(tmp_path, "b-1")
    master = conduct(stage, "a", "b", spool_dir=tmp_path)
    master.apply(LOAD)
    master._update({"b-1": "was silent for 3.0 s"})
    spool.remove()
    assert stage.orders()["a"].present == (0,)
    assert stage.orders()["a"].gap_s > 0
    stage.report("b", life="b-2")
    master._update({})
    assert stage.orders()["b"].present == (0, 1)
    assert stage.orders()["a"].gap_s == 0
    assert [change["kind"] for change in master.changes(after=0)] == ["lost", "joined"]


def test_one_that_plays_what_is_others_is_told_so(stage: Stage) -> None:
    master = conduct(stage, "a", "b")
    master.apply(LOAD)
    turn = stage.orders()["b"].turn
    assert stage.words("b")[-1].outside is False
    master._update({"b-1": "was silent for 3.0 s"})
    stage.report("b", turn=turn)
    assert stage.words("b")[-1].outside is True
    stage.report("b", turn=0)
    assert stage.words("b")[-1].outside is False


def test_a_write_that_is_reported_twice_is_one(stage: Stage) -> None:
    conduct(stage)
    stage.report("a", writes=numbered(1, 2))
    assert stage.words("a")[-1].ledger == 2
    stage.report("a", writes=numbered(1, 2, 3))
    page = stage.ledger.page(after=0, limit=10)
    assert [entry["message_id"] for entry in page.entries] == [1, 2, 3]


def test_writes_that_a_worker_dropped_are_counted(stage: Stage) -> None:
    conduct(stage)
    stage.report("a", dropped=3)
    stage.report("a", dropped=5)
    assert stage.ledger.page(after=0, limit=1).dropped == 5


def test_what_a_lost_worker_left_behind_is_taken_from_its_spool(
    stage: Stage, tmp_path: Path
) -> None:
    spool = Spool(tmp_path, "b-1")
    for number in (1, 2, 3):
        spool.write(number, write(number))
    master = conduct(stage, "a", "b", spool_dir=tmp_path)
    master.apply(LOAD)
    stage.report("b", turn=1, writes=numbered(1))
    master._update({"b-1": "was silent for 3.0 s"})
    page = stage.ledger.page(after=0, limit=10)
    assert [entry["message_id"] for entry in page.entries] == [1, 2, 3]
    (change,) = master.changes(after=0)
    assert change["covered"] is True


def killed(spool: Spool) -> None:
    """Its file is there, and nobody holds it any more."""
    assert spool._file is not None
    spool._file.close()


def test_the_spools_of_those_who_ended_are_removed_when_they_are_taken(
    stage: Stage, tmp_path: Path
) -> None:
    """Both are lost at the same moment: nothing of the second is gone before it was read."""
    spools = {life: Spool(tmp_path, life) for life in ("a-1", "b-1", "c-1")}
    master = conduct(stage, "a", "b", "c", spool_dir=tmp_path)
    master.apply(LOAD)
    for life in ("a-1", "b-1"):
        spools[life].write(1, write(len(life)))
        killed(spools[life])
    master._update(dict.fromkeys(("a-1", "b-1"), "was silent for 3.0 s"))
    assert [path.name for path in tmp_path.iterdir()] == ["c-1.jsonl"]
    assert [change["covered"] for change in master.changes(after=0)] == [True, True]


def test_one_that_is_only_silent_keeps_its_spool_until_it_has_ended(
    stage: Stage, tmp_path: Path
) -> None:
    silent, other = Spool(tmp_path, "b-1"), Spool(tmp_path, "c-1")
    master = conduct(stage, "a", "b", "c", spool_dir=tmp_path)
    master.apply(LOAD)
    master._update({"b-1": "was silent for 3.0 s"})
    assert (tmp_path / "b-1.jsonl").exists()
    killed(silent)
    killed(other)
    master._update({"c-1": "was silent for 3.0 s"})
    assert list(tmp_path.iterdir()) == []


def test_one_that_came_back_keeps_its_spool(stage: Stage, tmp_path: Path) -> None:
    """What it is acknowledged from then on would else be known to nobody when it is killed."""
    back, other = Spool(tmp_path, "b-1"), Spool(tmp_path, "c-1")
    master = conduct(stage, "a", "b", "c", spool_dir=tmp_path)
    master.apply(LOAD)
    master._update({"b-1": "was silent for 3.0 s"})
    stage.report("b")
    killed(back)
    killed(other)
    master._update({"c-1": "was silent for 3.0 s"})
    assert [path.name for path in tmp_path.iterdir()] == ["b-1.jsonl"]


def test_what_workers_of_another_master_left_is_removed(stage: Stage, tmp_path: Path) -> None:
    ended, living = Spool(tmp_path, "a-1"), Spool(tmp_path, "b-1")
    killed(ended)
    conduct(stage, spool_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["b-1.jsonl"]
    living.remove()


def test_writes_that_nobody_knows_of_leave_a_loss_uncovered(stage: Stage) -> None:
    master = conduct(stage, "a", "b")
    master.apply(LOAD)
    master._update({"b-1": "was silent for 3.0 s"})
    (change,) = master.changes(after=0)
    assert change["covered"] is False
    assert "not known" in change["reason"]


def test_one_that_only_stood_by_leaves_nothing_unknown(stage: Stage) -> None:
    master = conduct(stage, "a")
    master.apply(LOAD)
    stage.report("c")
    master._update({"c-1": "was silent for 3.0 s"})
    assert [change["covered"] for change in master.changes(after=0)] == [True, True]
    assert "it stood by" in master.changes(after=1)[0]["reason"]


@pytest.mark.parametrize("wrong", [{"token": "guessed"}, {"name": "../x"}, {"lag_s": "much"}])
def test_a_report_that_is_none_changes_nothing(stage: Stage, wrong: dict[str, Any]) -> None:
    master = conduct(stage)
    stage.report("a", **wrong)
    assert master.status()["workers"] == []
    assert stage.sent == []


def test_readers_of_the_ledger_wait_for_what_the_workers_hold(stage: Stage) -> None:
    master = conduct(stage, "a")

    def answer(name: str, data: dict[str, Any], *, client_id: str) -> None:
        if name == WORD and data["ask"]:
            stage.report(client_id, answers=data["ask"], writes=numbered(1))

    stage.send_message = answer  # type: ignore[method-assign]
    master.collect()
    assert len(stage.ledger.page(after=0, limit=10).entries) == 1


def test_prometheus_keeps_looking_for_one_that_is_lost(stage: Stage) -> None:
    master = conduct(stage, "a", "b")
    master.apply(LOAD)
    master._update({"b-1": "was silent for 3.0 s"})
    assert master.targets() == ["a:9646", "b:9646"]
    master.apply(LOAD)
    assert master.targets() == ["a:9646"]
