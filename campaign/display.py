"""What a running campaign looks like: a live picture on a terminal, plain lines elsewhere.

A display is an observer of the shell and a context manager:

    with display_for(sys.stdout) as display:
        await Shell(ports, observers=(display,)).run(plan)
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from campaign.display_lines import describe
from campaign.display_view import draw
from campaign.machine import Campaign
from campaign.model import Event

__all__ = ["Display", "LiveDisplay", "PlainDisplay", "describe", "display_for", "draw"]

#: a reader's eye needs no more, and drawing costs a few milliseconds
_REFRESHES_PER_S = 2
_LINES_KEPT = 8


class Display(Protocol):
    """An observer that shows what it sees, from `__enter__` to `__exit__`."""

    def __call__(self, before: Campaign | None, event: Event, after: Campaign) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def display_for(stream: TextIO) -> Display:
    """Live when `stream` is a terminal that can be redrawn, one line per happening otherwise."""
    console = Console(file=stream)
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveDisplay(console)
    return PlainDisplay(stream)


class PlainDisplay:
    """One line per happening, flushed at once: for logs, pipes and CI."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.flush()

    def __call__(self, before: Campaign | None, event: Event, after: Campaign) -> None:
        line = describe(before, event, after)
        if line is not None:
            self._stream.write(f"{line}\n")
            self._stream.flush()


class LiveDisplay:
    """The whole state, redrawn in place by rich's own thread.

    Events only swap in the newest (immutable) state; a slow terminal never holds up the campaign.
    """

    def __init__(self, console: Console, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._campaign: Campaign | None = None
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._live = Live(
            console=console,
            get_renderable=self._render,
            refresh_per_second=_REFRESHES_PER_S,
            vertical_overflow="crop",
            redirect_stdout=console.file is sys.stdout,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def __call__(self, before: Campaign | None, event: Event, after: Campaign) -> None:
        line = describe(before, event, after)
        if line is not None:
            self._lines.append(line)
        self._campaign = after

    def _render(self) -> RenderableType:
        campaign = self._campaign
        if campaign is None:
            return Text("starting …", style="dim")
        return draw(campaign, list(self._lines), now=self._now())
