"""What a line of an agent's output says, whichever agent it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """As providers count them: `input` is what was neither read from a cache nor put there."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_creation_5m: int = 0
    cache_creation_1h: int = 0

    @property
    def total(self) -> int:
        cached = self.cache_read + self.cache_creation_5m + self.cache_creation_1h
        return self.input + self.output + cached

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            input=self.input + other.input,
            output=self.output + other.output,
            cache_read=self.cache_read + other.cache_read,
            cache_creation_5m=self.cache_creation_5m + other.cache_creation_5m,
            cache_creation_1h=self.cache_creation_1h + other.cache_creation_1h,
        )

    def beyond(self, other: Tokens) -> Tokens:
        """What is in this and not in `other`; a count that is smaller here is none."""
        return Tokens(
            input=max(0, self.input - other.input),
            output=max(0, self.output - other.output),
            cache_read=max(0, self.cache_read - other.cache_read),
            cache_creation_5m=max(0, self.cache_creation_5m - other.cache_creation_5m),
            cache_creation_1h=max(0, self.cache_creation_1h - other.cache_creation_1h),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """The agent says who it is."""

    model: str = ""
    #: what a person should know of it, such as a tool server that did not connect
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Words of the model. Records of one `message` belong to one answer of it."""

    text: str
    model: str = ""
    #: empty: the agent does not say; then an answer ends where a tool's result follows
    message: str = ""
    #: more of the text before it, not a text of its own
    piece: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought:
    """The model's thinking, as far as it is shown."""

    text: str
    model: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """The model calls a tool; told again with the same `call`, it is the same one."""

    call: str
    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What the tool gave back, as the agent saw it."""

    call: str
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The agent's own account of all that it did; of several, the last one counts."""

    is_error: bool = False
    #: in its own words: what it said at last, or what went wrong
    text: str = ""
    #: it stopped because of the limit of money or turns that it was given
    over_budget: bool = False
    #: HTTP status of the model's API that ended it; None: it does not say, or there was none
    api_status: int | None = None
    #: of the whole run; None: it does not say
    tokens: Tokens | None = None
    usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Something for the record that is none of the above: a retry, a compaction, garbage."""

    text: str


Record: TypeAlias = Began | Said | Thought | Called | Returned | Finished | Noted


class Parser(Protocol):
    """One line of output -> what it says. Pure; never raises, whatever the line is."""

    def __call__(self, line: str) -> Sequence[Record]: ...
