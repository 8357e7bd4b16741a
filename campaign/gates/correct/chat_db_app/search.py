"""Search finds what contains the words, all of it, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from campaign.gates.agreement import expect_agreement
from campaign.gates.app import LiveApp
from campaign.gates.chat_db_app import words
from campaign.gates.chat_db_app.people import Person, sign_up
from campaign.gates.chat_db_app.samples import owner, sampled
from campaign.gates.finding import Finding, Skip, expect, holds

_MOST = 50

_CONTENT = "SELECT content FROM public.messages WHERE id = $1"
#: `$2` is plain words, which mean themselves in a regular expression
_CONTAINING = r"""
SELECT id, bool_and(content ~* ('\m' || $2 || '\M')) OVER () AS whole
FROM public.messages WHERE user_id = $1 AND content ~* $2
ORDER BY created_at DESC, id DESC LIMIT $3
"""


async def search_finds_what_was_just_written(app: LiveApp) -> Finding:
    """In any case, alone or as two words one after the other; newest first; nobody else's."""
    person, stranger = await sign_up(app), await sign_up(app)
    own = (await person.start_conversation()).id
    other = (await stranger.start_conversation()).id
    return await _needles(person, stranger, own=own, other=other)


async def search_finds_what_was_written_before(app: LiveApp) -> Finding:
    """Words of the campaign's own messages, whatever the revision they were written under."""
    asked: list[str] = []
    for row in await sampled(app, "messages", count=4):
        content = (await app.fetch(_CONTENT, row["id"]))[0]["content"]
        person = owner(app, row)
        asked += [phrase for phrase in _phrases(app, content) if await _agrees(person, phrase)]
    if not asked:
        raise Skip("no message holds words that only whole words match")
    return holds("search finds what was written before", asked=asked)


async def _needles(person: Person, stranger: Person, *, own: int, other: int) -> Finding:
    draw = person.app.draw
    first, second = words.rare_word(draw), words.rare_word(draw)
    plain = words.sentence(draw)
    # Asked for before it is there: an answer that is kept is found out.
    early = await person.search(first)
    expect(f"messages with {first!r}, so far", expected=[], actual=[hit.id for hit in early])
    here = {
        "both": await person.write(own, f"{plain} {first.title()} {second} {plain}"),
        "swapped": await person.write(own, f"{second.upper()} {first}"),
        "apart": await person.write(own, f"{first} {plain} {second}"),
    }
    await stranger.write(other, f"{first} {second}")
    ids = {name: message.id for name, message in here.items()}
    everywhere = [ids["apart"], ids["swapped"], ids["both"]]
    for text, expected in (
        (first, everywhere),
        (first.upper(), everywhere),
        (second.title(), everywhere),
        (f"{first} {second}", [ids["both"]]),
        (f"{first} {second}".upper(), [ids["both"]]),
        (f"{second} {first}", [ids["swapped"]]),
        (words.rare_word(draw), []),
    ):
        found = await person.search(text)
        expect(f"messages with {text!r}", expected=expected, actual=[hit.id for hit in found])
        places = {hit.conversation_id for hit in found}
        expect("where they are", expected={own} if expected else set(), actual=places)
    return holds("search finds what was just written", needles=[first, second])


def _phrases(app: LiveApp, content: str) -> Sequence[str]:
    """One word and two neighbours of a text of ordinary words; none of any other text.

    What is a word in odder texts ("-1", "a.b") is a matter of taste.
    """
    plain = re.findall(r"\b[A-Za-z]{3,}[0-9]*(?: [A-Za-z]{3,}[0-9]*)?\b", content)
    if not plain or not re.fullmatch(r"[A-Za-z0-9 ]+\.?", content):
        return ()
    pair: str = app.draw.choice(plain)
    return tuple(dict.fromkeys((pair, app.draw.choice(pair.split()))))


async def _agrees(person: Person, phrase: str) -> bool:
    """Compare; False when there are messages that contain it as parts of words only."""
    rows: Sequence[Mapping[str, Any]] = await _containing(person, phrase)
    if not all(row["whole"] for row in rows):
        return False

    async def stored() -> list[int]:
        return [row["id"] for row in await _containing(person, phrase)]

    async def told() -> list[int]:
        return [hit.id for hit in await person.search(phrase)]

    await expect_agreement(
        f"messages of user {person.id} with {phrase!r}", stored=stored, told=told
    )
    return True


async def _containing(person: Person, phrase: str) -> Sequence[Mapping[str, Any]]:
    return await person.app.fetch(_CONTAINING, person.id, phrase, _MOST)
