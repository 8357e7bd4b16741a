from __future__ import annotations

import asyncio

ANNOUNCEMENT = {"title": "Hello", "body": "to you all"}


async def announce(person, **more: str) -> int:
    sent = await person.post("/api/notifications/broadcast", {**ANNOUNCEMENT, **more}, 200)
    return sent["sent"]


async def test_a_broadcast_reaches_everybody_or_one_segment(ada, bob):
    assert 2 == await announce(ada)
    assert 1 == await announce(ada, segment="pro")
    assert {"unread": 2} == await ada.get("/api/notifications/unread_count")
    assert {"unread": 1} == await bob.get("/api/notifications/unread_count")


async def test_notifications_are_listed_with_the_title_of_their_conversation(ada, db):
    await announce(ada)
    await db.execute(
        "INSERT INTO notifications (user_id, conversation_id, kind, title, body, payload)"
        " VALUES ($1, $2, 'reply', 'New reply', 'Look', '{\"n\": 1}')",
        ada.user_id,
        ada.conversation_id,
    )
    reply, announcement = (await ada.get("/api/notifications"))["notifications"]
    assert ("Ada's first", None) == (
        reply["conversation_title"],
        announcement["conversation_title"],
    )
    full = await ada.get(f"/api/notifications/{reply['id']}")
    assert {"n": 1} == full["payload"]


async def test_nobody_sees_anothers_notification(ada, bob):
    await announce(ada, segment="pro")
    (own,) = (await ada.get("/api/notifications"))["notifications"]
    await bob.get(f"/api/notifications/{own['id']}", 404)


async def test_a_poll_answers_at_once_when_there_is_something_new(ada):
    await announce(ada)
    polled = await ada.get("/api/notifications/poll?since=0&timeout=30")
    assert ["Hello"] == [found["title"] for found in polled["notifications"]]
    assert 1 == polled["unread"]


async def test_a_waiting_poll_is_told_of_a_new_notification(ada):
    async with asyncio.TaskGroup() as group:
        poll = group.create_task(ada.get("/api/notifications/poll?since=0&timeout=30"))
        await announce(ada)
    assert 1 == len(poll.result()["notifications"])


async def test_a_poll_gives_up_when_its_time_is_over(ada):
    polled = await ada.get("/api/notifications/poll?since=0&timeout=0.05")
    assert {"notifications": [], "unread": 0} == polled


async def test_some_or_all_notifications_are_marked_as_read(ada, bob):
    for _ in range(3):
        await announce(ada)
    ids = [found["id"] for found in (await ada.get("/api/notifications"))["notifications"]]
    path = "/api/notifications/mark_read"
    assert {"marked": 0, "unread": 3} == await bob.post(path, {"ids": ids})
    assert {"marked": 1, "unread": 2} == await ada.post(path, {"ids": ids[:1]})
    assert {"marked": 2, "unread": 0} == await ada.post(path, {})
    assert {"marked": 0, "unread": 0} == await ada.post(path, {})


async def test_cleanup_deletes_the_oldest_first(ada, db):
    for _ in range(3):
        await announce(ada)
    await db.execute("UPDATE notifications SET created_at = created_at - interval '40 days'")
    await announce(ada)
    path = "/api/notifications/cleanup"
    assert {"deleted": 2} == await ada.post(path, {"older_than_days": 30, "limit": 2})
    assert {"deleted": 1} == await ada.post(path, {"older_than_days": 30})
    assert {"unread": 1} == await ada.get("/api/notifications/unread_count")


async def test_other_answers_carry_the_unread_count(ada, client):
    await announce(ada)
    answer = await client.get("/api/conversations", headers=ada.headers)
    assert "1" == answer.headers["X-Unread-Count"]
