"""How a load is divided among workers, and who has which place: no process, no clock."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.changes import Changes
from loadgen.ledger import Write
from loadgen.load import LoadError, parse_load
from loadgen.messages import Order, Report
from loadgen.options import OptionsError, parser, read_config
from loadgen.roster import Roster
from loadgen.schedule import ArrivalKind, Schedule
from loadgen.shares import WHOLE, Share
from loadgen.spool import Spool, SpoolError, leftover

WRITE = Write(
    user_id=1,
    conversation_id=2,
    message_id=3,
    tokens=4,
    kind="message",
    asked_at=5.0,
    acked_at=6.0,
)


# -- shares ---------------------------------------------------------------------------------------


@st.composite
def divisions(draw: st.DrawFn) -> list[Share]:
    """The shares of all workers that are there, some of whose fellows may be lost."""
    of = draw(st.integers(min_value=1, max_value=12))
    present = tuple(sorted(draw(st.sets(st.integers(0, of - 1), min_size=1))))
    return [Share(place=place, of=of, present=present) for place in present]


@given(shares=divisions(), users=st.integers(0, 400), key=st.text())
def test_each_user_is_played_by_exactly_one_worker(
    shares: list[Share], users: int, key: str
) -> None:
    played = [number for share in shares for number in share.numbers(key=key, users=users)]
    assert sorted(played) == list(range(users))


@given(of=st.integers(1, 12), users=st.integers(0, 400), key=st.text())
def test_no_worker_has_more_than_one_user_more_than_another(of: int, users: int, key: str) -> None:
    everybody = tuple(range(of))
    counts = [
        len(Share(place=place, of=of, present=everybody).numbers(key=key, users=users))
        for place in everybody
    ]
    assert max(counts) - min(counts) <= 1


@given(shares=divisions(), users=st.integers(0, 400), key=st.text())
def test_who_is_there_keeps_its_users_whoever_is_lost(
    shares: list[Share], users: int, key: str
) -> None:
    for share in shares:
        whole = Share(place=share.place, of=share.of, present=tuple(range(share.of)))
        own = set(whole.numbers(key=key, users=users))
        assert own <= set(share.numbers(key=key, users=users))


def test_the_users_of_a_lost_worker_are_spread_over_the_others() -> None:
    present = (0, 2, 3)
    counts = [
        len(Share(place=place, of=4, present=present).numbers(key="reader", users=120))
        for place in present
    ]
    assert counts == [40, 40, 40]


def test_one_that_is_alone_plays_everybody() -> None:
    assert WHOLE.numbers(key="x", users=5) == (0, 1, 2, 3, 4)
    assert WHOLE.parts == 1


@pytest.mark.parametrize(
    ("place", "of", "present"), [(1, 2, (0,)), (0, 2, (1, 0)), (0, 1, (0, 1)), (0, 2, (0, 0, 1))]
)
def test_a_share_that_does_not_fit_is_refused(
    place: int, of: int, present: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="present"):
        Share(place=place, of=of, present=present)


@given(
    rate_hz=st.floats(0.01, 1_000),
    users=st.integers(1, 400),
    at_s=st.floats(-100, 100_000),
    arrival=st.sampled_from(ArrivalKind),
    data=st.data(),
)
def test_who_takes_a_user_over_begins_with_the_next_arrival(
    rate_hz: float, users: int, at_s: float, arrival: ArrivalKind, data: st.DataObject
) -> None:
    schedule = Schedule(rate_hz=rate_hz, users=users, arrival=arrival, start_s=0.0)
    user = data.draw(st.integers(0, users - 1))
    index = schedule.next_index(user=user, at_s=at_s)
    tolerance_s = 1e-6 * schedule.period_s * max(1, index)
    assert schedule.intended_s(user=user, index=index) >= at_s - tolerance_s
    if index:
        assert schedule.intended_s(user=user, index=index - 1) < at_s + tolerance_s


def test_more_processes_may_have_more_users() -> None:
    reader = {"behaviour": "reader", "users": 6_000, "rate_hz": 1.0}
    document = {"id": "large", "dimensions": [reader]}
    with pytest.raises(LoadError, match="at most 5000"):
        parse_load(document, params_models={})
    with pytest.raises(LoadError) as refused:
        parse_load(document, params_models={}, processes=2)
    assert "users in all" not in str(refused.value)


# -- the roster -----------------------------------------------------------------------------------


def report(name: str, life: str = "", *, turn: int = 0) -> Report:
    return Report(
        token="t",  # noqa: S106 - nobody's
        name=name,
        life=life or f"{name}-1",
        pid=1,
        metrics=f"{name}:9646",
        turn=turn,
        users=0,
        lag_s=0.0,
        cpu_ratio=0.0,
        writes=(),
        dropped=0,
    )


def roster(*names: str, at_s: float = 0.0) -> Roster:
    made = Roster(patience_s=3.0)
    for name in names:
        assert made.hear(report(name), client=f"locust-{name}", at_s=at_s)
    return made


def places(of: Roster) -> dict[str, int | None]:
    return {member.name: member.place for member in of.members.values()}


def test_places_are_given_by_name_when_a_load_comes() -> None:
    crew = roster("b", "a")
    assert places(crew) == {"b": None, "a": None}
    assert crew.shares() == {}
    crew.divide()
    assert places(crew) == {"b": 1, "a": 0}
    assert crew.shares()["a-1"] == Share(place=0, of=2, present=(0, 1))


def test_who_comes_later_stands_by_until_the_next_load() -> None:
    crew = roster("a")
    crew.divide()
    crew.hear(report("b"), client="x", at_s=1.0)
    assert crew.fill() == ()
    assert crew.shares().keys() == {"a-1"}
    crew.divide()
    assert places(crew) == {"a": 0, "b": 1}


def test_silence_is_a_loss_when_patience_ends() -> None:
    crew = roster("a", "b")
    crew.hear(report("a"), client="x", at_s=2.5)
    assert crew.lost(at_s=2.9) == {}
    assert crew.lost(at_s=3.2) == {"b-1": "was silent for 3.2 s"}


def test_a_place_that_is_vacant_stays_until_somebody_takes_it() -> None:
    crew = roster("a", "b")
    crew.divide()
    assert crew.silent_since_s() is None
    crew.remove("b-1")
    assert crew.shares() == {"a-1": Share(place=0, of=2, present=(0,))}
    assert crew.silent_since_s() == 0.0
    crew.hear(report("c"), client="x", at_s=9.0)
    (filled,) = crew.fill()
    assert (filled.name, filled.place, crew.silent_since_s()) == ("c", 1, None)


def test_one_that_comes_back_takes_its_own_place_though_another_is_vacant() -> None:
    crew = roster("a", "b", "c")
    crew.divide()
    crew.remove("a-1")
    crew.remove("c-1")
    crew.hear(report("c", "c-2"), client="x", at_s=9.0)
    crew.fill()
    assert places(crew) == {"b": 1, "c": 2}


def test_one_that_still_offers_something_gets_no_place_before_it_stopped() -> None:
    crew = roster("a", "b")
    crew.divide()
    crew.remove("b-1")
    crew.hear(report("b", turn=7), client="x", at_s=9.0)
    assert crew.fill() == ()
    crew.hear(report("b", turn=0), client="x", at_s=9.2)
    assert [member.name for member in crew.fill()] == ["b"]


def test_a_worker_that_was_started_again_is_lost_before_its_patience_ends() -> None:
    crew = roster("a", "b")
    crew.hear(report("b", "b-2"), client="x", at_s=1.5)
    assert crew.lost(at_s=1.6) == {"b-1": "ended, and was started again"}


def test_two_that_were_given_one_name_are_two() -> None:
    crew = roster("a")
    crew.hear(report("a", "a-2"), client="x", at_s=0.1)
    assert crew.lost(at_s=0.2) == {}
    crew.divide()
    assert sorted(share.place for share in crew.shares().values()) == [0, 1]


def test_without_a_load_nobody_has_a_place() -> None:
    crew = roster("a", "b")
    crew.divide()
    crew.remove("b-1")
    crew.dissolve()
    assert (places(crew), crew.vacant, crew.shares()) == ({"a": None}, {}, {})


def test_changes_are_numbered_and_told_from_where_one_was() -> None:
    changes = Changes()
    changes.add(at=1.0, worker="a", kind="lost", reason="silent", covered=False)
    changes.add(at=2.0, worker="a", kind="joined", reason="back")
    assert [each["seq"] for each in changes.after(0)] == [1, 2]
    assert [each["kind"] for each in changes.after(1)] == ["joined"]


# -- messages, the spool, the command line --------------------------------------------------------


@pytest.mark.parametrize("name", ["", "../etc/passwd", "a b", "-a", "x" * 101])
def test_a_name_that_could_be_another_file_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        report(name, "life")


def test_an_order_with_something_else_in_it_is_refused() -> None:
    with pytest.raises(ValueError, match="surprise"):
        Order.model_validate({"token": "t", "surprise": 1})


def test_the_spool_gives_what_the_master_does_not_have(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "w1-a")
    for seq in (1, 2, 3):
        spool.write(seq, WRITE)
    left = list(leftover(tmp_path, "w1-a", after=1))
    assert [entry.seq for entry in left] == [2, 3]
    assert left[0].write == WRITE


def test_a_large_spool_is_begun_anew_when_all_is_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadgen.spool._ROTATE_BYTES", 100)
    spool = Spool(tmp_path, "w1-a")
    spool.write(1, WRITE)
    spool.write(2, WRITE)
    spool.handed_on(1)
    assert [entry.seq for entry in leftover(tmp_path, "w1-a", after=0)] == [1, 2]
    spool.handed_on(2)
    spool.write(3, WRITE)
    assert [entry.seq for entry in leftover(tmp_path, "w1-a", after=2)] == [3]


@pytest.mark.parametrize("content", [None, '{"seq": 1', '{"seq": 1}\n', "garbage\n"])
def test_a_spool_that_is_not_whole_says_nothing(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "w1-a.jsonl").write_text(content)
    with pytest.raises(SpoolError):
        list(leftover(tmp_path, "w1-a", after=0))


def test_a_master_without_a_spool_folder_knows_nothing_of_what_is_left() -> None:
    with pytest.raises(SpoolError, match="no spool folder"):
        list(leftover(None, "w1-a", after=0))


def test_a_spool_that_cannot_be_written_any_more_claims_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "w1-a")
    spool.write(1, WRITE)
    assert spool._file is not None
    spool._file.close()
    spool._file = (tmp_path / "w1-a.jsonl").open("rb", buffering=0)  # as a disk that refuses
    spool.write(2, WRITE)
    with pytest.raises(SpoolError, match="cannot be read"):
        list(leftover(tmp_path, "w1-a", after=0))


WORKER = [
    *("--worker", "--web-port", "9646", "--clients", "loadgen.chat_db_app"),
    *("--app-address", "app:80"),
]


def test_a_worker_needs_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_LOAD_TOKEN", "secret")
    config = read_config(parser().parse_args([*WORKER, "--master-host", "h"]))
    assert (config.role, config.master_host, config.control_token) == ("worker", "h", "secret")


def test_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "loadgen.json"
    file.write_text(
        json.dumps(
            {"clients": "x", "app_socket": "/app", "web_port": 1, "control_token": "t", "seed": 3}
        )
    )
    arguments = ["--config", str(file), "--master", "--expect-workers", "4"]
    config = read_config(parser().parse_args(arguments))
    assert (config.role, config.expect_workers, config.seed) == ("master", 4, 3)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--worker"], "clients: Field required"),
        ([*WORKER, "--app-socket", "/s"], "one way or the other"),
        (WORKER[:-2], "where is the app"),
        (["--config", "/nowhere"], "/nowhere"),
        ([*WORKER[:-1], "app"], "app_address"),
    ],
)
def test_what_does_not_fit_is_told(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], problem: str
) -> None:
    monkeypatch.setenv("RATCHET_LOAD_TOKEN", "secret")
    with pytest.raises(OptionsError, match=problem):
        read_config(parser().parse_args(arguments))


def test_a_process_is_not_master_and_worker() -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--master", "--worker"])
