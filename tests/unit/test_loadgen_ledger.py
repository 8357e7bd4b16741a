from typing import Any

import pytest

from loadgen.ledger import Ledger, UnknownSequenceError, Write


def ledger_with(count: int, **options: Any) -> Ledger:
    ledger = Ledger(**options)
    for number in range(1, count + 1):
        ledger.record(
            Write(
                user_id=1,
                conversation_id=1,
                message_id=1_000 + number,
                tokens=number,
                kind="message",
                asked_at=0.5,
                acked_at=1.0,
            )
        )
    return ledger


def test_entries_are_numbered_from_one() -> None:
    page = ledger_with(2).page(after=0, limit=10)
    assert [entry["seq"] for entry in page.entries] == [1, 2]
    assert [entry["message_id"] for entry in page.entries] == [1_001, 1_002]


def test_paging_by_last_visits_every_entry_once() -> None:
    ledger, after, seen = ledger_with(25), 0, []
    while page := ledger.page(after=after, limit=10):
        if not page.entries:
            break
        seen += [entry["seq"] for entry in page.entries]
        after = page.last
    assert seen == list(range(1, 26))


def test_asking_again_gives_the_same_entries() -> None:
    ledger = ledger_with(5)
    assert ledger.page(after=2, limit=10) == ledger.page(after=2, limit=10)


def test_entries_are_forgotten_only_when_the_next_ones_are_asked_for() -> None:
    ledger = ledger_with(5)
    assert len(ledger.page(after=0, limit=10).entries) == 5
    assert len(ledger.page(after=5, limit=10).entries) == 0
    assert len(ledger.page(after=0, limit=10).entries) == 0


def test_last_stays_where_it_was_when_there_is_nothing_new() -> None:
    ledger = ledger_with(3)
    assert ledger.page(after=3, limit=10).last == 3
    assert Ledger().page(after=0, limit=10).last == 0


def test_memory_is_bounded_and_what_is_lost_is_counted() -> None:
    page = ledger_with(12, capacity=10).page(after=0, limit=100)
    assert page.dropped == 2
    assert [entry["seq"] for entry in page.entries] == list(range(3, 13))


def test_a_reader_from_before_a_restart_is_told_so_and_loses_nothing() -> None:
    ledger = ledger_with(3)
    with pytest.raises(UnknownSequenceError, match="begin again with after=0"):
        ledger.page(after=500, limit=10)
    assert len(ledger.page(after=0, limit=10).entries) == 3
