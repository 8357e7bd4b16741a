"""What an operator's tools reach the world through. Adapters implement these.

Every call may raise `ToolError`, whose message is for the operator and says what to do, or
`PermissionError`, which also means that the boundary was tried and goes on record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from campaign.model import CommandResult

LogSource: TypeAlias = Literal["app", "database"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]


class Shell(Protocol):
    """A shell in the workspace that keeps its folder, variables and background jobs."""

    async def run(self, command: str, *, timeout_s: float) -> CommandResult:
        """Its end, with the last of its output; a command that takes longer ends the shell.

        Raises:
            ToolError: it was ended, with what it printed until then; `restart` gives a new one.
        """

    async def restart(self) -> None:
        """End it with all it started, and begin anew."""


class Shells(Protocol):
    """Where shells come from: one a session, gone with all its processes at the end."""

    def open(self) -> AbstractAsyncContextManager[Shell]: ...

    def open_to_look(self) -> AbstractAsyncContextManager[Shell | None]:
        """One in which nothing can be changed, nor the database reached; None: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRequest:
    """One HTTP request to the app."""

    method: str
    #: with its query, from /
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AppAnswer:
    """What the app answered; a long body is cut, and then `size_bytes` says how long it was."""

    status: int
    headers: Mapping[str, str]
    body: str
    size_bytes: int
    duration_s: float


class App(Protocol):
    """The running app, as a client sees it."""

    async def request(self, request: AppRequest) -> AppAnswer: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What a statement gave; values are what JSON can hold."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    #: there were more rows than asked for
    cut: bool
    #: such as "SELECT 5" or "CREATE INDEX"
    status: str
    duration_s: float


class Database(Protocol):
    """The app's database, as the app's own role."""

    async def query(
        self, sql: str, *, max_rows: int, timeout_s: float, read_only: bool = False
    ) -> Rows:
        """`read_only`: one statement that looks and changes nothing; any other is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One that can be asked for."""

    name: str
    type: str
    help: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series of an answer."""

    labels: Mapping[str, str]
    #: (epoch seconds, value), oldest first; one for an instant query
    points: tuple[tuple[float, float], ...]


class Metrics(Protocol):
    """PromQL, without the series that name a profile or the harness's insides."""

    async def list(self) -> Sequence[Metric]: ...

    async def instant(self, query: str, *, at: float | None) -> Sequence[Series]: ...

    async def range(
        self, query: str, *, start: float, end: float, step_s: float
    ) -> Sequence[Series]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which lines are wanted."""

    source: LogSource = "app"
    #: the last so many that match
    lines: int = 100
    #: this level and above; lines without a level match any
    level: LogLevel | None = None
    contains: str | None = None
    #: epoch seconds
    since: float | None = None
    until: float | None = None


class Logs(Protocol):
    """What the app, and its database about the app, have logged."""

    async def read(self, query: LogQuery) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDeployment:
    """One that was asked for."""

    id: str
    ticket: str
    requested_at: float
    revision: str
    message: str
    #: None while it is under way
    ok: bool | None
    reason: str
    #: what it changed against the revision before, as a unified diff
    diff: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTicket:
    """One that is closed, in words that name no profile."""

    id: str
    opened_at: float
    #: one line each, as the pager put them
    symptoms: tuple[str, ...]
    #: such as "resolved: confirmed from outside" or "not resolved: did not recover: error_rate"
    outcome: str
    #: what the operator said it was
    root_cause: str


class Records(Protocol):
    """What the operator's earlier sessions left: the same for its tools and for its memory."""

    async def tickets(self) -> Sequence[PastTicket]: ...

    async def deployments(self, *, diffs_of: int | None = None) -> Sequence[PastDeployment]:
        """Oldest first. Only the newest `diffs_of` have their diffs, which cost something."""

    async def notes(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruments:
    """All of them; the same for every session of a campaign."""

    shells: Shells
    app: App
    database: Database
    metrics: Metrics
    logs: Logs
    records: Records
