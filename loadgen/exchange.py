"""One request and its answer, reduced to an outcome: no exception of the network gets past here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import gevent
from geventhttpclient.response import HTTPParseError

from loadgen.calls import Call, InvalidAnswerError, StreamCall
from loadgen.metrics import ErrorKind
from loadgen.sse import Event, EventParser

if TYPE_CHECKING:
    from loadgen.http_client import Answer, HttpClient

JudgedT = TypeVar("JudgedT")

#: of one stream: what is not a whole event yet is gone through again with each piece of it
_LONGEST_STREAM_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How an exchange went."""

    #: None when the answer was right
    error: ErrorKind | None
    #: bytes of body received, also of answers that were wrong
    size_bytes: int
    #: what was wrong, for people; not for a label
    detail: str = ""


class _FailureError(Exception):
    def __init__(self, kind: ErrorKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


class Exchange:
    """One call on its way. `timeout_s` is the client's patience from the moment of sending."""

    def __init__(self, client: HttpClient, *, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._answer: Answer | None = None

    def perform(self, call: Call | StreamCall, *, on_first: Callable[[float], None]) -> Outcome:
        """Send, read, judge. `on_first` gets the seconds to a stream's first token."""
        error, detail = None, ""
        try:
            match call:
                case Call():
                    self._plain(call)
                case StreamCall():
                    self._stream(call, on_first)
        except _FailureError as failure:
            error, detail = failure.kind, str(failure)
        except InvalidAnswerError as invalid:
            error, detail = ErrorKind.INVALID, str(invalid)
        except (gevent.Timeout, TimeoutError):
            error, detail = ErrorKind.TIMEOUT, "no answer in time"
        except HTTPParseError as garbage:
            error, detail = ErrorKind.INVALID, f"not HTTP: {garbage}"
        except OSError as broken:
            error, detail = ErrorKind.CONNECTION, str(broken)
        finally:
            size_bytes = self._hang_up()
        return Outcome(error=error, size_bytes=size_bytes, detail=detail)

    def _plain(self, call: Call) -> None:
        with gevent.Timeout(self._timeout_s + call.allowance_s):
            answer = self._open(call)
            body = answer.read()
        _check_status(answer)
        _judge(call.accept, body)

    def _stream(self, call: StreamCall, on_first: Callable[[float], None]) -> None:
        sent_s = time.monotonic()
        with gevent.Timeout(self._timeout_s):
            answer = self._open(call)
            _check_status(answer)
            events = _events(answer.chunks(idle_timeout_s=self._timeout_s))
            seen = list(_until(events, call.first))
            on_first(time.monotonic() - sent_s)
        with gevent.Timeout(call.limit_s):
            seen.extend(events)
        _judge(call.accept, tuple(seen))

    def _open(self, call: Call | StreamCall) -> Answer:
        self._answer = self._client.open(call.wire, method=call.method)
        return self._answer

    def _hang_up(self) -> int:
        if self._answer is None:
            return 0
        self._answer.abandon()
        return int(self._answer.body_bytes)


def _events(chunks: Iterator[bytes]) -> Iterator[Event]:
    parser, size_bytes = EventParser(), 0
    for chunk in chunks:
        size_bytes += len(chunk)
        if size_bytes > _LONGEST_STREAM_BYTES:
            raise InvalidAnswerError(f"a stream of more than {_LONGEST_STREAM_BYTES} bytes")
        yield from parser.feed(chunk)


def _until(events: Iterator[Event], name: str) -> Iterator[Event]:
    """The events up to and including the first of this name; the rest stays in `events`."""
    for event in events:
        yield event
        if event.name == name:
            return
    raise InvalidAnswerError(f"the stream ended without any {name}")


def _judge(accept: Callable[[JudgedT], None], answer: JudgedT) -> None:
    """A judge that trips over the shape of an answer has found a wrong answer."""
    try:
        accept(answer)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise InvalidAnswerError(f"the answer has another shape: {error!r}") from error


def _check_status(answer: Answer) -> None:
    status = answer.get_code()
    match status // 100:
        case 2:
            return
        case 4:
            kind = ErrorKind.CLIENT
        case 5:
            kind = ErrorKind.SERVER
        case _:
            kind = ErrorKind.INVALID
    raise _FailureError(kind, f"status {status}")
