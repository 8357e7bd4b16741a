"""Logs of the controller: JSON lines in the run's folder; the daemon's on its terminal.

Tracebacks never show local variables, as structlog's own do on a terminal: keys are among them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

_SHARED = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)
_AS_JSON = (
    *_SHARED,
    structlog.processors.format_exc_info,
    structlog.processors.JSONRenderer(),
)
_READABLE = (
    *_SHARED,
    structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
)


@contextmanager
def log_to(file: Path) -> Iterator[None]:
    """One JSON object a line into `file` until the block ends."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8", buffering=1) as stream:
        structlog.configure(
            processors=_AS_JSON,
            logger_factory=structlog.WriteLoggerFactory(file=stream),
        )
        handler = logging.StreamHandler(stream)
        logging.getLogger().addHandler(handler)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(handler)
            log_to_terminal()


def log_to_terminal() -> None:
    """On stderr, readable on a terminal, JSON elsewhere: for whatever has no file of its own."""
    structlog.configure(
        processors=_READABLE if sys.stderr.isatty() else _AS_JSON,
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
