"""What a command-line agent is run by. `campaign.adapters.agents` implements it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from operators.command.adapter import AgentAdapter
from operators.command.records import Tokens


class RunnerError(Exception):
    """The agent cannot be started; the message says what to do, and names no secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things are, as the agent sees them."""

    #: of the MCP server with the session's tools (streamable HTTP)
    tools_url: str
    #: instead of the model's API
    model_url: str
    #: its home folder, without a slash at the end
    home: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One run of the agent, all filled in."""

    #: without the program itself
    arguments: tuple[str, ...]
    stdin: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    #: path below its home -> content
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiAnswer:
    """One answer of the model's API, as it went by."""

    #: HTTP status; 0: it could not be reached, or broke off
    status: int
    #: the answer's own id; empty: there was none
    message: str = ""
    model: str = ""
    #: the model has answered, to its end
    is_turn: bool = False
    #: None: unknown, such as when the protocol is not one that is counted
    tokens: Tokens | None = None
    #: from the request to the last byte, seconds
    latency_s: float = 0.0
    stop_reason: str = ""
    #: of an error, in the API's words
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What is to be run, and whom it is told to."""

    adapter: AgentAdapter
    #: the places are known only when the agent's room is ready
    fill: Callable[[Places], Invocation]
    #: serves the tools at a Unix socket that listens already, as long as it is entered
    serve_tools: Callable[[socket.socket], AbstractAsyncContextManager[None]]
    #: asked before each call of the model: why it may not be made; empty: it may
    may_not_call: Callable[[], str]
    answered: Callable[[ApiAnswer], None]
    #: told what else is to be known of calls of the model: one that was not let through, and why
    noted: Callable[[str], None]
    #: instead of the adapter's own
    base_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How the agent's process ended."""

    #: negative: the signal that ended it
    code: int
    #: the end of what it wrote there, without secrets
    stderr: str = ""


class AgentProcess(Protocol):
    """An agent that runs."""

    async def line(self) -> str | None:
        """The next line of its standard output; None: no more come.

        A line that is too long is cut, so that it is no JSON any more.
        """

    async def end(self, *, patience_s: float = 0.0) -> Exit:
        """How it ended; what still runs of it after so long is killed, with all its children."""


class AgentRunner(Protocol):
    """Starts agents where they reach nothing but their tools and the model's API."""

    def run(self, launch: Launch) -> AbstractAsyncContextManager[AgentProcess]:
        """An agent while the block lasts; nothing of it is left afterwards.

        Raises:
            RunnerError: on entering: it is not installed, there is no sandbox, no key …
        """
