"""A campaign's report folder: `index.html` and `summary.json`, rebuilt whenever asked."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from campaign.model import Event
from reports.page import render
from reports.series import history
from reports.summary import summarise
from reports.view import StepFunction


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Where the report lies."""

    page: Path
    summary: Path


def write_report(events: Iterable[Event], step: StepFunction, folder: Path) -> Written:
    """Fold `events` with the machine's `step`; each file is replaced whole, never half written.

    Raises:
        ValueError: there are no events.
        OSError: `folder` cannot be written.
    """
    folded = history(events, step)
    folder.mkdir(parents=True, exist_ok=True)
    written = Written(page=folder / "index.html", summary=folder / "summary.json")
    summary = json.dumps(summarise(folded.campaign), indent=2, allow_nan=False)
    _replace(written.summary, f"{summary}\n")
    _replace(written.page, render(folded))
    return written


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
