"""One request, ready to be sent, and what its answer must look like."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from loadgen.load import Params

if TYPE_CHECKING:
    from loadgen.backlog import Arrival
    from loadgen.ledger import Write
    from loadgen.sse import Event

#: Answers up to this size are parsed as JSON; larger ones are only looked at from the outside.
PARSED_UP_TO_BYTES = 8_192

ParamsT_co = TypeVar("ParamsT_co", bound=Params, covariant=True)


class InvalidAnswerError(Exception):
    """The app answered with success, but not with what was asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """An HTTP request as bytes, and the judge of its answer."""

    method: str
    wire: bytes
    #: judges the body of a successful answer; raises InvalidAnswerError
    accept: Callable[[bytes], None]
    #: seconds that the app was asked to take: not latency, and added to the client's patience
    allowance_s: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamCall:
    """A request answered by server-sent events, whose latency ends at the first token."""

    method: str
    wire: bytes
    #: judges the events of a stream that ended; raises InvalidAnswerError
    accept: Callable[[tuple[Event, ...]], None]
    #: name of the event that counts as the first token
    first: str
    #: seconds after which a stream that has begun is given up
    limit_s: float


class Behaviour(ABC, Generic[ParamsT_co]):
    """What the users of one dimension do. One object serves all of them, and may remember."""

    #: the name in the load vector and in every label
    name: ClassVar[str]
    params_model: ClassVar[type[Params]]

    def __init__(self, *, params: ParamsT_co, remember: Callable[[str, Write], None]) -> None:
        self.params = params
        #: to be told of every write that the app acknowledged, with the operation
        self.remember = remember

    @property
    @abstractmethod
    def operations(self) -> tuple[str, ...]:
        """The operations that arrivals take in turn."""

    @abstractmethod
    def call(self, arrival: Arrival) -> Call | StreamCall:
        """The request of this arrival, for the operation whose turn it is."""

    def operation(self, arrival: Arrival) -> str:
        return self.operations[arrival.index % len(self.operations)]


def get(path: str, *, user_id: int) -> bytes:
    """A GET request of a signed-in user; `path` is already quoted."""
    return f"GET {path} HTTP/1.1\r\nHost: app\r\nX-User-Id: {user_id}\r\n\r\n".encode("ascii")


def post(path: str, *, user_id: int, document: dict[str, Any]) -> bytes:
    """A POST request of a signed-in user with a JSON body."""
    body = json.dumps(document).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: app\r\nX-User-Id: {user_id}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def parsed(body: bytes) -> dict[str, Any]:
    """A small JSON object; raises InvalidAnswerError for anything else."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidAnswerError("the body is not JSON") from error
    if not isinstance(document, dict):
        raise InvalidAnswerError("the body is not a JSON object")
    return document


def is_object(body: bytes) -> None:
    """Accepts any small JSON object."""
    parsed(body)


def holds(key: str, kind: type, *, at_least: int = 0) -> Callable[[bytes], None]:
    """Accepts a JSON object with a `key` of this type, by a glance when it is large.

    A list must have `at_least` so many entries, unless it is large.
    """
    quoted = f'"{key}"'.encode()

    def accept(body: bytes) -> None:
        if len(body) <= PARSED_UP_TO_BYTES:
            value = parsed(body).get(key)
            fits = isinstance(value, kind)
            if isinstance(value, list) and len(value) < at_least:
                raise InvalidAnswerError(f"{len(value)} {key} where there are {at_least} or more")
        else:
            fits = body[:1] == b"{" and body.rstrip()[-1:] == b"}" and quoted in body
        if not fits:
            raise InvalidAnswerError(f"no {key} in the answer")

    return accept


def has_values(**expected: object) -> Callable[[bytes], None]:
    """Accepts a small JSON object in which these keys have exactly these values."""

    def accept(body: bytes) -> None:
        document = parsed(body)
        for key, value in expected.items():
            if document.get(key) != value:
                raise InvalidAnswerError(f"{key} is {document.get(key)!r}, not {value!r}")

    return accept
