"""What was acknowledged against what is stored."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from campaign.adapters.database.ledger import LedgerBook, Message
from campaign.adapters.database.ledger_file import KeptWrite, LedgerFile


def write(number: int, *, user: int = 1, tokens: int = 10, at: float = 0.0) -> KeptWrite:
    return KeptWrite(
        message_id=number, conversation_id=100 + user, user_id=user, tokens=tokens, acked_at=at
    )


def stored(writes: Iterable[KeptWrite]) -> dict[int, Message]:
    return {
        w.message_id: Message(conversation_id=w.conversation_id, user_id=w.user_id, tokens=w.tokens)
        for w in writes
    }


def book() -> LedgerBook:
    return LedgerBook(seed=1, opening={1: 1000, 2: 0})


def test_a_message_is_looked_up_once_its_answer_is_a_second_old() -> None:
    ledger = book()
    ledger.add([write(1, at=5.0), write(2, at=6.5)])
    assert ledger.due(at=5.9, limit=10, sample=0) == []
    assert ledger.due(at=6.0, limit=10, sample=0) == [1]
    assert ledger.due(at=9.0, limit=10, sample=0) == [1, 2]


def test_what_was_not_looked_up_stays_due() -> None:
    """A look-up that failed proves nothing."""
    ledger = book()
    ledger.add([write(1), write(2)])
    assert ledger.due(at=2, limit=10, sample=0) == [1, 2]
    ledger.found([1], stored([write(1)]))
    assert ledger.due(at=2, limit=10, sample=0) == [2]
    assert ledger.missing == 0


def test_each_look_up_is_bounded() -> None:
    ledger = book()
    ledger.add(write(number) for number in range(100))
    assert len(ledger.due(at=2, limit=30, sample=0)) == 30


def test_an_absent_message_is_missing_until_it_is_found() -> None:
    ledger = book()
    ledger.add([write(1), write(2)])
    ledger.found([1, 2], stored([write(1)]))
    assert ledger.missing == 1
    assert ledger.due(at=2, limit=10, sample=0) == [2]
    ledger.found([2], stored([write(2)]))
    assert ledger.missing == 0


def test_what_was_written_off_counts_no_more_but_what_is_lost_later_does() -> None:
    ledger = book()
    ledger.add([write(1), write(2), write(3)])
    ledger.found([1, 2, 3], stored([write(2), write(3)]))
    assert ledger.write_off() == [1]
    assert ledger.missing == 0
    ledger.found([1, 2], {})
    assert ledger.missing == 1
    assert ledger.write_off([2]) == [1, 2]
    assert ledger.missing == 0


def test_two_answers_that_name_one_message_stand_for_one_that_is_missing() -> None:
    ledger = book()
    ledger.add([write(1, at=1.0), write(2, at=1.0)])
    ledger.add([write(1, at=1.0)])  # reported once more, after a failure
    ledger.found([1, 2], stored([write(1), write(2)]))
    assert ledger.missing == 0
    for _ in range(2):
        assert ledger.add([write(1, at=2.0)]) == []
    assert ledger.missing == 1
    ledger.settle_accounts({1: 1020}, at=3.0)
    assert ledger.lost_tokens == 10


def test_a_message_of_another_size_conversation_or_user_is_missing() -> None:
    ledger = book()
    ledger.add([write(1), write(2), write(3)])
    found = stored([write(1, tokens=9), write(2, user=2), write(3)])
    ledger.found([1, 2, 3], found)
    assert ledger.missing == 2


def test_old_messages_are_looked_at_again() -> None:
    """Else an operator could delete what was checked once."""
    ledger = book()
    everything = [write(number) for number in range(50)]
    ledger.add(everything)
    ledger.found(range(50), stored(everything))
    again = [ledger.due(at=2, limit=10, sample=5) for _ in range(40)]
    assert {len(ids) for ids in again} == {5}
    assert len({id_ for ids in again for id_ in ids}) > 40
    ledger.found(again[0], {})
    assert ledger.missing == 5


def test_a_write_that_comes_twice_counts_once() -> None:
    ledger = book()
    assert ledger.add([write(1)]) == [write(1)]
    assert ledger.add([write(1), write(2)]) == [write(2)]
    ledger.settle_accounts({1: 1020}, at=1)
    assert (len(ledger), ledger.lost_tokens) == (2, 0)


def test_an_account_that_shows_less_than_was_acknowledged_has_lost_tokens() -> None:
    ledger = book()
    ledger.add([write(1, at=1), write(2, at=2), write(3, user=2, at=2)])
    ledger.settle_accounts({1: 1010, 2: 4}, at=3)
    assert ledger.lost_tokens == 10 + 6


def test_only_what_was_acknowledged_before_the_accounts_were_read_is_due() -> None:
    ledger = book()
    ledger.add([write(1, at=1), write(2, at=5)])
    ledger.settle_accounts({1: 1010}, at=3)
    assert ledger.lost_tokens == 0
    ledger.settle_accounts({1: 1010}, at=6)
    assert ledger.lost_tokens == 10


def test_an_account_that_is_ahead_hides_a_loss_for_a_moment_only() -> None:
    """Ten tokens are lost; a write whose answer is on its way adds ten at the third look."""
    ledger = book()
    ledger.add([write(1), write(2)])
    seen = []
    for shown in (1010, 1010, 1020, 1010):
        ledger.settle_accounts({1: shown}, at=3)
        seen.append(ledger.lost_tokens)
    assert seen == [10, 10, 10, 10]


def test_an_account_that_was_put_right_has_lost_nothing_after_a_while() -> None:
    ledger = book()
    ledger.add([write(1)])
    for shown in [1000] * 3 + [1010] * 8:
        ledger.settle_accounts({1: shown}, at=3)
    assert ledger.lost_tokens == 0


def test_an_account_whose_beginning_is_unknown_is_left_alone_until_it_is_told() -> None:
    ledger = book()
    ledger.add([write(1, user=7), write(2, user=1)])
    assert (ledger.users, ledger.unopened) == ([1], [7])
    ledger.settle_accounts({1: 1010}, at=3)
    assert ledger.unopened == [7]
    ledger.open_accounts({7: 50})
    assert (ledger.users, ledger.unopened) == ([1, 7], [])
    ledger.settle_accounts({7: 55}, at=3)
    assert ledger.lost_tokens == 5


@given(
    writes=st.lists(st.tuples(st.integers(1, 2), st.integers(1, 100), st.floats(0, 20))),
    moments=st.lists(st.floats(0, 30), max_size=8),
    ahead=st.integers(0, 50),
)
def test_an_app_that_loses_nothing_is_never_accused(
    writes: list[tuple[int, int, float]], moments: list[float], ahead: int
) -> None:
    """Whatever the order of events, and however far the accounts are ahead of the answers."""
    ledger = book()
    known = [
        write(number, user=user, tokens=tokens, at=at)
        for number, (user, tokens, at) in enumerate(writes)
    ]
    ledger.add(known)
    for moment in sorted(moments):
        usage = {
            user: opening + ahead + sum(w.tokens for w in known if w.user_id == user)
            for user, opening in ((1, 1000), (2, 0))
        }
        ledger.settle_accounts(usage, at=moment)
        assert ledger.lost_tokens == 0


def test_the_file_gives_back_the_writes_of_one_database(tmp_path: Path) -> None:
    file = LedgerFile(tmp_path / "run" / "ledger.jsonl")
    file.begin("first")
    file.append([write(1), write(2)])
    file.begin("second")
    file.append([write(1, user=2)])
    file.begin("first")
    file.append([write(3)])
    again = LedgerFile(tmp_path / "run" / "ledger.jsonl")
    assert again.read("first").writes == [write(1), write(2), write(3)]
    assert again.read("second").writes == [write(1, user=2)]
    assert again.read("third").writes == []


def test_the_file_keeps_what_was_written_off_of_each_database(tmp_path: Path) -> None:
    file = LedgerFile(tmp_path / "ledger.jsonl")
    file.begin("first")
    file.write_off([1, 4])
    file.begin("second")
    file.write_off([2])
    assert file.read("first").written_off == [1, 4]
    assert file.read("second").written_off == [2]


def test_a_line_that_a_crash_cut_short_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    file = LedgerFile(path)
    file.begin("first")
    file.append([write(1)])
    with path.open("a") as out:
        out.write('{"message_id": 2, "conv')
    file.append([write(3)])
    assert file.read("first").writes == [write(1), write(3)]
