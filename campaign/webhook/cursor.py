"""How far the receiver has acknowledged: a small file beside the journal."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import structlog

from campaign.webhook.notice import BEGINNING, Place

log = structlog.get_logger(__name__)

_FORMAT = 1


class CursorFile:
    """Written after each acknowledged notice, and on disk before the next one is sent."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> Place:
        """The last notice that was acknowledged.

        A file that is not there, or means nothing, is the beginning: twice is better than never.
        """
        try:
            held = json.loads(self._file.read_bytes())
            place = Place(sequence=held["sequence"], number=held["number"])
            if held["format"] != _FORMAT or not _is_sound(place):
                raise ValueError("it has another form")  # noqa: TRY301 - as any other that it has
        except FileNotFoundError:
            return BEGINNING
        except (OSError, ValueError, TypeError, LookupError) as error:
            log.warning("webhook_cursor_unreadable", file=str(self._file), error=repr(error))
            return BEGINNING
        return place

    async def write(self, place: Place) -> None:
        """Returns when it is on disk.

        Raises:
            OSError: it is not, and the place before still stands.
        """
        await asyncio.to_thread(self._write, place)

    def _write(self, place: Place) -> None:
        """All at once: a crash leaves the old one or the new one."""
        held = {"format": _FORMAT, "sequence": place.sequence, "number": place.number}
        draft = self._file.with_name(f".{self._file.name}.new")
        with draft.open("w", encoding="utf-8") as stream:
            json.dump(held, stream)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(self._file)
        folder = os.open(self._file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _is_sound(place: Place) -> bool:
    return all(type(number) is int and number >= 0 for number in place)
