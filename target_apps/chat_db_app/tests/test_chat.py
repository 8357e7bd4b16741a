from __future__ import annotations

import asyncio
import json


def events(stream: str) -> list[tuple[str, object]]:
    """The events of a server-sent stream, with their data."""
    found = []
    for block in stream.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_messages_come_back_in_order_with_a_running_total(ada):
    for content in ("a" * 40, "b" * 8, "c"):
        await ada.write(content)
    messages = (await ada.get(ada.path("messages")))["messages"]
    assert [10, 2, 1] == [message["token_count"] for message in messages]
    assert [10, 12, 13] == [message["running_tokens"] for message in messages]


async def test_a_message_is_counted_on_its_conversation_and_its_user(ada):
    await ada.write("twelve chars")
    conversation = await ada.get(f"/api/conversations/{ada.conversation_id}")
    usage = await ada.get(f"/api/users/{ada.user_id}/usage")
    assert 1 == conversation["message_count"]
    assert {"user_id": ada.user_id, "token_usage": 3, "messages": 1} == usage


async def test_a_stream_sends_tokens_then_names_the_stored_messages(ada, client):
    answer = await client.post(
        ada.path("stream"), json={"content": "tell me", "tokens": 3}, headers=ada.headers
    )
    *tokens, (last, done) = events(await answer.text())
    messages = (await ada.get(ada.path("messages")))["messages"]
    assert ["token"] * 3 == [name for name, _ in tokens]
    assert "done" == last
    assert [done["user_message_id"], done["assistant_message_id"]] == [m["id"] for m in messages]
    assert "".join(data for _, data in tokens).strip() == messages[1]["content"]
    assert done["token_count"] == messages[1]["running_tokens"]


async def test_a_client_who_leaves_a_stream_finds_the_whole_turn_later(ada, client, db):
    answer = await client.post(
        ada.path("stream"), json={"content": "tell me", "tokens": 20}, headers=ada.headers
    )
    await answer.content.readline()
    answer.close()
    stored = "SELECT count(*) FROM messages WHERE role = 'assistant'"
    while not await db.fetchval(stored):
        await asyncio.sleep(0.01)
    roles = await db.fetch("SELECT role FROM messages ORDER BY id")
    assert ["user", "assistant"] == [row["role"] for row in roles]


async def test_search_finds_whole_words_in_any_case_in_own_messages_only(ada, bob):
    await ada.write("The Zephyr blows")
    await ada.write("again: zephyr")
    await bob.write("zephyr too")
    results = (await ada.get("/api/search?q=ZEPHYR"))["results"]
    assert ["again: zephyr", "The Zephyr blows"] == [result["content"] for result in results]


async def test_a_transcript_has_a_line_per_message(ada):
    await ada.write("one")
    await ada.write("two")
    assert "user: one\nuser: two\n" == (await ada.get(ada.path("transcript")))["transcript"]


async def test_the_most_recently_active_conversation_comes_first(ada):
    await ada.post("/api/conversations", {"title": "second"}, 201)
    await ada.write("back to the first")
    conversations = (await ada.get("/api/conversations"))["conversations"]
    assert ["Ada's first", "second"] == [found["title"] for found in conversations]
    first = await ada.get("/api/conversations?limit=1")
    assert ["Ada's first"] == [found["title"] for found in first["conversations"]]
    rest = await ada.get(f"/api/conversations?limit=5&offset={first['next_offset']}")
    assert ["second"] == [found["title"] for found in rest["conversations"]]
    assert rest["next_offset"] is None


async def test_stats_count_messages_and_tokens_by_role(ada):
    await ada.write("twelve chars")
    (today,) = (await ada.get("/api/stats"))["days"]
    assert ("user", 1, 3) == (today["role"], today["messages"], today["tokens"])


async def test_what_belongs_to_others_looks_as_if_it_did_not_exist(ada, bob):
    await bob.get(ada.path("messages"), 404)
    await bob.get(f"/api/conversations/{ada.conversation_id}", 404)
    await bob.get(f"/api/users/{ada.user_id}", 404)
    await bob.post(ada.path("messages"), {"content": "hi"}, 404)
    await bob.post(ada.path("stream"), {"content": "hi"}, 404)


async def test_nobody_gets_in_without_saying_who_they_are(client):
    for headers in ({}, {"X-User-Id": "me"}, {"X-User-Id": "-1"}, {"X-User-Id": "9" * 30}):
        answer = await client.get("/api/conversations", headers=headers)
        assert 401 == answer.status


async def test_what_cannot_be_stored_or_understood_is_refused(ada, client):
    contents = (b'{"content": "\\u0000"}', b'{"content": "\\ud800"}', b'{"content": 1}')
    for body in (b"", b"{", b"[]", b"{}", b"[" * 99_999, *contents):
        answer = await client.post(ada.path("messages"), data=body, headers=ada.headers)
        assert 400 == answer.status, body
    for path in (
        "/api/conversations/-1",
        "/api/conversations/9223372036854775808",
        "/api/conversations/x",
        "/api/search?q=",
        "/api/search?q=%00",
        "/api/conversations?limit=0",
        "/api/conversations?offset=-1",
        "/api/notifications/poll?timeout=31",
        "/api/notifications/poll?timeout=nan",
    ):
        await ada.get(path, 400)


async def test_every_operation_is_documented_under_its_name(app, client):
    document = await (await client.get("/openapi.json")).json()
    documented = {
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
    }
    served = {route.name for route in app.router.routes() if route.name}
    assert served - {"metrics", "openapi"} == documented
