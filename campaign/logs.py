"""Logs of the controller: JSON lines in the run's folder; the daemon's on its terminal."""

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
            structlog.reset_defaults()


def log_to_terminal() -> None:
    """Readable on a terminal, JSON elsewhere: for the daemon alone."""
    readable = (*_SHARED, structlog.dev.ConsoleRenderer())
    structlog.configure(
        processors=readable if sys.stderr.isatty() else _AS_JSON,
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
