"""A service in trouble as tools show it: its real source, and all else as it was once recorded.

Files are searched, read and edited by the toolbox's own tools in a copy of the service; a
deployment takes the copy as it is, and the fault is over when what was deployed says so.
"""

from __future__ import annotations

import ast
import contextlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from operators.toolbox import inside
from operators.toolbox.equipment import Equipment
from operators.toolbox.errors import ToolError
from operators.toolbox.instruments import (
    AppAnswer,
    AppRequest,
    Database,
    Instruments,
    LogQuery,
    Metric,
    Rows,
    Series,
)
from operators.toolbox.toolbox import Toolbox

from campaign.model import (
    Assignment,
    Budget,
    CommandResult,
    DeploymentOutcome,
    Event,
    OperatorOptions,
    Symptom,
    Ticket,
    TicketResolved,
)
from tests.fake_messages.model import Model, Reply, Text, Thinking, ToolUse

APP = Path(__file__).parents[1] / "target_apps" / "chat_db_app"
_TURNS = 80


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong, as it shows."""

    symptom: Symptom
    #: over when what was deployed satisfies it
    mended: Callable[[Mapping[str, str]], bool]
    app_log: tuple[str, ...] = ()
    #: statements with the calls and milliseconds that each look adds to them
    statements: tuple[tuple[str, int, float], ...] = ()
    #: rows of the session query while it lasts
    sessions: tuple[dict[str, Any], ...] = ()
    #: a plan's lines: while it lasts, and afterwards
    plans: tuple[str, str] = ("", "")
    #: table name: what is known of it
    tables: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    #: connections are refused for so many questions at first
    refusals: int = 0
    #: 95th percentile of the affected, seconds: while it lasts, and afterwards
    p95_s: tuple[float, float] = (2.0, 0.01)
    failing: tuple[float, float] = (0.0, 0.0)


@dataclass(kw_only=True)
class Ward:
    """The service, its instruments, and whoever works on it."""

    fault: Fault
    folder: Path
    #: tools whose results come back empty
    blank: frozenset[str] = frozenset()
    #: tool and result: what the model gets instead
    garbled: Callable[[str, str], str] | None = None
    #: the database gives no answer to the second question, and to each fifth after it
    hiccups: bool = False
    #: instead of the recorded one
    database: Database | None = None
    events: list[Event] = field(default_factory=list)
    deployed: list[dict[str, str]] = field(default_factory=list)
    mended: bool = False
    messages: list[dict[str, Any]] = field(default_factory=list)
    _looks: int = 0
    _asked: int = 0
    _at: float = 1_000_000.0

    @classmethod
    def of(cls, fault: Fault, folder: Path, **changes: Any) -> Ward:
        copy = folder / "app"
        shutil.copytree(APP, copy, ignore=shutil.ignore_patterns("__pycache__"))
        return cls(fault=fault, folder=copy, **changes)

    # -- the conversation -----------------------------------------------------------------------

    @property
    def resolved(self) -> TicketResolved | None:
        return next((of for of in self.events if isinstance(of, TicketResolved)), None)

    @property
    def last_words(self) -> str:
        blocks = self.messages[-1]["content"]
        return " ".join(block["text"] for block in blocks if block["type"] == "text")

    def calls(self, tool: str) -> list[dict[str, Any]]:
        return [
            block["input"]
            for message in self.messages
            if message["role"] == "assistant"
            for block in message["content"]
            if block["type"] == "tool_use" and block["name"].endswith(tool)
        ]

    def request(self, toolbox: Toolbox, *, prefix: str = "") -> dict[str, Any]:
        tools = [
            {
                "name": prefix + tool.name,
                "description": tool.description,
                "input_schema": dict(tool.parameters),
            }
            for tool in toolbox.specs
        ]
        return {
            "model": "any",
            "max_tokens": 8_000,
            "thinking": {"type": "adaptive"},
            "tools": tools,
            "messages": self.messages,
        }

    async def work(self, model: Model, *, prefix: str = "", plan_mode: bool = False) -> None:
        """Until the model ends its turn or has resolved the ticket."""
        toolbox = self.toolbox(plan_mode=plan_mode)
        self.messages = [{"role": "user", "content": "You are on call; see the ticket."}]
        for _ in range(_TURNS):
            said = model.answer(json.loads(json.dumps(self.request(toolbox, prefix=prefix))))
            assert isinstance(said, Reply)
            turn = len(self.messages)
            content = [_block(block, turn, at) for at, block in enumerate(said.content)]
            self.messages.append({"role": "assistant", "content": content})
            uses = [block for block in content if block["type"] == "tool_use"]
            if not uses:
                return
            results = [await self._result(toolbox, use, prefix) for use in uses]
            self.messages.append({"role": "user", "content": results})
            if self.resolved is not None:
                return
        raise AssertionError("it never stops")

    async def _result(self, toolbox: Toolbox, use: dict[str, Any], prefix: str) -> dict[str, Any]:
        name = use["name"].removeprefix(prefix)
        answer = await toolbox.call(name, use["input"])
        text = "" if name in self.blank else answer.text
        if self.garbled is not None:
            text = self.garbled(name, text)
        return {
            "type": "tool_result",
            "tool_use_id": use["id"],
            "content": [{"type": "text", "text": text}] if text else [],
            "is_error": answer.is_error,
        }

    def toolbox(self, *, plan_mode: bool = False) -> Toolbox:
        ticket = Ticket(
            id="T001", opened_at=self._at, symptoms=(self.fault.symptom,), offered_hz=90, users=20
        )
        return Toolbox(
            Equipment(sandbox=self, workspace=self, deployer=self),
            Assignment(trial=1, ticket=ticket, session=1, budget=Budget()),
            self,
            instruments=Instruments(
                shells=Absent(),
                app=_App(),
                database=self.database or _Database(ward=self),
                metrics=_Metrics(ward=self),
                logs=_Logs(ward=self),
                records=Absent(),
            ),
            options=OperatorOptions(plan_mode=plan_mode),
            shell=_Shell(),
        )

    # -- what tools work with -------------------------------------------------------------------

    async def record(self, event: Event) -> None:
        self.events.append(event)

    def now(self) -> float:
        return self._at

    async def run(self, argv: tuple[str, ...], *, stdin: bytes = b"") -> CommandResult:
        """The files' script, without a process of its own: there are many calls."""
        assert argv[:2] == ("python3", "-I")
        with contextlib.chdir(self.folder):
            answered = inside.answer(json.loads(stdin))
        return CommandResult(exit_code=0, output=json.dumps(answered))

    async def commit(self, message: str, *, at: float) -> str:
        assert message
        assert at
        return "0123456789abcdef" * 2 + "01234567"

    async def adopt(self, revision: str) -> None:
        assert revision

    async def export(self, revision: str) -> Path:
        assert revision
        return self.folder

    async def present_tree(self) -> str:
        return "the same"

    async def diff(self, before: str, after: str) -> str:
        assert before == after
        return ""

    async def running(self) -> str:
        return "the same"

    async def deploy(self, deployment: str, revision: str, source: Path) -> DeploymentOutcome:
        assert deployment
        assert revision
        files = _python_files(source)
        for text in files.values():
            ast.parse(text)
        self.deployed.append(files)
        self.mended = self.fault.mended(files)
        return DeploymentOutcome(
            ok=True, reason="", duration_s=2.0, drained_first=False, source_hash="f00"
        )


@dataclass(frozen=True, kw_only=True)
class _App:
    async def request(self, request: AppRequest) -> AppAnswer:
        assert request.path == "/healthz"
        return AppAnswer(
            status=200, headers={}, body='{"status": "ok"}', size_bytes=16, duration_s=0.01
        )


class Absent:
    """What nobody is to use."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


@dataclass(frozen=True, kw_only=True)
class _Shell:
    async def run(self, command: str, *, timeout_s: float) -> CommandResult:
        assert command.startswith("sleep ")
        assert timeout_s
        return CommandResult(exit_code=0, output="")

    async def restart(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class _Logs:
    ward: Ward

    async def read(self, query: LogQuery) -> Sequence[str]:
        return () if query.source == "database" else self.ward.fault.app_log


@dataclass(frozen=True, kw_only=True)
class _Metrics:
    ward: Ward

    async def list(self) -> Sequence[Metric]:
        labels = ("behaviour", "operation")
        return (
            _metric("db_pool_size", "gauge"),
            _metric("http_request_duration_seconds", "histogram", "route", "method"),
            _metric("loadgen_request_duration_seconds", "histogram", *labels),
            _metric("loadgen_request_errors_total", "counter", *labels, "kind"),
            _metric("ALERTS", "gauge", "alertname", "alertstate", "invariant"),
            _metric("ratchet:invariant_limit", "gauge", "invariant"),
            _metric("ratchet_database_max_connections", "gauge"),
        )

    async def instant(self, query: str, *, at: float | None) -> Sequence[Series]:
        assert at is None
        fault, after = self.ward.fault, int(self.ward.mended)
        if "ALERTS" in query:
            violated = 0 if self.ward.mended else 1
            return tuple(
                _series({"invariant": name}, value)
                for name, value in {"broken": violated, "sound": 0}.items()
            )
        if "max_connections" in query:
            return (_series({}, 100),)
        if "errors_total" in query:
            return (_series({}, fault.failing[after]),)
        slow = dict.fromkeys(fault.symptom.operations, fault.p95_s[after])
        return tuple(
            _series({"operation": name}, value)
            for name, value in {"get_conversation": 0.02, "stream_reply": 1.3, **slow}.items()
        )

    async def range(
        self, query: str, *, start: float, end: float, step_s: float
    ) -> Sequence[Series]:
        raise AssertionError((query, start, end, step_s))


@dataclass(frozen=True, kw_only=True)
class _Database:
    """Knows the questions of a good engineer by what they ask for."""

    ward: Ward

    async def query(
        self, sql: str, *, max_rows: int, timeout_s: float, read_only: bool = False
    ) -> Rows:
        assert max_rows
        assert timeout_s
        assert isinstance(read_only, bool)
        ward, fault = self.ward, self.ward.fault
        ward._asked += 1
        if not ward.mended and ward._asked <= fault.refusals:
            raise ToolError(
                "no connection can be had: remaining connection slots are reserved for "
                "non-replication superuser connections"
            )
        if ward.hiccups and ward._asked % 5 == 2:
            raise ToolError("the database gives no answer: it is too busy to accept a connection")
        if sql.startswith("SELECT pg_sleep"):
            return _rows("pg_sleep", [""])
        if sql.startswith("EXPLAIN "):
            return _rows("QUERY PLAN", fault.plans[int(ward.mended)].splitlines())
        if "pg_stat_statements" in sql:
            ward._looks += 1
            return _json(
                {"id": str(at), "calls": calls * ward._looks, "total_ms": ms * ward._looks}
                | {"query": query}
                for at, (query, calls, ms) in enumerate(fault.statements)
            )
        if "pg_blocking_pids" in sql:
            return _json(() if ward.mended else fault.sessions)
        if "'max_connections'" in sql:
            held = 20 if ward.mended or not fault.refusals else 97
            return _json([{"max_connections": 100, "ours": held, "room": held <= 50}])
        if "'holding'" in sql:
            return _json([{"holding": bool(fault.sessions) and not ward.mended}])
        if "pg_available_extensions" in sql:
            return _json([{"extension": "pg_trgm", "installed": False, "may_create": True}])
        tables = (of for name, of in fault.tables.items() if f"'{name}'::regclass" in sql)
        return _json(tables)


def _python_files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.py")}


def _metric(name: str, kind: str, *labels: str) -> Metric:
    return Metric(name=name, type=kind, help="", labels=("job", *labels))


def _series(labels: dict[str, str], value: float) -> Series:
    return Series(labels=labels, points=((0.0, float(value)),))


def _rows(column: str, values: Sequence[str]) -> Rows:
    rows = tuple((value,) for value in values)
    return Rows(columns=(column,), rows=rows, cut=False, status="SELECT", duration_s=0.01)


def _json(values: Any) -> Rows:
    return _rows("row", [json.dumps(value) for value in values])


def _block(block: Text | Thinking | ToolUse, turn: int, at: int) -> dict[str, Any]:
    match block:
        case Text():
            return {"type": "text", "text": block.text}
        case Thinking():
            return {"type": "thinking", "thinking": block.thinking, "signature": "s"}
    assert isinstance(block.input, Mapping)
    return {
        "type": "tool_use",
        "id": f"toolu_{turn}_{at}",
        "name": block.name,
        "input": dict(block.input),
    }
