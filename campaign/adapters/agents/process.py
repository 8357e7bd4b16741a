"""An agent's process: its lines as they come, and its end."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from operators.command import Exit

from campaign.adapters.agents.tree import ProcessTree

_CHUNK = 1 << 16
#: a longer line is cut there
_MAX_LINE_BYTES = 16 << 20
#: so much of the end of its standard error is kept
_STDERR_BYTES = 8 << 10
#: after its process has ended, its pipes are at their end as well, unless somebody holds them
_DRAIN_S = 2.0

#: what looks like a key of one of the providers
_KEY = re.compile(r"\b(?:sk|AIza|ghp|gho|xai)[-_A-Za-z0-9]{16,}")


class Process:
    """Implements `AgentProcess`."""

    def __init__(
        self,
        child: asyncio.subprocess.Process,
        *,
        secrets: Sequence[str],
    ) -> None:
        self._child = child
        self._secrets = secrets
        self._tree = ProcessTree.of(child.pid)
        self._lines: deque[str] = deque()
        self._partial = bytearray()
        self._exit: Exit | None = None
        self._stderr = bytearray()
        self._listening = asyncio.create_task(self._listen(), name="agent-stderr")

    async def line(self) -> str | None:
        """The next one, without its end; None: no more come."""
        stdout = self._child.stdout
        while not self._lines:
            chunk = b"" if stdout is None else await stdout.read(_CHUNK)
            if not chunk:
                return self._rest()
            *ended, rest = chunk.split(b"\n")
            for part in ended:
                self._keep(part)
                self._lines.append(self._whole())
            self._keep(rest)
        return self._lines.popleft()

    async def end(self, *, patience_s: float = 0.0) -> Exit:
        """Wait so long for it to end by itself, then kill it and all that it started; once."""
        if self._exit is None:
            self._exit = await self._end(patience_s)
        return self._exit

    async def _end(self, patience_s: float) -> Exit:
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._child.wait()
        self._tree.kill()
        code = await self._child.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                await asyncio.shield(self._listening)
        self._listening.cancel()
        return Exit(code=code, stderr=self._redacted(self._stderr.decode(errors="replace")))

    def _keep(self, part: bytes) -> None:
        room = _MAX_LINE_BYTES - len(self._partial)
        self._partial += part[:room]

    def _whole(self) -> str:
        line = self._partial.decode(errors="replace")
        self._partial.clear()
        return line

    def _rest(self) -> str | None:
        """What came after the last end of a line."""
        return self._whole() if self._partial else None

    async def _listen(self) -> None:
        stderr = self._child.stderr
        while stderr is not None and (chunk := await stderr.read(_CHUNK)):
            self._stderr += chunk
            del self._stderr[:-_STDERR_BYTES]

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        return _KEY.sub("[key]", text).strip()
