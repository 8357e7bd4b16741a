from typing import Any

import pytest

from loadgen.chat_db_app import BEHAVIOURS
from loadgen.load import LoadError, LoadVector, Range, change, parse_load

PARAMS_MODELS = {behaviour.name: behaviour.params_model for behaviour in BEHAVIOURS}

READER = {"behaviour": "reader", "users": 20, "rate_hz": 1.0}
WRITER = {"behaviour": "writer", "users": 5, "rate_hz": 2.0, "arrival": "burst"}


def parse(*dimensions: Any, **extra: Any) -> LoadVector:
    document = {"id": "t1-full", "dimensions": list(dimensions), **extra}
    return parse_load(document, params_models=PARAMS_MODELS)


def problems(*dimensions: Any, **extra: Any) -> str:
    with pytest.raises(LoadError) as refused:
        parse(*dimensions, **extra)
    return "\n".join(refused.value.problems)


def test_just_these_behaviours_can_be_asked_for() -> None:
    wanted = (
        "reader writer streamer searcher poller notification_reader broadcaster janitor herd"
        " canary mark_reader lister returner stats_reader"
    )
    assert sorted(wanted.split()) == sorted(PARAMS_MODELS)


def test_a_range_is_written_as_first_and_count() -> None:
    parse({**READER, "params": {"users": [1, 5], "conversations": [1_000_000_000, 100]}})
    assert Range.model_validate([7, 3]) == Range(first=7, count=3)
    assert "a range is [first, count]" in problems({**READER, "params": {"conversations": [1]}})


def test_a_range_wraps_round() -> None:
    assert [Range(first=10, count=3).at(offset) for offset in range(5)] == [10, 11, 12, 10, 11]


def test_every_problem_is_told_at_once_with_its_place() -> None:
    told = problems(
        {**READER, "users": -1, "rate_hz": 0, "params": {"pick": "nobody", "colour": "red"}},
        {**WRITER, "arrival": "poisson"},
        {**READER, "behaviour": "hacker"},
        id="",
        surprise=1,
    )
    for place in (
        "id:",
        "surprise:",
        "dimensions.0.users:",
        "dimensions.0.rate_hz:",
        "dimensions.0.params.pick:",
        "dimensions.0.params.colour:",
        "dimensions.1.arrival:",
        "dimensions.2.behaviour: 'hacker' is none of broadcaster, canary",
    ):
        assert place in told


@pytest.mark.parametrize("rate_hz", [float("nan"), float("inf"), -1.0, 1e9])
def test_a_rate_must_be_a_sensible_number(rate_hz: float) -> None:
    assert "dimensions.0.rate_hz" in problems({**READER, "rate_hz": rate_hz})


@pytest.mark.parametrize("document", [None, [], "load", {"id": "x"}, {"id": "x", "dimensions": 3}])
def test_anything_else_than_a_load_vector_is_refused(document: Any) -> None:
    with pytest.raises(LoadError):
        parse_load(document, params_models=PARAMS_MODELS)


def test_users_of_conversations_need_the_conversations() -> None:
    assert "say which conversations are theirs" in problems({**READER, "params": {"users": [1, 5]}})


def test_too_many_users_in_all_are_refused() -> None:
    assert "at most 5000" in problems({**READER, "users": 3_000}, {**WRITER, "users": 3_000})


def test_an_empty_load_is_silence_and_valid() -> None:
    assert parse().dimensions == ()


def test_a_dimension_that_stays_is_neither_added_nor_removed() -> None:
    running = parse(READER, WRITER).by_identity()
    todo = change(running=running, wanted=parse(WRITER, {**READER, "users": 21}).by_identity())
    assert [dimension.users for dimension in todo.added.values()] == [21]
    assert [running[key].users for key in todo.removed] == [20]


def test_the_order_of_options_and_dimensions_does_not_matter() -> None:
    one = {**READER, "params": {"pick": "own", "conversations": [1, 5]}}
    two = {**READER, "params": {"conversations": [1, 5], "pick": "own"}}
    todo = change(running=parse(one, WRITER).by_identity(), wanted=parse(WRITER, two).by_identity())
    assert (todo.added, todo.removed) == ({}, ())


def test_twins_are_two_dimensions() -> None:
    both = parse(READER, READER).by_identity()
    assert len(both) == 2
    todo = change(running=both, wanted=parse(READER).by_identity())
    assert len(todo.removed) == 1


def test_each_dimension_begins_at_a_time_of_its_own() -> None:
    load = parse(READER, WRITER, READER)
    delays = load.delays_s()
    assert delays.keys() == load.by_identity().keys()
    assert len(set(delays.values())) == 3
    assert parse(READER, WRITER).delays_s().items() <= delays.items()
