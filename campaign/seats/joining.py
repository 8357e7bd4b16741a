"""How to join a campaign whose operator comes from outside, in words."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

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
    where = f" --runs {shlex.quote(str(runs))}"
    return (
        *_news(is_resumed=is_resumed),
        "the operator is yours to bring; in another terminal, as this user,",
        *_ways(where),
        f"or have an address and a token for others: ratchet operator invite{where}",
    )


def invitation(url: str, token: str) -> tuple[str, ...]:
    """The same from what is known outside of that process."""
    return (
        "the operator is yours to bring; whoever is first with this token has the seat:",
        f"  export RATCHET_URL={url} RATCHET_SEAT_TOKEN={token}",
        "then, with these two variables set,",
        *_ways(""),
    )


def _news(*, is_resumed: bool) -> Iterator[str]:
    if is_resumed:
        yield _ANEW


def _ways(options: str) -> Iterator[str]:
    yield f"  a person        ratchet operator shell{options}"
    yield f"  an MCP client   ratchet operator mcp{options}    (over stdio; --http PORT for HTTP)"
    yield f"  any shell       ratchet operator wait{options}    (then it says how to go on)"
