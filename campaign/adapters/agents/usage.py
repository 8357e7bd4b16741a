"""Tokens of an answer of the Messages API, read while it goes by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from operators.command import Tokens

#: no line of a stream, and no answer that is not streamed, is longer; what is, is not counted
_MAX_BYTES = 8 << 20

#: of an answer that broke off; English has a little more, code a little less
_CHARS_PER_TOKEN = 4

#: errors that come in a stream which began well -> the status they stand for
_STATUS = {
    "authentication_error": 401,
    "permission_error": 403,
    "rate_limit_error": 429,
    "overloaded_error": 529,
}


@dataclass(kw_only=True)
class UsageReader:
    """Fed with the bytes of one answer, however they are cut."""

    streamed: bool
    message: str = ""
    model: str = ""
    stop_reason: str = ""
    error: str = ""
    #: instead of the answer's own, when an error came in its stream
    error_status: int | None = None
    #: it said itself that this is all
    complete: bool = False
    #: it is the answer to how many tokens a request would have, not the model's
    is_a_count: bool = False
    #: of what the model wrote, as it went by
    _written: int = 0
    _usage: dict[str, Any] = field(default_factory=dict)
    _buffer: bytearray = field(default_factory=bytearray)
    _overlong: bool = False

    def feed(self, chunk: bytes) -> None:
        self._buffer += chunk
        if self.streamed:
            *lines, rest = self._buffer.split(b"\n")
            self._buffer = rest
            for line in lines:
                if line.startswith(b"data:"):
                    self._read(line[5:])
        if len(self._buffer) > _MAX_BYTES:
            self._buffer.clear()
            self._overlong = True

    def close(self) -> None:
        if not self.streamed and not self._overlong:
            self._read(self._buffer)
        self._buffer.clear()

    @property
    def tokens(self) -> Tokens | None:
        """None: it said nothing of them. What broke off is counted by what was written by then."""
        if not self._usage:
            return None
        output = _count(self._usage.get("output_tokens"))
        if not self.complete:
            output = max(output, self._written // _CHARS_PER_TOKEN)
        hour = _count(_object(self._usage.get("cache_creation")).get("ephemeral_1h_input_tokens"))
        created = _count(self._usage.get("cache_creation_input_tokens"))
        return Tokens(
            input=_count(self._usage.get("input_tokens")),
            output=output,
            cache_read=_count(self._usage.get("cache_read_input_tokens")),
            cache_creation_5m=max(0, created - hour),
            cache_creation_1h=hour,
        )

    def _read(self, text: bytes | bytearray) -> None:
        try:
            content = _object(json.loads(text))
        except (ValueError, RecursionError):
            return
        self.is_a_count = "type" not in content and "input_tokens" in content
        match content.get("type"):
            case "message_start":
                self._message(_object(content.get("message")))
            case "message":
                self._message(content)
                self.complete = True
            case "content_block_delta":
                delta = _object(content.get("delta"))
                self._written += sum(len(each) for each in delta.values() if isinstance(each, str))
            case "message_delta":
                self._counted(content.get("usage"))
                self._stopped(_object(content.get("delta")))
            case "message_stop":
                self.complete = True
            case "error":
                self._failed(_object(content.get("error")))
            case _:
                pass

    def _message(self, content: Mapping[str, Any]) -> None:
        self.message = str(content.get("id") or "")
        self.model = str(content.get("model") or "")
        self._counted(content.get("usage"))
        self._stopped(content)

    def _counted(self, usage: Any) -> None:
        """Later counts are of the whole answer so far, and replace the earlier ones."""
        self._usage |= {key: value for key, value in _object(usage).items() if value is not None}

    def _stopped(self, content: Mapping[str, Any]) -> None:
        self.stop_reason = str(content.get("stop_reason") or self.stop_reason)

    def _failed(self, error: Mapping[str, Any]) -> None:
        self.error = str(error.get("message") or error.get("type") or "an error")
        if self.streamed:
            self.error_status = _STATUS.get(str(error.get("type")), 500)


def _object(content: Any) -> Mapping[str, Any]:
    return content if isinstance(content, dict) else {}


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
