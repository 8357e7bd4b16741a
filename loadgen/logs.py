"""Logs: plain on standard error and on Locust's page, JSON lines in the file."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

import structlog
from locust.log import setup_logging

if TYPE_CHECKING:
    from pathlib import Path


def configure(log_file: Path | None) -> None:
    """Locust's own logging, and every record of it once more in `log_file`."""
    setup_logging("INFO")
    if log_file is None:
        return
    handler = logging.FileHandler(log_file)
    handler.setFormatter(_json_lines())
    for name in (None, "locust"):
        logging.getLogger(name).addHandler(handler)


def _json_lines() -> structlog.stdlib.ProcessorFormatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _without_other_handlers_traces,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
    )


def _without_other_handlers_traces(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A plain handler leaves its own rendering on the record, where it looks like an extra."""
    for key in ("message", "asctime"):
        event.pop(key, None)
    return event
