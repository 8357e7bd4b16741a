"""Rows for chat_db_app's tables: the seed, and the growth a profile asks for.

Pure and deterministic: the same spec gives the same rows, byte for byte. Rows are tuples in the
order of a table's columns, ready for asyncpg:

    for table in tables(SEED):
        await conn.copy_records_to_table(table.name, records=table.rows, columns=table.columns)
    for statement in AFTER_SEED:
        await conn.execute(statement)

`AFTER_SEED` belongs after every load, seed or growth: COPY does not advance identity sequences.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Row = tuple[Any, ...]

#: When the first row of every load was created; each further one a second later.
EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
#: Ids of growth start here; whatever the app itself creates before any growth stays below.
FIRST_GROWTH_ID = 1_000_000_000
SEGMENTS = ("free", "pro", "team")

_TICK = timedelta(seconds=1)
#: Message texts repeat with this period; enough that no two neighbours are alike.
_TEXTS = 1024
_CHARACTERS_PER_TOKEN = 4
_WORDS = (
    "about above across after again along among answer around because before begin below between"
    " bring build carry change city close color common country course cover cross early earth every"
    " example family field figure final follow force garden gather general ground group happen"
    " heavy history house hundred idea important inch island kind language large later learn letter"
    " light listen little machine made many matter mean measure minute money morning mountain music"
    " nature never night notice number object ocean often order other page paper pattern people"
    " person picture piece place plain plane plant point power present problem produce product"
    " question quick reach ready reason record remember river round school science second sentence"
    " several shape short simple sleep small sound space special spell stand state still story"
    " street strong study surface system table teach thing think thought thousand through together"
    " toward travel trouble under until usual value vowel voice walk watch water weather wheel"
    " while white whole window winter wonder world write young"
)

_SEQUENCED = ("users", "conversations", "messages", "notifications")

#: Moves each identity sequence past the loaded ids; never back, so it is safe under live traffic.
AFTER_SEED: tuple[str, ...] = tuple(
    f"SELECT setval('{table}_id_seq', loaded.top) FROM {table}_id_seq AS seq,"  # noqa: S608
    f" (SELECT max(id) AS top FROM {table}) AS loaded WHERE loaded.top > seq.last_value"
    for table in _SEQUENCED
)


@dataclass(frozen=True, kw_only=True, slots=True)
class IdRange:
    """`count` ids from `first` on."""

    first: int
    count: int

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.first + self.count))


@dataclass(frozen=True, kw_only=True, slots=True)
class Needles:
    """Rare search terms hidden in messages: every `every`-th carries one, in turn `terms` of them.

    Message number i of a load (from 0) carries a term when i % every == 0; which one is
    (i // every) % terms. Choose `every` and `messages_per_conversation` so that the searching
    users have some: see `needle_hits`.
    """

    every: int
    terms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """What to add. Conversation `first + k` belongs to user `users.first + k % users.count`."""

    users: IdRange
    conversations: IdRange
    #: False when the users exist already; then there can be no messages, whose tokens would have
    #: to be added to rows that are already there.
    new_users: bool = True
    #: Every user's segment; None shares the three out in turn.
    segment: str | None = None
    messages_per_conversation: int = 0
    first_message_id: int = FIRST_GROWTH_ID
    #: Words per message, about six characters each.
    content_words: int = 12
    needles: Needles | None = None
    #: Size of the transcript document of each conversation; None leaves what its messages give.
    transcript_bytes: int | None = None
    notifications_per_user: int = 0
    first_notification_id: int = FIRST_GROWTH_ID
    #: Each notification belongs to the user's first conversation, or to none (announcements).
    about_conversations: bool = True
    #: The first this many of each user's are read already.
    read_per_user: int = 0
    #: Size of each notification's payload document.
    payload_bytes: int = 0
    #: Creation time of the first row of each table.
    start: datetime = EPOCH

    def __post_init__(self) -> None:
        if self.users.count < 1:
            raise ValueError("a growth needs at least one user")
        if self.messages_per_conversation and not self.new_users:
            raise ValueError("messages need new users: existing ones' token_usage is not updated")


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """One COPY: the rows are generated while they are read, once."""

    name: str
    columns: tuple[str, ...]
    rows: Iterable[Row]


#: What every campaign starts from: 2000 users, of whom the first 1000 have a conversation each.
#: Short ones: to open one costs a scan of all messages for each of its own, as long as nobody
#: has mended that, and other profiles' messages must not make that a violation of theirs.
SEED = Growth(
    users=IdRange(first=1, count=2000),
    conversations=IdRange(first=1, count=1000),
    messages_per_conversation=8,
    first_message_id=1,
    notifications_per_user=5,
    first_notification_id=1,
    read_per_user=2,
)


def seed() -> list[Table]:
    """The tables of `SEED`."""
    return tables(SEED)


def tables(growth: Growth) -> list[Table]:
    """Everything a growth adds, in the order it must be loaded; only tables with rows."""
    made = [
        _table("users", "id name segment token_usage created_at", users(growth)),
        _table(
            "conversations",
            "id user_id title message_count created_at updated_at",
            conversations(growth),
        ),
        _table(
            "messages",
            "id conversation_id user_id role content token_count created_at metadata",
            messages(growth),
        ),
        _table("transcripts", "conversation_id document", transcripts(growth)),
        _table(
            "notifications",
            "id user_id conversation_id kind title body payload is_read created_at",
            notifications(growth),
        ),
    ]
    counts = row_counts(growth)
    return [table for table in made if counts[table.name]]


def row_counts(growth: Growth) -> dict[str, int]:
    """How many rows of each table `tables` gives."""
    conversation_count = growth.conversations.count
    transcribed = growth.messages_per_conversation or growth.transcript_bytes
    return {
        "users": growth.users.count if growth.new_users else 0,
        "conversations": conversation_count,
        "messages": conversation_count * growth.messages_per_conversation,
        "transcripts": conversation_count if transcribed else 0,
        "notifications": growth.users.count * growth.notifications_per_user,
    }


def needle(number: int) -> str:
    """The search term with this number: one word, which no ordinary message contains."""
    return f"zephyr{number:04d}"


def needle_hits(growth: Growth) -> dict[int, list[str]]:
    """For each user who has any: the terms in their messages, one entry per message."""
    hits: dict[int, list[str]] = {}
    if growth.needles is None:
        return hits
    for index in range(0, row_counts(growth)["messages"], growth.needles.every):
        term = needle(index // growth.needles.every % growth.needles.terms)
        owner = _owner(growth, index // growth.messages_per_conversation)
        hits.setdefault(owner, []).append(term)
    return hits


# --- rows --------------------------------------------------------------------------------


def users(growth: Growth) -> Iterator[Row]:
    if not growth.new_users:
        return
    usage = _token_usage(growth)
    for offset, user_id in enumerate(growth.users):
        segment = growth.segment or SEGMENTS[user_id % len(SEGMENTS)]
        yield user_id, f"User {user_id}", segment, usage[offset], _at(growth, offset)


def conversations(growth: Growth) -> Iterator[Row]:
    titles = _texts(4)
    for offset, conversation_id in enumerate(growth.conversations):
        created = _at(growth, offset)
        yield (
            conversation_id,
            _owner(growth, offset),
            titles[offset % _TEXTS],
            growth.messages_per_conversation,
            created,
            created,
        )


def messages(growth: Growth) -> Iterator[Row]:
    """In the order of their ids, conversation by conversation."""
    each = growth.messages_per_conversation
    contents, tokens = _contents(growth)
    period = len(contents)
    index = 0
    created = growth.start
    for offset, conversation_id in enumerate(growth.conversations):
        owner = _owner(growth, offset)
        for turn in range(each):
            at = index % period
            yield (
                growth.first_message_id + index,
                conversation_id,
                owner,
                _role(turn),
                contents[at],
                tokens[at],
                created,
                "{}",
            )
            index += 1
            created += _TICK


def transcripts(growth: Growth) -> Iterator[Row]:
    if growth.transcript_bytes is not None:
        document = _document(growth.transcript_bytes)
        yield from ((conversation_id, document) for conversation_id in growth.conversations)
        return
    each = growth.messages_per_conversation
    if not each:
        return
    contents, _ = _contents(growth)
    for offset, conversation_id in enumerate(growth.conversations):
        spoken = (contents[(offset * each + turn) % len(contents)] for turn in range(each))
        lines = (f"{_role(turn)}: {text}\n" for turn, text in enumerate(spoken))
        yield conversation_id, "".join(lines)


def notifications(growth: Growth) -> Iterator[Row]:
    """In the order of their ids; one round gives each user one, so a user's lie far apart."""
    titles, bodies = _texts(3), _texts(10)
    payload = _payload(growth.payload_bytes)
    count = growth.users.count
    for index in range(count * growth.notifications_per_user):
        round_, offset = divmod(index, count)
        yield (
            growth.first_notification_id + index,
            growth.users.first + offset,
            _first_conversation(growth, offset),
            "reply" if growth.about_conversations else "announcement",
            titles[index % _TEXTS],
            bodies[index % _TEXTS],
            payload,
            round_ < growth.read_per_user,
            _at(growth, index),
        )


# --- helpers -----------------------------------------------------------------------------


def _table(name: str, columns: str, rows: Iterable[Row]) -> Table:
    return Table(name=name, columns=tuple(columns.split()), rows=rows)


def _at(growth: Growth, offset: int) -> datetime:
    return growth.start + offset * _TICK


def _role(turn: int) -> str:
    return "assistant" if turn % 2 else "user"


def _owner(growth: Growth, conversation_offset: int) -> int:
    return growth.users.first + conversation_offset % growth.users.count


def _first_conversation(growth: Growth, user_offset: int) -> int | None:
    if not growth.about_conversations or user_offset >= growth.conversations.count:
        return None
    return growth.conversations.first + user_offset


def _token_usage(growth: Growth) -> list[int]:
    """For each user, the tokens of all messages of all their conversations."""
    usage = [0] * growth.users.count
    each = growth.messages_per_conversation
    if not each:
        return usage
    _, tokens = _contents(growth)
    period = len(tokens)
    before = [0, *accumulate(tokens)]

    def spent_until(index: int) -> int:
        rounds, rest = divmod(index, period)
        return rounds * before[-1] + before[rest]

    for offset in range(growth.conversations.count):
        first = offset * each
        usage[offset % growth.users.count] += spent_until(first + each) - spent_until(first)
    return usage


def _contents(growth: Growth) -> tuple[list[str], list[int]]:
    """Texts and token counts that repeat over the messages of a load, needles included."""
    texts = _texts(growth.content_words)
    if growth.needles is not None:
        texts = _with_needles(texts, growth.needles, row_counts(growth)["messages"])
    return texts, [max(1, len(text) // _CHARACTERS_PER_TOKEN) for text in texts]


def _with_needles(texts: list[str], needles: Needles, length: int) -> list[str]:
    """The texts of `length` messages, some with a needle at their end."""
    repeated = (texts * (length // len(texts) + 1))[:length]
    for number, index in enumerate(range(0, length, needles.every)):
        repeated[index] += " " + needle(number % needles.terms)
    return repeated


@lru_cache(maxsize=16)
def _texts(words: int) -> list[str]:
    """`_TEXTS` texts of that many words, always the same."""
    draw = random.Random(words)  # noqa: S311 - repeatable on purpose
    return [" ".join(draw.choices(_WORDS.split(), k=words)) for _ in range(_TEXTS)]


def _document(size_bytes: int) -> str:
    """Lines of a transcript, of exactly that size; hardly compressible, as real text is not."""
    draw = random.Random(size_bytes)  # noqa: S311 - repeatable on purpose
    text = "".join(draw.choices("abcdefghijklmnopqrstuvwxyz      ", k=max(0, size_bytes - 7)))
    return f"user: {text}\n"[:size_bytes]


def _payload(size_bytes: int) -> str:
    """A JSON object of about that size; `{}` for none."""
    if size_bytes <= 0:
        return "{}"
    draw = random.Random(size_bytes)  # noqa: S311 - repeatable on purpose
    overhead = len('{"preview":""}')
    letters = "".join(draw.choices("abcdefghijklmnopqrstuvwxyz      ", k=size_bytes - overhead))
    return f'{{"preview":"{letters}"}}'
