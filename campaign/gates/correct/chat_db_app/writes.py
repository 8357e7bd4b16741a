"""What the app acknowledged is there, as it was written, at once and once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from campaign.gates.app import AcknowledgedWrite, LiveApp
from campaign.gates.chat_db_app import words
from campaign.gates.chat_db_app.people import Person, sign_up
from campaign.gates.finding import AppFailedError, Finding, Skip, expect, expect_true, holds
from loadgen.chat_db_app.texts import token_count

#: acknowledged writes that are looked up: the newest, and as many of the others
_NEWEST, _OLDER = 10_000, 10_000

_STORED = """
SELECT id, conversation_id, user_id, token_count AS tokens,
       greatest(1, char_length(content) / 4) AS tokens_of_content
FROM public.messages WHERE id = ANY ($1::bigint[])
"""
_OF_CONVERSATION = """
SELECT id, user_id, role, content, token_count FROM public.messages
WHERE conversation_id = $1 ORDER BY created_at, id
"""

#: what a careless encoding, quoting or trimming would change
_AWKWARD = (
    "x",
    " blanks before and after ",
    "two\nlines\r\nand\ta tab",
    'it\'s "quoted" \\ 100% _under_ $1 {braces} %s',
    "<b>&amp;</b> -- ; DROP TABLE messages; /*",
    "na\u00efve caf\u00e9, e\u0301, \u65e5\u672c\u8a9e, \U0001f600\u200d\U0001f525, \u202etxet",
    "null",
    "0",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A message as its writer remembers it."""

    id: int
    content: str


async def no_acknowledged_write_is_lost_or_altered(app: LiveApp) -> Finding:
    """Every message that a client of the load generator was told is stored, is, and is the same."""
    writes = await app.database.acknowledged()
    if not writes:
        raise Skip("no client has been told of a write yet")
    chosen = _some(app, writes)
    rows = await app.fetch(_STORED, [write.message_id for write in chosen])
    stored = {row["id"]: row for row in rows}
    for write in chosen:
        row = stored.get(write.message_id)
        told = {
            "conversation_id": write.conversation_id,
            "user_id": write.user_id,
            "tokens": write.tokens,
            "tokens_of_content": write.tokens,
        }
        found = row and {name: row[name] for name in told}
        expect(f"acknowledged message {write.message_id}", expected=told, actual=found)
    return holds("acknowledged writes are stored", acknowledged=len(writes), looked_up=len(chosen))


async def own_writes_come_back_unaltered_and_once(app: LiveApp) -> Finding:
    """Byte for byte, in order, from the app and from the table."""
    writer = await sign_up(app)
    conversation = (await writer.start_conversation()).id
    contents = [*_AWKWARD, words.sentence(app.draw, words=2500)]
    app.draw.shuffle(contents)
    written = [await _write(writer, conversation, content) for content in contents]
    expect_true(
        "ids of new messages",
        met=len({message.id for message in written}) == len(written),
        expected="each its own",
        actual=[message.id for message in written],
    )
    expected = [(message.id, "user", message.content) for message in written]
    told = await writer.messages(conversation)
    expect("messages", expected=expected, actual=[(m.id, m.role, m.content) for m in told])
    rows = await app.fetch(_OF_CONVERSATION, conversation)
    stored = [(row["id"], row["role"], row["content"]) for row in rows]
    expect("messages in the table", expected=expected, actual=stored)
    expect("who they belong to", expected={writer.id}, actual={row["user_id"] for row in rows})
    return holds("what was written is stored as it is, once", written=len(written))


async def a_write_is_seen_by_the_next_read(app: LiveApp) -> Finding:
    """By every read that shows it, although each has been asked for just before."""
    writer = await sign_up(app)
    conversation = (await writer.start_conversation()).id
    await writer.start_conversation()
    written: list[Written] = []
    for _ in range(3):
        await _expect_seen(writer, conversation, written)
        written.append(await _write(writer, conversation, words.title(app.draw)))
    await _expect_seen(writer, conversation, written)
    return holds("each write is seen at once", written=len(written))


async def token_counts_are_exact(app: LiveApp) -> Finding:
    """Of each message, summed up along the conversation, and on the account."""
    writer = await sign_up(app)
    conversations = [(await writer.start_conversation()).id for _ in range(2)]
    spent = 0
    for conversation in conversations:
        contents = [words.sentence(app.draw, words=count) for count in (1, 7, 40)]
        contents.append("abcdefgh"[: app.draw.randrange(1, 8)])
        tokens = [token_count(content) for content in contents]
        for content in contents:
            await _write(writer, conversation, content)
        told = await writer.messages(conversation)
        expect("tokens of messages", expected=tokens, actual=[m.token_count for m in told])
        running = [message.running_tokens for message in told]
        expect("running tokens", expected=list(accumulate(tokens)), actual=running)
        spent += sum(tokens)
        usage = await writer.usage()
        expect("tokens used", expected=spent, actual=usage.token_usage)
    account = await writer.account()
    expect("tokens on the account", expected=spent, actual=account.token_usage)
    expect("messages on the account", expected=8, actual=usage.messages)
    return holds("tokens are counted exactly", tokens=spent)


async def exports_contain_every_message(app: LiveApp) -> Finding:
    """A line each, in order; also of what the campaign's people have just written."""
    writer = await sign_up(app)
    conversation = (await writer.start_conversation()).id
    lines = ""
    for _ in range(3):
        content = words.sentence(app.draw)
        await _write(writer, conversation, content)
        lines += f"user: {content}\n"
        expect("transcript", expected=lines, actual=await writer.transcript(conversation))
    newest = sorted(await app.database.acknowledged(), key=lambda write: write.acked_at)[-3:]
    for write in newest:
        await _expect_exported(app, write)
    return holds("exports contain every message", own=3, of_others=len(newest))


# --- helpers -------------------------------------------------------------------------------


def _some(app: LiveApp, writes: Sequence[AcknowledgedWrite]) -> list[AcknowledgedWrite]:
    """The newest, and some of the older ones."""
    older = list(writes[:-_NEWEST])
    return [*writes[-_NEWEST:], *app.draw.sample(older, min(_OLDER, len(older)))]


async def _write(writer: Person, conversation: int, content: str) -> Written:
    created = await writer.write(conversation, content)
    expected = {"conversation_id": conversation, "token_count": token_count(content)}
    told = {"conversation_id": created.conversation_id, "token_count": created.token_count}
    expect("the answer to a message", expected=expected, actual=told)
    return Written(id=created.id, content=content)


async def _expect_seen(writer: Person, conversation: int, written: Sequence[Written]) -> None:
    told = [(message.id, message.content) for message in await writer.messages(conversation)]
    expect("messages", expected=[(message.id, message.content) for message in written], actual=told)
    shown = (await writer.conversation(conversation)).message_count
    expect("messages counted on the conversation", expected=len(written), actual=shown)
    listed = {entry.id: entry.message_count for entry in await writer.conversations()}
    in_list = listed.get(conversation)
    expect("messages counted in the list", expected=len(written), actual=in_list)
    counted = (await writer.usage()).messages
    expect("messages counted on the account", expected=len(written), actual=counted)
    if written:
        found = [found.id for found in await writer.search(written[-1].content.split()[-1])]
        expect("what a search finds", expected=[written[-1].id], actual=found)


async def _expect_exported(app: LiveApp, write: AcknowledgedWrite) -> None:
    rows = await app.fetch(
        "SELECT role, content FROM public.messages WHERE id = $1", write.message_id
    )
    if not rows:
        raise AppFailedError(
            f"acknowledged message {write.message_id} is not there", expected=write.message_id
        )
    line = f"{rows[0]['role']}: {rows[0]['content']}\n"
    exported = await Person(app=app, id=write.user_id).transcript(write.conversation_id)
    expect_true("an export", met=line in exported, expected=line, actual=exported[-400:])
