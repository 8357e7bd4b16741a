"""Server-sent events, as far as a client that counts tokens needs them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One dispatched event; `name` is "message" when the server gave none."""

    name: str
    data: str


class EventParser:
    """Bytes in, events out; keeps what is incomplete until the rest comes."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Event]:
        # A carriage return at the very end may be half of a line ending: it waits.
        text = self._rest + chunk
        held = b"\r" if text.endswith(b"\r") else b""
        text = text.removesuffix(held).replace(b"\r\n", b"\n")
        *blocks, rest = text.split(b"\n\n")
        self._rest = rest + held
        return [event for block in blocks if (event := _event(block)) is not None]


def _event(block: bytes) -> Event | None:
    """The event of one block of lines, or None for comments alone (keep-alives)."""
    name, data = "message", []
    for line in block.decode("utf-8", "replace").split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
    return Event(name=name, data="\n".join(data)) if data or name != "message" else None
