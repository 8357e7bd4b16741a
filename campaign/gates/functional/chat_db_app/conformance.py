"""Every operation of the first revision's document answers by that document."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any
from urllib.parse import quote, urlencode

from campaign.gates.answer import Answer
from campaign.gates.app import LiveApp
from campaign.gates.chat_db_app import words
from campaign.gates.chat_db_app.people import Person, settle
from campaign.gates.conformance import Case, Judge, cases
from campaign.gates.finding import AppFailedError, Finding, expect_true, holds

#: who share the requests out among them, at the same time
_PEOPLE = 4
_LONGEST_POLL_S = 0.05
_MOST_TOKENS = 3
#: a century: nothing is as old
_OLDEST_DAYS = 36_500


@dataclass(frozen=True, slots=True, kw_only=True)
class _Home:
    """Whose requests these are, and what there is to be asked for."""

    person: Person
    segment: str
    #: ids that exist, by the beginning of the path
    own: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exchange:
    case: Case
    answer: Answer
    #: the statuses that this very request may have; empty: any that the document has
    statuses: frozenset[int]


async def every_operation_answers_by_its_document(app: LiveApp) -> Finding:
    """With requests made from it: what exists is found, what is wrong is refused as it says."""
    prepared = await asyncio.to_thread(cases, app.base_document, cache_dir=app.cache_dir)
    shares = [prepared[first::_PEOPLE] for first in range(_PEOPLE)]
    segment = words.segment(app.draw)
    people = await settle(app, _PEOPLE, segment=segment)
    exchanged = await asyncio.gather(
        *(_all_of(person, segment, share) for person, share in zip(people, shares, strict=True))
    )
    exchanges = list(chain.from_iterable(exchanged))
    problems = await asyncio.to_thread(_problems, app.base_document, exchanges)
    _expect_none(problems)
    return holds(
        "every operation answers by its document",
        operations=len({exchange.case.operation for exchange in exchanges}),
        requests=len(exchanges),
    )


async def _all_of(person: Person, segment: str, share: Sequence[Case]) -> list[_Exchange]:
    """One after the other: what one person's devices do at the same time is another question."""
    home = await _home(person, segment)
    return [exchange for case in share for exchange in await _exchanged(home, case)]


async def _home(person: Person, segment: str) -> _Home:
    conversation = (await person.start_conversation()).id
    await person.write(conversation, words.sentence(person.app.draw))
    await person.broadcast(segment, title=words.title(person.app.draw), body="news")
    received = await person.notifications()
    if not received:
        raise AppFailedError("a broadcast did not arrive", expected="one and more", actual=0)
    own = {
        "/api/users/": person.id,
        "/api/conversations/": conversation,
        "/api/notifications/": received[0].id,
    }
    return _Home(person=person, segment=segment, own=own)


async def _exchanged(home: _Home, case: Case) -> tuple[_Exchange, ...]:
    """The request as it was made and, when it names a thing, once more for one that exists."""
    tame = _tamed(home, case)
    if "id" not in tame.path_parameters:
        return (await _asked(home, tame, exists=True),)
    own = next(own for place, own in home.own.items() if tame.path.startswith(place))
    aimed = _with(tame, path_parameters={"id": own})
    return (await _asked(home, tame, exists=False), await _asked(home, aimed, exists=True))


async def _asked(home: _Home, case: Case, *, exists: bool) -> _Exchange:
    app, path = home.person.app, _path(case)
    user = home.person.id
    if case.operation == "stream_reply":
        heard = await app.stream(path, user=user, json=case.body)
        answer = heard.answer
    else:
        answer = await app.request(case.method, path, user=user, json=case.body)
    statuses: frozenset[int] = frozenset()
    if case.kind == "valid" and exists:
        statuses = _successes(app.base_document, case)
    return _Exchange(case=case, answer=answer, statuses=statuses)


def _path(case: Case) -> str:
    quoted = {name: quote(str(value), safe="") for name, value in case.path_parameters.items()}
    path = case.path.format(**quoted)
    flat = {
        name: value for name, value in case.query.items() if isinstance(value, str | int | float)
    }
    return f"{path}?{urlencode(flat)}" if flat else path


def _tamed(home: _Home, case: Case) -> Case:
    """The same request without harm to others and without long waits."""
    match case.operation:
        case "broadcast" if isinstance(case.body, dict):
            return _with(case, body={**case.body, "segment": home.segment})
        case "cleanup_notifications" if isinstance(case.body, dict):
            return _with(case, body={**case.body, "older_than_days": _OLDEST_DAYS})
        case "stream_reply" if isinstance(case.body, dict):
            return _with(case, body={**case.body, "tokens": _MOST_TOKENS})
        case "poll_notifications":
            return _with(case, query={**case.query, "timeout": _LONGEST_POLL_S})
        case _:
            return case


def _with(case: Case, **changes: Any) -> Case:
    names = ("operation", "method", "path", "kind", "path_parameters", "query", "body")
    return Case(**{**{name: getattr(case, name) for name in names}, **changes})


def _successes(document: Mapping[str, Any], case: Case) -> frozenset[int]:
    responses = document["paths"][case.path][case.method.lower()]["responses"]
    return frozenset(int(status) for status in responses if status.startswith("2"))


def _problems(
    document: Mapping[str, Any], exchanges: Sequence[_Exchange]
) -> list[dict[str, object]]:
    judge = Judge(document)
    return [
        {
            "operation": exchange.case.operation,
            "request": exchange.answer.asked,
            "sent": exchange.case.body,
            "status": exchange.answer.status,
            "answer": exchange.answer.body,
            "problems": wrong,
        }
        for exchange in exchanges
        if (wrong := _wrong(judge, exchange))
    ]


def _wrong(judge: Judge, exchange: _Exchange) -> list[str]:
    wrong = judge.problems(exchange.case, exchange.answer)
    if not wrong and exchange.statuses and exchange.answer.status not in exchange.statuses:
        wanted = " or ".join(map(str, sorted(exchange.statuses)))
        wrong = [f"expected status {wanted} for what exists, got {exchange.answer.status}"]
    return wrong


def _expect_none(problems: Sequence[Mapping[str, Any]]) -> None:
    operations = sorted({str(problem["operation"]) for problem in problems})
    expect_true(
        f"answers of {', '.join(operations)}",
        met=not problems,
        expected="what the document says",
        actual=list(problems),
    )
