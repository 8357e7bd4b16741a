"""Models that misbehave, each in one way; made for tests of whoever calls the API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tests.fake_messages.model import (
    HttpError,
    Misbehaviour,
    Model,
    Reply,
    Text,
    Thinking,
    ToolUse,
)

Answer: TypeAlias = Reply | Misbehaviour
#: an answer, or what makes one of the request
Step: TypeAlias = Answer | Callable[[dict[str, Any]], Answer]

RATE_LIMITED_FOR_AN_HOUR = HttpError(
    status=429, type="rate_limit_error", message="This request would exceed your rate limit.",
    retry_after_s=3600.0,
)  # fmt: skip
OVERLOADED = HttpError(status=529, type="overloaded_error", message="Overloaded")
SERVER_ERROR = HttpError(status=500, type="api_error", message="Internal server error")
BAD_GATEWAY_PAGE = HttpError(
    status=502, type="", message="", body=b"<html><body>502 Bad Gateway</body></html>"
)
WRONG_PAGE = HttpError(status=200, type="", message="", body=b"<html>Welcome to the proxy</html>")
UNKNOWN_KEY = HttpError(status=401, type="authentication_error", message="invalid x-api-key")
PROMPT_TOO_LONG = HttpError(
    status=400,
    type="invalid_request_error",
    message="prompt is too long: 1200345 tokens > 1000000 maximum",
)
REFUSAL = Reply(
    content=(), stop_reason="refusal", explanation="this looks like an attack on a live service"
)
CONTEXT_FULL = Reply(
    content=(Text(text="The pool is"),), stop_reason="model_context_window_exceeded"
)


def call(tool: str, **arguments: Any) -> Reply:
    """One turn that thinks and calls one tool."""
    return Reply(content=(Thinking(thinking=f"{tool} next"), ToolUse(name=tool, input=arguments)))


def calls(*uses: ToolUse) -> Reply:
    """One turn that calls several at once."""
    return Reply(content=uses)


def says(text: str) -> Reply:
    """One turn that ends without a call."""
    return Reply(content=(Text(text=text),))


RESOLVE = call("resolve", root_cause="the orders table had no index on its user")


@dataclass(kw_only=True)
class Script:
    """Answers in this order; after the last one it repeats that."""

    steps: Sequence[Step]
    asked: int = 0

    def answer(self, request: dict[str, Any]) -> Answer:
        step = self.steps[min(self.asked, len(self.steps) - 1)]
        self.asked += 1
        return step(request) if callable(step) else step


@dataclass(kw_only=True)
class Storm:
    """The first calls fail, then the model behind it is reached; `times` None: for ever."""

    fault: Misbehaviour
    times: int | None = None
    model: Model = field(default_factory=lambda: Script(steps=[RESOLVE]))
    asked: int = 0

    def answer(self, request: dict[str, Any]) -> Answer:
        self.asked += 1
        if self.times is None or self.asked <= self.times:
            return self.fault
        return self.model.answer(request)


class Echo:
    """Says back the last that it was told; calls nothing."""

    def answer(self, request: dict[str, Any]) -> Reply:
        last = request["messages"][-1]["content"]
        if not isinstance(last, str):
            last = " ".join(block["text"] for block in last if block["type"] == "text")
        return says(last[-200:] or "nothing")


class NeverStops:
    """Looks at the ticket again and again."""

    def answer(self, request: dict[str, Any]) -> Reply:
        return call("read_ticket") if request.get("tools") else says("a ticket")


class ResolvesAtOnce:
    """Closes the ticket without having done anything."""

    def answer(self, request: dict[str, Any]) -> Reply:
        if not request.get("tools"):
            return says("a ticket")
        return call("resolve", root_cause="it went away by itself")


class DeploysSyntaxErrors:
    """Breaks a file and deploys it, thrice, whatever comes back; then gives up in words."""

    def __init__(self, *, file: str = "main.py", times: int = 3) -> None:
        self._file = file
        self._times = times

    def answer(self, request: dict[str, Any]) -> Reply:
        deployed = _calls_so_far(request, "deploy")
        if deployed >= self._times:
            return says("I cannot get this deployed.")
        if _calls_so_far(request, "bash") <= deployed:
            broken = f"printf 'def broken(:\\n' >> {self._file}"
            return call("bash", command=broken)
        return call("deploy", message=f"attempt {deployed + 1}")


def _calls_so_far(request: dict[str, Any], tool: str) -> int:
    return sum(
        block.get("type") == "tool_use" and block["name"].rpartition("__")[2] == tool
        for message in request["messages"]
        if isinstance(message["content"], list)
        for block in message["content"]
    )
