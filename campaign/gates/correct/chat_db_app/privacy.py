"""Nobody reads, writes or counts what is another's, even where the owner has just looked."""

from __future__ import annotations

from campaign.gates.answer import Answer
from campaign.gates.app import LiveApp
from campaign.gates.chat_db_app import words
from campaign.gates.chat_db_app.crowds import Gather, undisturbed
from campaign.gates.chat_db_app.people import Person, sign_up
from campaign.gates.chat_db_app.samples import owner, sampled
from campaign.gates.finding import Finding, Skip, expect, expect_true, holds

_UNAUTHORIZED, _NOT_FOUND, _OK = 401, 404, 200
_STORED = "SELECT content FROM public.messages WHERE conversation_id = $1 ORDER BY id"

#: every way to read a conversation
_OF_CONVERSATION = ("", "/messages", "/transcript")


async def nobody_reads_anothers_conversation(app: LiveApp) -> Finding:
    """By its id, in lists or by searching; nor writes into it."""
    owning, curious = await sign_up(app), await sign_up(app)
    secret = words.rare_word(app.draw)
    conversation = (await owning.start_conversation()).id
    await owning.write(conversation, f"between us: {secret}")
    await owning.search(secret)
    for path in (*_paths(conversation), f"/api/users/{owning.id}", f"/api/users/{owning.id}/usage"):
        await _expect_hidden(owning, curious, path, secret)
    for action in ("messages", "stream"):
        path = f"/api/conversations/{conversation}/{action}"
        document = {"content": words.sentence(app.draw)}
        answer = await app.request("POST", path, user=curious.id, json=document)
        _expect_refused(answer, secret)
    expect("what a stranger finds", expected=(), actual=await curious.search(secret))
    expect("what a stranger is shown", expected=(), actual=await curious.conversations())
    rows = await app.fetch(_STORED, conversation)
    stored = [row["content"] for row in rows]
    expect("what is stored", expected=[f"between us: {secret}"], actual=stored)
    return holds("a conversation is its owner's alone")


async def nobody_reads_the_campaigns_conversations(app: LiveApp) -> Finding:
    """Neither somebody new nor another of its own people."""
    rows = await sampled(app, "conversations", count=3)
    if not rows:
        raise Skip("there are no conversations yet")
    newcomer = await sign_up(app)
    for row, next_row in zip(rows, [*rows[1:], rows[0]], strict=True):
        strangers = {newcomer.id, next_row["user_id"]} - {row["user_id"]}
        for path in _paths(row["id"]):
            for stranger in sorted(strangers):
                await _expect_hidden(owner(app, row), Person(app=app, id=stranger), path, "")
    return holds("the campaign's conversations are their owners' alone", looked_at=len(rows))


async def nobody_reads_anothers_notifications(app: LiveApp) -> Finding:
    """By their ids, in lists, by polling; nor marks them as read."""
    return await undisturbed(app, _own_notifications_only)


async def nobody_gets_in_without_saying_who_they_are(app: LiveApp) -> Finding:
    """What needs a user is refused without one."""
    for path in ("/api/conversations", "/api/notifications", "/api/search?q=word", "/api/stats"):
        answer = await app.request("GET", path)
        answer.expect_status(_UNAUTHORIZED)
    return holds("nobody gets in without a user")


async def _own_notifications_only(app: LiveApp, gather: Gather) -> Finding:
    crowd, strangers = await gather(1), await gather(1)
    (owning,), (curious,) = crowd.people, strangers.people
    secret = words.rare_word(app.draw)
    await crowd.tell(by=curious, body=f"between us: {secret}")
    entries = await owning.notifications()
    expect("notifications", expected=1, actual=len(entries))
    received = entries[0].id
    await _expect_hidden(owning, curious, f"/api/notifications/{received}", secret)
    await owning.poll(since=0, timeout_s=0)
    expect("what a stranger is shown", expected=(), actual=await curious.notifications())
    polled = await curious.poll(since=0, timeout_s=0)
    told = (polled.notifications, polled.unread)
    expect("what a stranger polls", expected=((), 0), actual=told)
    marked = await curious.mark_read([received])
    expect("what a stranger marks", expected=(0, 0), actual=(marked.marked, marked.unread))
    expect("unread by then", expected=1, actual=await owning.unread())
    return holds("notifications are their recipient's alone")


def _paths(conversation: int) -> tuple[str, ...]:
    return tuple(f"/api/conversations/{conversation}{part}" for part in _OF_CONVERSATION)


async def _expect_hidden(owning: Person, curious: Person, path: str, secret: str) -> None:
    """The owner reads it first: what is kept for them must not be given to others."""
    allowed = await owning.app.request("GET", path, user=owning.id)
    allowed.expect_status(_OK)
    _expect_refused(await curious.app.request("GET", path, user=curious.id), secret)


def _expect_refused(answer: Answer, secret: str) -> None:
    answer.expect_status(_NOT_FOUND)
    kept = not secret or secret.encode() not in answer.body
    expect_true(
        f"{answer.asked} for a stranger", met=kept, expected="nothing of it", actual=answer.body
    )
