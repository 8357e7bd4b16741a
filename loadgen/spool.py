"""A worker's acknowledged writes on disk, until the master has them.

A worker that is killed leaves its file behind, and a master that can read the same folder takes
the rest from it. A worker holds a lock on its file for as long as it lives: with that gone, the
file can be removed by whoever has taken what was in it. It is written with one call for each write,
so that nothing waits in a buffer of the process; the page cache outlives it, and a machine that
dies takes the file along.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from loadgen.ledger import Write
from loadgen.messages import Numbered

#: when all of it was handed on, a file larger than this is begun anew
_ROTATE_BYTES = 1_000_000
_SUFFIX = ".jsonl"

logger = logging.getLogger("loadgen")


class SpoolError(Exception):
    """What a lost worker acknowledged cannot be known; the message says why."""


class Spool:
    """The file of one process; nobody else writes it."""

    def __init__(self, folder: Path, life: str) -> None:
        """Raises OSError when the file cannot be created."""
        self._path = _place(folder, life)
        self._file: BinaryIO | None = _created(self._path)
        self._size = 0
        self._last = 0

    def write(self, seq: int, write: Write) -> None:
        """A disk that is full costs the file, never a request: without it, nothing is claimed."""
        if self._file is None:
            return
        line = json.dumps({"seq": seq, "write": asdict(write)}).encode() + b"\n"
        try:
            whole = self._file.write(line) == len(line)
        except OSError as error:
            logger.warning("the spool fails", extra={"action": "spool_failed", "why": str(error)})
            whole = False
        if not whole:
            self.remove()
        self._size += len(line)
        self._last = seq

    def handed_on(self, seq: int) -> None:
        """The master has everything up to `seq`."""
        if self._file is not None and seq >= self._last and self._size > _ROTATE_BYTES:
            self._file.seek(0)
            os.ftruncate(self._file.fileno(), 0)
            self._size = 0

    def remove(self) -> None:
        """All is handed on, or nothing can be relied on."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._path.unlink(missing_ok=True)


def leftover(folder: Path | None, life: str, *, after: int) -> Iterator[Numbered]:
    """What a worker acknowledged after number `after`, from the file that it left.

    Raises:
        SpoolError: there is no such file here, or it is not whole.
    """
    if folder is None:
        raise SpoolError("this master reads no spool folder")
    path = _place(folder, life)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise SpoolError(f"its spool cannot be read: {error}") from error
    if lines.pop() != b"":
        raise SpoolError(f"{path} ends in the middle of an entry")
    for line in lines:
        try:
            entry = Numbered.model_validate_json(line)
        except ValidationError as error:
            raise SpoolError(f"{path} has an entry that is none") from error
        if entry.seq > after:
            yield entry


def clear(folder: Path | None) -> None:
    """Remove what processes left behind that have ended."""
    if folder is not None:
        remove(folder, [path.name.removesuffix(_SUFFIX) for path in folder.glob(f"*{_SUFFIX}")])


def remove(folder: Path, lives: Iterable[str]) -> None:
    """Remove the files of these, but not of one that lives: it may only be silent."""
    for life in lives:
        try:
            with _place(folder, life).open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _place(folder, life).unlink()
        except (FileNotFoundError, BlockingIOError):
            continue
        except OSError as error:
            logger.warning("a spool stays", extra={"action": "spool_stays", "why": str(error)})


def _created(path: Path) -> BinaryIO:
    """Locked; before it was, it looked like one that nobody has any more."""
    while True:
        file = path.open("xb", buffering=0)
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()


def _place(folder: Path, life: str) -> Path:
    """`life` was checked to be a plain name (`messages.Name`)."""
    return folder / f"{life}{_SUFFIX}"
