from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from typing import Any

import pytest

from campaign.adapters.journal.chain import GENESIS, Record, link, verify
from campaign.adapters.journal.errors import BrokenChainError
from campaign.model import ComponentUp, StopRequested


def _two() -> tuple[Record, Record]:
    first = link(GENESIS, ComponentUp(at=1.0, trial=3, component="Größe"))
    return first, link(first.head, StopRequested(at=2.0))


def test_the_hash_follows_the_documented_encoding() -> None:
    first, _ = _two()
    content = [1, "component_up", 1.0, 3, first.payload, "0" * 64]
    text = json.dumps(content, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == first.hash


def test_each_event_carries_the_hash_of_the_one_before() -> None:
    first, second = _two()
    assert (GENESIS.hash, first.hash) == (first.previous_hash, second.previous_hash)
    assert (first.seq, second.seq) == (1, 2)
    assert second.head == verify(verify(GENESIS, first), second)


def test_an_event_of_no_trial_has_none() -> None:
    first, second = _two()
    assert (first.trial, second.trial) == (3, None)


def test_a_whole_number_of_seconds_hashes_as_the_float_that_a_database_gives_back() -> None:
    record = link(GENESIS, StopRequested(at=7))
    assert record.head == verify(GENESIS, replace(record, at=7.0))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "stop_requested"},
        {"at": 1.5},
        {"at": math.nan},
        {"trial": None},
        {"payload": "{}"},
        {"hash": "0" * 64},
    ],
    ids=str,
)
def test_a_change_of_any_column_is_noticed(change: dict[str, Any]) -> None:
    first, _ = _two()
    with pytest.raises(BrokenChainError, match="event 1 does not match its hash") as caught:
        verify(GENESIS, replace(first, **change))
    assert caught.value.seq == 1


def test_a_missing_event_is_named() -> None:
    _, second = _two()
    with pytest.raises(BrokenChainError, match="event 1 is missing"):
        verify(GENESIS, second)


def test_an_event_written_anew_does_not_fit_the_next_one() -> None:
    _, second = _two()
    other = link(GENESIS, ComponentUp(at=1.0, trial=3, component="other"))
    with pytest.raises(BrokenChainError, match="event 2 is not chained to the one before"):
        verify(verify(GENESIS, other), second)


def test_the_message_says_what_to_do() -> None:
    with pytest.raises(BrokenChainError, match="Restore the journal from a copy"):
        verify(GENESIS, _two()[1])
