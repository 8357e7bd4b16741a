"""Requests to the running app."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from operators.toolbox.answer import Answer
from operators.toolbox.bounds import head, one_line, plain
from operators.toolbox.errors import ToolError
from operators.toolbox.instruments import AppRequest
from operators.toolbox.tool import Arguments, Tool, Work

_MAX_BODY_CHARS = 20_000
_MAX_SENT_CHARS = 2_000_000
_MAX_HEADERS = 50
_MAX_HEADER_CHARS = 8_000
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_PATH = re.compile(r"/(?!/)[\x21-\x7e]*")
#: they belong to the connection, which is not the caller's
_NOT_YOURS = {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te"}

#: what may be asked before there is a plan, where one has to be filed
_LOOKS = frozenset({"GET", "HEAD"})

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


class HttpArguments(Arguments):
    """One request."""

    method: Annotated[Method, BeforeValidator(_upper)] = Field(
        description="GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS."
    )
    path: str = Field(
        max_length=8_000,
        description="From / on, with its query, percent-encoded where needed; no host. "
        "Example: /healthz",
    )
    user_id: str | int | None = Field(
        default=None,
        description="The user as whom to ask: sets the header by which the app knows its users. "
        "Left out: as nobody.",
    )
    headers: dict[str, str] | None = Field(
        default=None, max_length=_MAX_HEADERS, description='More headers. Example: {"X-Trace": "1"}'
    )
    body: str | dict[str, Any] | list[Any] | None = Field(
        default=None,
        description="A JSON value, or a text, which is sent as it is. Its type is taken to be "
        "application/json unless headers say otherwise.",
    )
    timeout_s: float = Field(
        default=10.0, gt=0, le=60, description="Seconds to wait for the whole answer: at most 60."
    )

    @field_validator("path")
    @classmethod
    def _path(cls, path: str) -> str:
        if not _PATH.fullmatch(path):
            raise ValueError("it begins with one /, and has neither spaces nor control characters")
        return path

    @field_validator("user_id")
    @classmethod
    def _user(cls, user: str | int | None) -> str | int | None:
        if isinstance(user, str):
            _require_header("user_id", user)
        return user

    @field_validator("headers")
    @classmethod
    def _headers(cls, headers: dict[str, str] | None) -> dict[str, str] | None:
        for name, value in (headers or {}).items():
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"{one_line(name, 60)!r} is no name of a header")
            if name.lower() in _NOT_YOURS:
                raise ValueError(f"{name} belongs to the connection and cannot be set")
            _require_header(name, value)
        return headers

    @field_validator("body")
    @classmethod
    def _body(cls, body: Any) -> Any:
        if len(_as_text(body)) > _MAX_SENT_CHARS:
            raise ValueError(f"it has more than {_MAX_SENT_CHARS} characters")
        return body

    def request(self, *, user_header: str) -> AppRequest:
        headers = dict(self.headers or {})
        given = {name.lower() for name in headers}
        if self.body is not None and "content-type" not in given:
            headers["Content-Type"] = "application/json"
        if self.user_id is not None:
            headers = {
                name: of for name, of in headers.items() if name.lower() != user_header.lower()
            }
            headers[user_header] = str(self.user_id)
        return AppRequest(
            method=self.method,
            path=self.path,
            headers=headers,
            body=_as_text(self.body),
            timeout_s=self.timeout_s,
        )


def _require_header(name: str, value: str) -> None:
    if len(value) > _MAX_HEADER_CHARS or not all(
        char == "\t" or char.isprintable() for char in value
    ):
        raise ValueError(
            f"{name} must be one line of at most {_MAX_HEADER_CHARS} printable characters"
        )


def _as_text(body: Any) -> str:
    if body is None:
        return ""
    return body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, allow_nan=False)


async def _request(work: Work, arguments: HttpArguments) -> Answer:
    if arguments.method not in _LOOKS and not work.may_change():
        raise ToolError(
            f"{arguments.method} is refused until a plan is filed: look with GET and HEAD, file "
            "what you mean to do by file_plan, then call this again"
        )
    request = arguments.request(user_header=work.user_header)
    answered = await work.instruments.app.request(request)
    headers = [
        f"{one_line(name, 100)}: {one_line(value, 500)}"
        for name, value in list(answered.headers.items())[:_MAX_HEADERS]
    ]
    body = head(plain(answered.body), _MAX_BODY_CHARS)
    if answered.size_bytes > len(answered.body.encode(errors="replace")):
        body += f"\n[cut: the body has {answered.size_bytes} bytes]"
    status = f"{answered.status}, {answered.size_bytes} bytes in {answered.duration_s:.3f} s"
    return Answer(text="\n".join((f"HTTP {status}", *headers, "", body)).rstrip("\n"))


HTTP = Tool(
    name="http_request",
    description="""\
Send one HTTP request to the running app, as a client does, and see status, duration, headers and \
body. It is the live service, with live data: a POST really happens.
Limits: 10 s if timeout_s says nothing, 60 at most; of a long body the beginning is shown (about \
20,000 characters); redirects are not followed; only the app can be reached.
Examples: {"method": "GET", "path": "/healthz"}
{"method": "POST", "path": "/things", "user_id": "1", "body": {"title": "x"}}
An answer of 4xx or 5xx is an answer, no failure of the tool. When nothing answers in time, look \
at read_logs and query_metrics: the app may be down or stuck. GET /openapi.json, where the app \
has it, tells which operations there are.""",
    arguments=HttpArguments,
    run=_request,
    needs="instruments",
)
