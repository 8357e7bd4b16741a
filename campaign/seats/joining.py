"""How to join a campaign whose operator comes from outside, in words."""

from __future__ import annotations

from campaign.seats.register import Register


def how_to_join(register: Register) -> tuple[str, ...]:
    """Lines for a terminal. They hold the seat token, which opens once: show them to nobody else.

    A seat that is claimed already is asked for anew with `ratchet operator invite`.
    """
    return invitation(register.url, register.seat_token or "(claimed: `ratchet operator invite`)")


def invitation(url: str, token: str) -> tuple[str, ...]:
    """The same from what is known outside of that process."""
    return (
        "the operator is yours to bring; whoever is first with this token has the seat:",
        f"  export RATCHET_URL={url} RATCHET_SEAT_TOKEN={token}",
        "then, with these two variables set,",
        "  a person        ratchet operator shell",
        "  an MCP client   ratchet operator mcp          (over stdio; --http PORT for HTTP)",
        "  any shell       ratchet operator wait; ratchet operator tools; see docs/operators.md",
    )
