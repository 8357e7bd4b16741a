import json
from collections.abc import Callable
from typing import Any

import pytest

from loadgen.backlog import Arrival
from loadgen.calls import Behaviour, Call, InvalidAnswerError, StreamCall
from loadgen.chat_db_app import BEHAVIOURS
from loadgen.chat_db_app.texts import text, token_count
from loadgen.dice import Dice
from loadgen.ledger import Write
from loadgen.sse import Event, EventParser

KINDS = {behaviour.name: behaviour for behaviour in BEHAVIOURS}


def behaviour(name: str, params: dict[str, Any] | None = None) -> Behaviour[Any]:
    return remembering(name, params, lambda _operation, _write: None)


def remembering(
    name: str, params: dict[str, Any] | None, remember: Callable[[str, Write], None]
) -> Behaviour[Any]:
    kind = KINDS[name]
    return kind(params=kind.params_model.model_validate(params or {}), remember=remember)


def arrival(user: int = 0, index: int = 0) -> Arrival:
    roll = Dice(seed=1, dimension="test").roll(user=user, index=index)
    return Arrival(user=user, index=index, roll=roll)


def plain(name: str, params: dict[str, Any] | None = None, *, user: int = 0) -> Call:
    call = behaviour(name, params).call(arrival(user=user))
    assert isinstance(call, Call)
    return call


def head_of(call: Call | StreamCall) -> str:
    return call.wire.decode().split("\r\n\r\n")[0]


def document_of(call: Call | StreamCall) -> Any:
    return json.loads(call.wire.decode().split("\r\n\r\n", 1)[1])


def path_of(call: Call | StreamCall) -> str:
    return head_of(call).split()[1]


def user_of(call: Call | StreamCall) -> int:
    return int(head_of(call).split("X-User-Id: ")[1].split("\r\n")[0])


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_behaviour_asks_in_well_formed_http(name: str) -> None:
    call = behaviour(name).call(arrival())
    head, _, body = call.wire.decode().partition("\r\n\r\n")
    assert head.split()[0] == call.method
    assert head.split()[2] == "HTTP/1.1"
    assert user_of(call) >= 1
    if call.method == "POST":
        assert f"Content-Length: {len(body)}" in head
        json.loads(body)
    else:
        assert body == ""


def test_a_seeded_conversation_is_read_by_the_user_it_belongs_to() -> None:
    call = plain("reader", {"conversations": [40, 10]})
    conversation = int(path_of(call).split("/")[3])
    assert 40 <= conversation < 50
    assert user_of(call) == conversation


def test_growth_ranges_run_in_parallel_and_users_wrap_round() -> None:
    params = {"users": [2_000_000_000, 3], "conversations": [1_000_000_000, 10], "pick": "own"}
    pairs = []
    for user in range(5):
        call = plain("reader", params, user=user)
        pairs.append((int(path_of(call).split("/")[3]) - 10**9, user_of(call) - 2 * 10**9))
    assert pairs == [(0, 0), (1, 1), (2, 2), (3, 0), (4, 1)]


def test_random_picks_come_from_the_range() -> None:
    herd = behaviour("herd", {"users": [100, 5]})
    picked = {user_of(herd.call(arrival(index=index))) for index in range(100)}
    assert picked == {100, 101, 102, 103, 104}


def test_search_terms_are_quoted_and_all_used() -> None:
    searcher = behaviour("searcher", {"terms": ["a b", "ü&x"]})
    paths = {path_of(searcher.call(arrival(index=index))) for index in range(50)}
    assert paths == {"/api/search?q=a+b", "/api/search?q=%C3%BC%26x"}


@pytest.mark.parametrize("tokens", [1, 2, 12, 400, 8_000])
def test_a_writers_content_has_exactly_the_tokens_asked_for(tokens: int) -> None:
    content = document_of(plain("writer", {"tokens": tokens}))["content"]
    assert token_count(content) == tokens
    assert content == content.strip()


def test_texts_differ_between_rolls() -> None:
    texts = {text(arrival(index=index).roll, chars=80, part=2) for index in range(50)}
    assert len(texts) > 10


def test_an_acknowledged_message_is_remembered() -> None:
    remembered = []
    writer = remembering("writer", {"tokens": 12}, lambda *told: remembered.append(told))
    call = writer.call(arrival())
    assert isinstance(call, Call)
    conversation = int(path_of(call).split("/")[3])
    answer = {"id": 77, "conversation_id": conversation, "token_count": 12}
    call.accept(json.dumps(answer).encode())
    [(operation, write)] = remembered
    assert operation == "create_message"
    assert (write.message_id, write.tokens, write.kind) == (77, 12, "message")
    assert (write.conversation_id, write.user_id) == (conversation, conversation)


@pytest.mark.parametrize(
    "wrong", [{"token_count": 11}, {"id": None}, {"id": "77"}, {"conversation_id": 0}]
)
def test_a_wrong_acknowledgement_is_invalid_and_not_remembered(wrong: dict[str, Any]) -> None:
    remembered: list[Any] = []
    writer = remembering("writer", {"tokens": 12}, lambda *told: remembered.append(told))
    call = writer.call(arrival())
    assert isinstance(call, Call)
    answer = {"id": 77, "conversation_id": user_of(call), "token_count": 12, **wrong}
    with pytest.raises(InvalidAnswerError):
        call.accept(json.dumps(answer).encode())
    assert remembered == []


def events(*words: str, last: Event) -> tuple[Event, ...]:
    tokens = [Event(name="token", data=json.dumps(word)) for word in words]
    return (*tokens, last)


def done(*, token_count: int) -> Event:
    turn = {"user_message_id": 5, "assistant_message_id": 6, "token_count": token_count}
    return Event(name="done", data=json.dumps(turn))


def test_both_messages_of_a_finished_stream_are_remembered() -> None:
    remembered: list[Write] = []
    streamer = remembering(
        "streamer",
        {"content_tokens": 3, "tokens": 2},
        lambda _operation, write: remembered.append(write),
    )
    call = streamer.call(arrival())
    assert isinstance(call, StreamCall)
    call.accept(events("certainly ", "here ", last=done(token_count=3 + 3)))
    assert [(write.message_id, write.tokens) for write in remembered] == [(5, 3), (6, 3)]
    assert {write.kind for write in remembered} == {"stream"}


@pytest.mark.parametrize(
    "last",
    [
        Event(name="token", data='"and "'),
        Event(name="error", data="{}"),
        done(token_count=99),
        Event(name="done", data="nonsense"),
    ],
)
def test_a_stream_that_does_not_end_well_is_invalid(last: Event) -> None:
    call = behaviour("streamer").call(arrival())
    assert isinstance(call, StreamCall)
    with pytest.raises(InvalidAnswerError):
        call.accept(events("certainly ", last=last))


def test_a_poller_asks_for_what_came_after_the_last_it_has_seen() -> None:
    poller = behaviour("poller", {"since": 10, "timeout_s": 8})
    first = poller.call(arrival())
    assert isinstance(first, Call)
    assert path_of(first) == "/api/notifications/poll?since=10&timeout=8"
    assert first.allowance_s == 8.0
    first.accept(b'{"notifications": [{"id": 31}, {"id": 30}]}')
    assert "since=31&" in path_of(poller.call(arrival(index=1)))


NO_NEWS = b'{"notifications": [], "unread": 0}'
NEWS = b'{"notifications": [{"id": 31}], "unread": 1}'


def polls(
    monkeypatch: pytest.MonkeyPatch, params: dict[str, Any]
) -> Callable[[float, bytes], None]:
    """One user's polls, one after the other: each is answered after so many seconds."""
    poller, clock = behaviour("poller", {"timeout_s": 8, **params}), [0.0]
    monkeypatch.setattr("loadgen.chat_db_app.notifying.time.monotonic", lambda: clock[0])

    def poll(after_s: float, body: bytes) -> None:
        call = poller.call(arrival())
        assert isinstance(call, Call)
        clock[0] += after_s
        call.accept(body)

    return poll


def test_a_poller_may_wait_in_vain_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    poll = polls(monkeypatch, {})
    for _ in range(3):
        poll(8.1, NO_NEWS)


def test_a_poller_may_be_sent_away_early_but_not_twice_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poll = polls(monkeypatch, {})
    poll(0.1, NO_NEWS)
    poll(8.1, NO_NEWS)
    poll(0.1, NO_NEWS)
    with pytest.raises(InvalidAnswerError, match=r"no news again, after 0\.1 s"):
        poll(0.1, NO_NEWS)
    poll(0.1, NEWS)
    poll(0.1, NO_NEWS)


def test_a_poller_that_expects_news_may_miss_them_once(monkeypatch: pytest.MonkeyPatch) -> None:
    poll = polls(monkeypatch, {"expects_news": True})
    poll(8.1, NO_NEWS)
    poll(2.0, NEWS)
    poll(8.1, NO_NEWS)
    with pytest.raises(InvalidAnswerError, match=r"no news again, after 8\.1 s"):
        poll(8.1, NO_NEWS)


def test_who_returns_is_told_something_at_once() -> None:
    call = plain("returner", {"users": [12, 3], "since": 10, "timeout_s": 8})
    assert path_of(call) == "/api/notifications/poll?since=10&timeout=8"
    assert user_of(call) in (12, 13, 14)
    assert call.allowance_s == 0
    call.accept(NEWS)
    with pytest.raises(InvalidAnswerError, match="0 notifications where there are 1 or more"):
        call.accept(NO_NEWS)


def test_a_notification_reader_takes_its_operations_in_turn() -> None:
    both = behaviour("notification_reader", {"unread_count": True})
    turns = [both.operation(arrival(index=index)) for index in range(3)]
    assert turns == ["list_notifications", "unread_count", "list_notifications"]
    only = behaviour("notification_reader", {"unread_count": "only"})
    assert only.operations == ("unread_count",)
    assert path_of(only.call(arrival())) == "/api/notifications/unread_count"


def test_small_answers_are_parsed_and_large_ones_looked_at() -> None:
    accept = plain("reader").accept
    accept(b'{"messages": []}')
    accept(b'{"messages": [' + b'{"id": 1}, ' * 100_000 + b'{"id": 1}]}\n')
    for wrong in (b"", b"[]", b'{"messages": 3}', b'{"news": []}', b"x" * 100_000):
        with pytest.raises(InvalidAnswerError):
            accept(wrong)


def test_a_lister_knows_how_many_conversations_there_are_at_least() -> None:
    accept = plain("lister", {"at_least": 2}).accept
    accept(b'{"conversations": [{"id": 1}, {"id": 2}], "next_offset": null}')
    with pytest.raises(InvalidAnswerError, match="1 conversations where there are 2 or more"):
        accept(b'{"conversations": [{"id": 1}], "next_offset": 1}')
    plain("lister").accept(b'{"conversations": [], "next_offset": null}')


def test_a_stats_reader_asks_for_the_figures_and_takes_none_for_an_error() -> None:
    call = plain("stats_reader", {"users": [5_000_000_000, 4], "pick": "own"}, user=1)
    assert (path_of(call), user_of(call)) == ("/api/stats", 5_000_000_001)
    call.accept(b'{"days": [{"day": "2025-01-01", "role": "user", "messages": 1, "tokens": 3}]}')
    for wrong in (b'{"days": []}', b'{"days": null}', b'{"stats": []}'):
        with pytest.raises(InvalidAnswerError):
            call.accept(wrong)


def test_somebody_elses_record_is_invalid() -> None:
    call = plain("herd", {"users": [7, 1]})
    call.accept(b'{"id": 7, "name": "x"}')
    with pytest.raises(InvalidAnswerError):
        call.accept(b'{"id": 8, "name": "x"}')


def test_events_are_found_however_the_bytes_are_cut() -> None:
    wire = (
        b': hello\n\nevent: token\r\ndata: "a "\r\n\r\nevent: done\ndata: {}\ndata: x\n\nevent: ha'
    )
    expected = [Event(name="token", data='"a "'), Event(name="done", data="{}\nx")]
    for size in (1, 2, 3, 7, len(wire)):
        parser = EventParser()
        chunks = [wire[start : start + size] for start in range(0, len(wire), size)]
        assert [event for chunk in chunks for event in parser.feed(chunk)] == expected
