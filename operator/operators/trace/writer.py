"""Writes a session's trace: a line for each thing that happens, the document at its end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from operators.toolbox.answer import Answer
from operators.toolbox.seen_through import seen_through
from operators.trace.classify import tool_class
from operators.trace.cleaning import Cleaner
from operators.trace.cost import NoPrices, Pricing
from operators.trace.document import (
    AssistantText,
    Thinking,
    ToolClass,
    ToolResult,
    ToolUse,
    Trace,
    UserMessage,
    as_document,
)
from operators.trace.lines import (
    BrokenLine,
    EndLine,
    Line,
    RemarkLine,
    SessionLine,
    TraceError,
    TurnLine,
    read_trace,
    written,
)
from operators.trace.recorder import TurnUsage

_SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,100}")
_NAME_CHARS = 200
#: of one session; an operator's flood of words must not fill the disk
_MAX_BYTES = 64 << 20
_FULL = f"the trace is full ({_MAX_BYTES >> 20} MiB): what follows is left out, but for the usage"

log = structlog.get_logger(__name__)


class TraceLostError(Exception):
    """What a session does cannot be kept: the disk is full, for instance. Nobody's fault who works.

    No OSError, so that nobody takes it for one of his own.
    """


class TraceWriter:
    """A `Recorder` of one session: `<folder>/<session_id>.jsonl`, and `.json` once it is closed.

    Known trade-off (accepted): a line is with the system when a call returns, not on the platter.
    It outlives this process, not a loss of power.
    """

    def __init__(
        self,
        folder: Path,
        *,
        session_id: str,
        source: str,
        clock: Callable[[], float] = time.time,
        redact: Collection[str] = (),
        prices: Pricing | None = None,
    ) -> None:
        """Begin; what an earlier process left under this name is kept under another.

        Args:
            folder: of the campaign's traces; made if it is not there.
            session_id: such as `T003-s1`.
            source: which kind of operator it is.
            clock: epoch seconds.
            redact: secrets that must not be in any file.
            prices: what turns cost whose provider does not say so.

        Raises:
            ValueError: that cannot be a file's name.
            TraceLostError: the file cannot be written; so do all methods that write.
        """
        if not _SESSION_ID.fullmatch(session_id):
            raise ValueError(f"{session_id!r} cannot be a session's name")
        self._clock = clock
        self._clean = Cleaner(redact)
        self._prices = prices or NoPrices()
        self._events = 0
        self._model: str | None = None
        self._deployed = False
        self._closed = False
        self._lost = ""
        self._size = 0
        self._full = False
        #: the classes of calls that have no result yet, by their id
        self._classes: dict[str, ToolClass] = {}
        self.path = folder / f"{session_id}.jsonl"
        self.document_path = folder / f"{session_id}.json"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _set_aside(self.path)
            # For this user alone: the app and the operator's tools run as others.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._file = os.open(self.path, flags, 0o600)
        except OSError as problem:
            raise TraceLostError(_lost(self.path, problem)) from problem
        self._write(SessionLine(source=source, session_id=session_id, timestamp=self._now()))

    def user_message(self, text: str) -> None:
        clean = self._clean.text(text)
        self._event(UserMessage, content=clean.text, cut_chars=clean.cut_chars)

    def thinking(self, text: str, *, model: str) -> None:
        clean = self._clean.text(text)
        self._model = self._name(model)
        self._event(Thinking, model=self._model, content=clean.text, cut_chars=clean.cut_chars)

    def assistant_text(self, text: str, *, model: str) -> None:
        clean = self._clean.text(text)
        self._model = self._name(model)
        self._event(AssistantText, model=self._model, content=clean.text, cut_chars=clean.cut_chars)

    def tool_use(self, call: str, tool: str, arguments: Mapping[str, Any]) -> None:
        clean = self._clean.arguments(arguments)
        kind = tool_class(tool, arguments, deployed=self._deployed)
        self._classes[call] = kind
        self._event(
            ToolUse,
            model=self._model,
            name=self._name(tool),
            tool_use_id=self._name(call),
            input=clean.arguments,
            tool_class=kind,
            cut_chars=clean.cut_chars,
        )

    def tool_result(self, call: str, tool: str, answer: Answer, *, duration_s: float) -> None:
        text = self._clean.text(answer.text)
        diff = self._clean.text(answer.diff)
        cut = (text.cut_chars or 0) + (diff.cut_chars or 0)
        self._event(
            ToolResult,
            tool_use_id=self._name(call),
            tool_name=self._name(tool),
            is_error=answer.is_error,
            content=text.text,
            duration_ms=round(duration_s * 1000, 3),
            exit_code=answer.exit_code,
            diff=diff.text or None,
            cut_chars=cut or None,
        )
        kind = self._classes.pop(call, ToolClass.OTHER)
        if kind is ToolClass.DEPLOY and not answer.is_error:
            self._deployed = True
        elif answer.diff or (kind is ToolClass.EDIT and not answer.is_error):
            self._deployed = False

    def turn(self, usage: TurnUsage) -> None:
        """One answer of the model is complete."""
        self._usage(TurnLine, usage)

    def broken_off(self, usage: TurnUsage) -> None:
        """One that will never be complete."""
        self._usage(BrokenLine, usage)

    def remark(self, text: str) -> None:
        """Something that is no event of schema "2"."""
        clean = self._clean.text(text).text
        self._write(RemarkLine(timestamp=self._now(), after_event=self._last(), text=clean))

    def document(self) -> Trace:
        """The document so far."""
        return read_trace(self.path)

    def close(self) -> None:
        """The session is over: write the document. More than once is no harm.

        Without the document nothing is lost: it can be made from the lines at any time.
        """
        if self._end():
            self._keep_document()

    async def aclose(self) -> None:
        """The same; putting a long trace together takes seconds, in which others go on."""
        if self._end():
            await seen_through(asyncio.to_thread(self._keep_document))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except TraceLostError as lost:
            self._after(problem, lost)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self.aclose()
        except TraceLostError as lost:
            self._after(problem, lost)

    # -- how ------------------------------------------------------------------------------------

    def _end(self) -> bool:
        """Whether it was still open."""
        if self._closed:
            return False
        try:
            self._write(EndLine(timestamp=self._now()))
        finally:
            self._closed = True
            os.close(self._file)
        return True

    def _keep_document(self) -> None:
        try:
            self._write_document()
        except (OSError, TraceError) as problem:
            log.warning("trace_document_not_written", trace=self.path.name, reason=str(problem))

    def _after(self, problem: BaseException | None, lost: TraceLostError) -> None:
        """What went wrong first is what is told."""
        if problem is None:
            raise lost
        log.warning("trace_lost", trace=self.path.name, reason=str(lost))

    def _event(
        self,
        kind: type[UserMessage | Thinking | AssistantText | ToolUse | ToolResult],
        **fields: Any,
    ) -> None:
        if self._full:
            return
        self._events += 1
        self._write(kind(id=f"evt-{self._events}", timestamp=self._now(), **fields))

    def _usage(self, kind: type[TurnLine | BrokenLine], usage: TurnUsage) -> None:
        cost = self._prices.cost(usage)
        self._model = self._name(usage.model) or self._model
        self._write(
            kind(
                timestamp=self._now(),
                after_event=self._last(),
                model=self._name(usage.model),
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cache_read_tokens=usage.cache_read_tokens,
                cache_creation_5m_tokens=usage.cache_creation_5m_tokens,
                cache_creation_1h_tokens=usage.cache_creation_1h_tokens,
                latency_ms=None if usage.latency_s is None else round(usage.latency_s * 1000, 3),
                cost_usd=cost.usd,
                pricing_source=cost.source,
                stop_reason=self._name(usage.stop_reason) or None,
            )
        )

    def _last(self) -> str | None:
        return f"evt-{self._events}" if self._events else None

    def _write(self, line: Line) -> None:
        """A session that was cancelled may still have a call under way: it comes too late."""
        if self._closed:
            return
        if self._lost:
            raise TraceLostError(self._lost)
        if self._full and not isinstance(line, TurnLine | BrokenLine | EndLine):
            return
        self._append(line)
        if self._size > _MAX_BYTES and not self._full:
            self._full = True
            self._append(RemarkLine(timestamp=self._now(), after_event=self._last(), text=_FULL))

    def _append(self, line: Line) -> None:
        data = memoryview(written(line))
        self._size += len(data)
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as problem:
            # Whatever came after half a line would be lost with it.
            self._lost = _lost(self.path, problem)
            raise TraceLostError(self._lost) from problem

    def _write_document(self) -> None:
        draft = self.document_path.with_suffix(".json.new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(as_document(self.document()), indent=2) + "\n")
        draft.replace(self.document_path)

    def _now(self) -> str:
        return iso(self._clock())

    def _name(self, text: str) -> str:
        return self._clean.text(text, limit=_NAME_CHARS).text


def _lost(path: Path, problem: OSError) -> str:
    return f"{path.name} cannot be written: {problem.strerror}"


def iso(at: float) -> str:
    """Epoch seconds as ISO 8601, UTC, milliseconds."""
    moment = datetime.fromtimestamp(at, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _set_aside(path: Path) -> None:
    if not path.exists():
        return
    number = 1
    while (aside := path.with_name(f"{path.stem}.{number}.jsonl")).exists():
        number += 1
    path.rename(aside)
