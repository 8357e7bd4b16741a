from __future__ import annotations

import json
import math
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.adapters.journal.codec import decode, encode
from campaign.adapters.journal.errors import UnreadableEventError, UnwritableEventError
from campaign.model import (
    ActionTaken,
    ApprovalAsked,
    AssertionResult,
    Evaluated,
    Event,
    LoadDimension,
    Profile,
    Sample,
    StopRequested,
)

_KINDS: tuple[type[Event], ...] = get_args(Event)

_JSON_OBJECTS = st.dictionaries(
    st.text(),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)
_DIMENSIONS = st.builds(LoadDimension, params=_JSON_OBJECTS)
_LOADS = st.lists(_DIMENSIONS, max_size=2).map(tuple)
_PROFILES = st.builds(Profile, load=_LOADS, ratchet=_LOADS, growth=_JSON_OBJECTS)
st.register_type_strategy(LoadDimension, _DIMENSIONS)
st.register_type_strategy(Profile, _PROFILES)
st.register_type_strategy(AssertionResult, st.builds(AssertionResult, details=_JSON_OBJECTS))


def _events_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Every field, those with defaults too, is drawn; `Any` is a JSON value."""
    if kind is ActionTaken:
        return st.builds(kind, arguments=_JSON_OBJECTS, edit=st.booleans())
    if kind is ApprovalAsked:
        return st.builds(kind, arguments=_JSON_OBJECTS)
    return st.from_type(kind)


def _action(**changes: Any) -> ActionTaken:
    fields: dict[str, Any] = {
        "at": 12.0,
        "trial": 1,
        "ticket": "T002",
        "session": 1,
        "tool": "shell",
        "arguments": {},
        "result": "",
        "is_error": False,
        "duration_s": 0.1,
    }
    return ActionTaken(**fields | changes)


@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: str(kind.__name__))
def test_every_kind_of_event_comes_back_as_it_was(kind: type[Event]) -> None:
    """Compared by repr, in which NaN equals NaN and 1 differs from 1.0 and from True."""

    @settings(max_examples=15, deadline=None, database=None)
    @given(event=_events_of(kind))
    def comes_back(event: Event) -> None:
        again = decode(encode(event), seq=1)
        assert type(event) is type(again)
        assert repr(event) == repr(again)

    comes_back()


def test_nan_and_the_infinities_survive() -> None:
    sample = Sample(invariant="slow", value=math.nan, samples=math.inf, offered=-math.inf)
    again = decode(encode(Evaluated(at=1.5, trial=0, samples=(sample,))), seq=1)
    assert isinstance(again, Evaluated)
    assert repr(again.samples) == repr((sample,))


def test_tuples_in_arguments_come_back_as_lists() -> None:
    again = decode(encode(_action(arguments={"range": (1, 2)})), seq=1)
    assert isinstance(again, ActionTaken)
    assert again.arguments == {"range": [1, 2]}


def test_what_is_no_text_is_replaced_instead_of_ending_the_campaign() -> None:
    event = _action(result="caf\udce9", arguments={"name": "\ud800", "\udfff": 1})
    again = decode(encode(event), seq=1)
    assert isinstance(again, ActionTaken)
    assert again.result == "caf?"
    assert again.arguments["name"] == "?"


def test_any_text_fits_into_a_column_of_postgres() -> None:
    assert "\0" not in encode(_action(result="a\0b"))


def test_a_value_that_is_no_json_is_refused_with_the_events_kind() -> None:
    with pytest.raises(UnwritableEventError, match="action_taken"):
        encode(_action(arguments={"handle": object()}))


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(UnwritableEventError, match="action_taken"):
        encode(_action(arguments={"content": b"\xff"}))


def test_a_value_of_a_wrong_type_is_refused_with_the_fields_name() -> None:
    with pytest.raises(UnwritableEventError, match=r"action_taken\.session") as caught:
        encode(_action(session="first"))
    assert caught.value.field == "action_taken.session"


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ('{"kind": "promoted", "at": 1.0}', "kind"),
        ('{"at": 1.0}', "kind"),
        ('{"kind": "stop_requested"}', "stop_requested.at"),
        ('{"kind": "stop_requested", "at": "noon"}', "stop_requested.at"),
        ('{"kind": "stop_requested", "at": 1.0, "mood": "good"}', "stop_requested.mood"),
        (
            '{"kind": "evaluated", "at": 1.0, "trial": 0, "samples": [{"value": 1.0}]}',
            "evaluated.samples.0.invariant",
        ),
        ("not JSON", "payload"),
        ("[]", "payload"),
    ],
)
def test_a_bad_payload_is_refused_with_its_number_and_field(payload: str, field: str) -> None:
    with pytest.raises(UnreadableEventError) as caught:
        decode(payload, seq=41)
    assert (caught.value.seq, caught.value.field) == (41, field)
    assert f"event 41, field {field}" in str(caught.value)


def test_an_event_written_before_a_field_with_a_default_was_added_is_read() -> None:
    assert decode('{"kind": "stop_requested", "at": 1.0}', seq=1) == StopRequested(at=1.0)


def test_the_payload_is_plain_json_with_the_fields_names() -> None:
    event = StopRequested(at=1.0, reason="über")
    expected = {"at": 1.0, "reason": "über", "kind": "stop_requested"}
    assert json.loads(encode(event)) == expected
