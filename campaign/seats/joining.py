"""How to join a campaign whose operator comes from outside, in words."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from campaign.listening import WayIn, way_in
from campaign.seats.register import Register

_ANEW = "whoever has joined before has to join again: the address and all tokens are new"


def how_to_join(register: Register, *, is_resumed: bool = False) -> tuple[str, ...]:
    """Lines for a terminal. They hold the seat token, which opens once: show them to nobody else.

    A seat that is claimed already is asked for anew with `ratchet operator invite`.
    """
    token = register.seat_token or "(claimed: `ratchet operator invite`)"
    return (*_news(is_resumed=is_resumed), *invitation(register.url, token))


def how_to_join_there(runs: Path, *, is_resumed: bool = False) -> tuple[str, ...]:
    """The same of a campaign that another process plays: it holds no secret."""
    news = _news(is_resumed=is_resumed)
    if (way := way_in("")) is not None:
        invite = f"{way.inside} operator invite"
        return (*news, *_ways_inside(way), f"or have an address and a token for others: {invite}")
    where = f" --runs {shlex.quote(str(runs))}"
    return (
        *news,
        "the operator is yours to bring; in another terminal, as this user,",
        *_ways(where),
        f"or have an address and a token for others: ratchet operator invite{where}",
    )


def invitation(url: str, token: str) -> tuple[str, ...]:
    """The same from what is known outside of that process."""
    if (way := way_in(url)) is not None:
        return (*_ways_inside(way), *_ways_from_outside(way, token))
    return (
        "the operator is yours to bring; whoever is first with this token has the seat:",
        *_variables(url, token),
        "then, with these two variables set,",
        *_ways(""),
    )


def _news(*, is_resumed: bool) -> Iterator[str]:
    if is_resumed:
        yield _ANEW


def _variables(url: str, token: str) -> Iterator[str]:
    yield f"  export RATCHET_URL={url} RATCHET_SEAT_TOKEN={token}"


def _ways(options: str) -> Iterator[str]:
    yield f"  a person        ratchet operator shell{options}"
    yield f"  an MCP client   ratchet operator mcp{options}    (over stdio; --http PORT for HTTP)"
    yield f"  any shell       ratchet operator wait{options}    (then it says how to go on)"


def _ways_inside(way: WayIn) -> Iterator[str]:
    """Of a compose project: whoever may use its docker needs nothing else."""
    yield "the operator is yours to bring; whoever is first has the seat:"
    yield f"  a person        {way.inside_with_terminal} operator shell"
    yield f"  an MCP client   {way.inside} operator mcp    (over stdio)"
    yield f"  any shell       {way.inside} operator wait    (then it says how to go on)"


def _ways_from_outside(way: WayIn, token: str) -> Iterator[str]:
    """Of a compose project: nothing where its port is not published."""
    if way.url:
        yield "or, on the machine that runs the containers, by a ratchet of its own:"
        yield from _variables(way.url, token)
        yield "then, with these two variables set,"
        yield from _ways("")
