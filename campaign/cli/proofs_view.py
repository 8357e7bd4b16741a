"""What a verification looks like: a table that fills in on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from textwrap import shorten
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from campaign.verification import Experiment, Finding, Measured, Proof, Proofs, Purpose

_REFRESHES_PER_S = 2
#: one column each, in the order of play
_COLUMNS = {
    Purpose.RED: "red",
    Purpose.GREEN: "green",
    Purpose.OTHERS: "others",
    Purpose.UNMASKED: "unmasked",
    Purpose.ALL_FIXES: "all fixes",
    Purpose.HACK: "hacks",
}
#: so much of a problem fits beside the table
_PROBLEM_WIDTH = 60
#: and so much of what caught a hack in a line of its own; the evidence has it whole
_CATCH_CHARS = 160


class ProofsView(Protocol):
    """Shown from `__enter__` to `__exit__`."""

    def begin(self, experiment: Experiment) -> None: ...

    def found(self, findings: Iterable[Finding]) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def view_for(stream: TextIO, proofs: Proofs) -> ProofsView:
    """Live when `stream` is a terminal that can be redrawn, a line for each finding otherwise."""
    console = Console(file=stream, highlight=False)
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveView(console, proofs)
    return PlainView(stream)


class PlainView:
    """One line a finding, flushed at once: for logs, pipes and CI."""

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

    def begin(self, experiment: Experiment) -> None:
        """A line is told when it is over."""

    def found(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self._stream.write(f"{line(finding)}\n")
        self._stream.flush()


class LiveView:
    """One row a profile, redrawn in place."""

    def __init__(self, console: Console, proofs: Proofs) -> None:
        self._proofs = proofs
        self._now: Experiment | None = None
        self._live = Live(
            console=console,
            get_renderable=self._render,
            refresh_per_second=_REFRESHES_PER_S,
            vertical_overflow="visible",
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
        self._now = None
        self._live.stop()

    def begin(self, experiment: Experiment) -> None:
        self._now = experiment

    def found(self, findings: Iterable[Finding]) -> None:
        """The proofs know already; the next picture shows it."""

    def _render(self) -> Table:
        return table(self._proofs.all, now=self._now)


def line(finding: Finding) -> str:
    """One finding, such as `missing_index red 1: history_latency 0.93 > 0.05  (21 s)`."""
    again = " (second try)" if finding.attempt > 1 else ""
    told = finding.problem or _shown(finding)
    mark = "NOT PROVEN: " if finding.problem else ""
    return f"{finding.profile} {finding.name}{again}: {mark}{told}  ({finding.duration_s:.0f} s)"


def _shown(finding: Finding) -> str:
    if finding.caught is not None:
        what = shorten(finding.caught.what, _CATCH_CHARS, placeholder=" …")
        return f"caught by {finding.caught.by}: {what}"
    return ", ".join(_value(one) for one in finding.measured)


def _value(measured: Measured) -> str:
    """The value against its limit; where it is held, the room that is left."""
    if measured.value is None:
        return f"{measured.invariant} was not measured"
    if measured.broken:
        return f"{measured.invariant} {measured.value:.3g} > {measured.limit:g}"
    return f"{measured.invariant} {measured.value:.3g}, margin {margin_text(measured.margin)}"


def margin_text(margin: float | None) -> str:
    """Such as `12x`; `all` where nothing at all was seen."""
    if margin is None:
        return "unknown"
    return "all" if math.isinf(margin) else f"{margin:.3g}x"


def table(proofs: Iterable[Proof], *, now: Experiment | None = None) -> Table:
    """One row a profile: a mark for each run that was found to be as it should (or not)."""
    drawn = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("profile", *_COLUMNS.values(), "", "problem"):
        drawn.add_column(heading, no_wrap=heading != "problem")
    for proof in proofs:
        cells = (_cell(proof, purpose, now) for purpose in _COLUMNS)
        drawn.add_row(proof.profile, *cells, _state(proof), _problem(proof))
    return drawn


def _cell(proof: Proof, purpose: Purpose, now: Experiment | None) -> Text:
    cell = Text()
    for finding in proof.of(purpose):
        cell.append("✗" if finding.problem else "✓", "red" if finding.problem else "green")
    if now is not None and now.profile.id == proof.profile and now.purpose is purpose:
        cell.append("…", "yellow")
    if purpose is Purpose.GREEN and (room := _least_room(proof)):
        cell.append(f" {room}", "dim")
    return cell


def _least_room(proof: Proof) -> str:
    """The tightest margin of all green runs."""
    margins = [one.margin for found in proof.of(Purpose.GREEN) for one in found.measured]
    known = [margin for margin in margins if margin is not None]
    return margin_text(min(known)) if known else ""


def _state(proof: Proof) -> Text:
    if proof.proven:
        return Text("proven", "green")
    if any(finding.problem for finding in proof.findings):
        return Text("not proven", "red")
    return Text("", "dim")


def _problem(proof: Proof) -> Text:
    """The first one; the evidence has them all."""
    problems = [f"{found.name}: {found.problem}" for found in proof.findings if found.problem]
    text = Text(problems[0] if problems else "", "red")
    text.truncate(_PROBLEM_WIDTH, overflow="ellipsis")
    return text
