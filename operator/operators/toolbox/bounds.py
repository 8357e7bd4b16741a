"""How much of a text is shown, kept and passed on; a cut always says so."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from operators.toolbox.errors import ToolError

T = TypeVar("T")

#: deeper nesting than this is nobody's honest argument
_MAX_DEPTH = 30
#: so many texts of full length are kept of one call, and as much a value counts besides its text
_TEXTS = 4
_VALUE_CHARS = 10
_MAX_NAME_CHARS = 200
_MAX_INT = 1 << 63


def head(text: str, limit: int, *, of: int | None = None) -> str:
    """The beginning of a text that is longer than `limit` characters; `of`: how long it was."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n[cut: the first {limit} of {of or len(text)} characters]"


def tail(text: str, limit: int) -> str:
    """The end of a text that is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    return f"[cut: the last {limit} of {len(text)} characters]\n{text[-limit:]}"


def ends(text: str, limit: int) -> str:
    """Beginning and end of a text that is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    first = limit // 3
    last = limit - first
    return f"{text[:first]}\n[cut: {len(text) - limit} characters]\n{text[-last:]}"


def one_line(text: str, limit: int) -> str:
    """For a cell or a line of a list: no line breaks, and an ellipsis where it was cut."""
    flat = text.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")
    return flat if len(flat) <= limit else f"{flat[: limit - 1]}…"


def plain(text: str) -> str:
    """Without what no JSON, database or terminal takes: NULs and halves of surrogate pairs."""
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def bounded(value: Any, *, chars: int) -> Any:
    """A copy of what a caller sent that can be put on record, whatever it sent.

    Plain JSON values; each text of at most `chars` characters, and all of them of a few times that,
    saying what was cut.
    """
    return _Copier(chars).copy(value, depth=0)


class _Copier:
    def __init__(self, chars: int) -> None:
        self._chars = chars
        self._left = _TEXTS * chars

    def copy(self, value: Any, *, depth: int) -> Any:
        self._left -= _VALUE_CHARS
        match value:
            case None | bool():
                return value
            case str():
                return self._text(value, self._chars)
            case int():
                return value if abs(value) < _MAX_INT else f"[{value.bit_length()} bits]"
            case float():
                return value if math.isfinite(value) else str(value)
            case Mapping() | list() | tuple() if depth >= _MAX_DEPTH:
                return "[cut: nested too deeply]"
            case Mapping():
                return {
                    self._text(str(name), _MAX_NAME_CHARS): self.copy(of, depth=depth + 1)
                    for name, of in self._while_there_is_room(value.items())
                }
            case list() | tuple():
                return [self.copy(of, depth=depth + 1) for of in self._while_there_is_room(value)]
            case _:
                return f"[a {type(value).__name__}]"

    def _text(self, text: str, limit: int) -> str:
        kept = head(plain(text[: limit + 1]), limit, of=len(text))
        self._left -= len(kept)
        return kept

    def _while_there_is_room(self, values: Iterable[T]) -> Iterator[T]:
        for value in values:
            if self._left <= 0:
                return
            yield value


def require_plain(value: Any, *, where: str = "", depth: int = 0) -> None:
    """Refuse what no tool takes, before any sees it.

    Raises:
        ToolError: what is no JSON, a NUL, half of a surrogate pair, a number of more than 64 bits,
            or nesting without end; it says where.
    """
    if depth > _MAX_DEPTH:
        raise ToolError(f"{where or 'the arguments'}: nested more than {_MAX_DEPTH} levels deep")
    if isinstance(value, str):
        _require_text(value, where)
    elif isinstance(value, Mapping):
        for name, of in value.items():
            _require_text(str(name), "an argument's name")
            inner = one_line(str(name), _MAX_NAME_CHARS)
            require_plain(of, where=f"{where}.{inner}" if where else inner, depth=depth + 1)
    elif isinstance(value, list | tuple):
        for number, of in enumerate(value):
            require_plain(of, where=f"{where}[{number}]", depth=depth + 1)
    elif not isinstance(value, bool | int | float | None):
        raise ToolError(f"{where}: a {type(value).__name__} is no JSON value")
    elif isinstance(value, int) and abs(value) >= _MAX_INT:
        raise ToolError(f"{where}: a number of more than 64 bits")


def _require_text(text: str, where: str) -> None:
    if "\0" in text:
        raise ToolError(f"{where}: holds a NUL character, which no tool takes; leave it out")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ToolError(f"{where}: holds half of a surrogate pair, which is no text") from None
