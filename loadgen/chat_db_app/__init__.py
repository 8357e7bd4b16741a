"""What the users of chat-db-app do; each behaviour becomes one class of Locust users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loadgen.chat_db_app.notifying import (
    Broadcaster,
    Janitor,
    MarkReader,
    NotificationReader,
    Poller,
    Returner,
)
from loadgen.chat_db_app.reading import Canary, Herd, Lister, Reader, Searcher, StatsReader
from loadgen.chat_db_app.writing import Streamer, Writer

if TYPE_CHECKING:
    from loadgen.calls import Behaviour

__all__ = ["BEHAVIOURS"]

BEHAVIOURS: tuple[type[Behaviour[Any]], ...] = (
    Broadcaster,
    Canary,
    Herd,
    Janitor,
    Lister,
    MarkReader,
    NotificationReader,
    Poller,
    Reader,
    Returner,
    Searcher,
    StatsReader,
    Streamer,
    Writer,
)
