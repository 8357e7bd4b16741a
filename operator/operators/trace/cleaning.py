"""What may go into a trace: no secret, and of nothing more than a bounded size."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

#: of a message, a thought, a result or a diff
TEXT_CHARS = 60_000
#: of all arguments of a call together, as JSON
INPUT_CHARS = 60_000
REDACTED = "[redacted]"

_DEEPEST = 20
#: shorter ones would take ordinary words out of a trace
_SHORTEST_SECRET = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """A text that can be written."""

    text: str
    #: None: all of it is there
    cut_chars: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanedInput:
    """Arguments that can be written."""

    arguments: dict[str, Any]
    cut_chars: int | None = None


class Cleaner:
    """Takes secrets out first, then cuts: half a secret is one too."""

    def __init__(self, redact: Collection[str] = ()) -> None:
        # The longest first: one may be a part of another.
        self._secrets = sorted(
            (secret for secret in redact if len(secret) >= _SHORTEST_SECRET),
            key=len,
            reverse=True,
        )

    def text(self, text: str, *, limit: int = TEXT_CHARS) -> Cleaned:
        """Of a longer text the beginning and the end stay."""
        text = self._plain(text)
        over = len(text) - limit
        if over <= 0:
            return Cleaned(text=text)
        head = limit // 2
        kept = f"{text[:head]}\n[{over:,} characters cut]\n{text[head + over :]}"
        return Cleaned(text=kept, cut_chars=over)

    def arguments(self, arguments: Mapping[str, Any]) -> CleanedInput:
        """What is too large as a whole becomes its beginning, as text, under `_cut`."""
        clean = {self._plain(str(name)): self._value(value) for name, value in arguments.items()}
        size = len(json.dumps(clean))
        if size <= INPUT_CHARS:
            return CleanedInput(arguments=clean)
        share = INPUT_CHARS // (2 * max(1, len(clean)))
        short = {name: self._short(value, share) for name, value in clean.items()}
        if len(json.dumps(short)) > INPUT_CHARS:
            short = {"_cut": json.dumps(clean)[: INPUT_CHARS // 2]}
        return CleanedInput(arguments=short, cut_chars=size - len(json.dumps(short)))

    def _short(self, value: Any, share: int) -> Any:
        if isinstance(value, str):
            return self.text(value, limit=share).text
        written = json.dumps(value)
        return value if len(written) <= share else self.text(written, limit=share).text

    def _value(self, value: Any, depth: int = 0) -> Any:
        """What JSON can hold, and no deeper than a reader can follow."""
        match value:
            case str():
                return self._plain(value)
            case bool() | int() | None:
                return value
            case float():
                return value if abs(value) < float("inf") else str(value)
            case Mapping() if depth < _DEEPEST:
                return {
                    self._plain(str(key)): self._value(item, depth + 1)
                    for key, item in value.items()
                }
            case list() | tuple() if depth < _DEEPEST:
                return [self._value(item, depth + 1) for item in value]
            case _:
                return self._plain(str(value)[:TEXT_CHARS])

    def _plain(self, text: str) -> str:
        # A lone surrogate is no text: it could be written, but not read again.
        text = text.encode("utf-8", "replace").decode("utf-8")
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return text
