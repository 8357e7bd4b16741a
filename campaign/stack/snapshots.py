"""Snapshots in one SQLite file: what they have in common is kept once.

Every file of a snapshot is cut into blocks, and a block is kept under a digest of what it holds.
From one trial to the next most of a database stays as it was, so a snapshot costs what changed,
on file systems that cannot share blocks between files too. SQLite makes it all or nothing: a
snapshot that was cut short was never there.

Known trade-offs (accepted): every file is read and digested each time, about a second for a
gigabyte; as everywhere in the stack, nothing is forced to the disk (a machine that goes down may
take the file along, a process that is killed may not).
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from campaign.stack.errors import StackError

#: two of Postgres' pages
_BLOCK_BYTES = 16 * 1024
_DIGEST_BYTES = 16
#: for another process that writes or reads the same file
_PATIENCE_S = 30.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS snapshot (
    name TEXT PRIMARY KEY,
    size_bytes INTEGER NOT NULL,
    added_bytes INTEGER NOT NULL,
    facts TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS file (
    snapshot TEXT NOT NULL REFERENCES snapshot,
    path TEXT NOT NULL,
    mode INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    -- digests, one after the other; NULL: a folder
    blocks BLOB,
    PRIMARY KEY (snapshot, path)
);
CREATE TABLE IF NOT EXISTS block (digest BLOB PRIMARY KEY, content BLOB NOT NULL);
"""


class NoSnapshotError(StackError):
    """There is no such snapshot, or it cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is known of a snapshot."""

    #: of all its files
    size_bytes: int
    #: of the blocks that no earlier snapshot had: about what it costs on the disk
    added_bytes: int
    #: what its maker wrote down beside it
    facts: str


class SnapshotStore:
    """The snapshots of one campaign. Every method blocks: call it in a thread."""

    def __init__(self, path: Path) -> None:
        """Nothing is touched before the first snapshot is added."""
        self.path = path

    def find(self, name: str) -> Kept | None:
        """The snapshot of that name, if there is one.

        Raises:
            StackError: the file is damaged.
        """
        if not self.path.exists():
            return None
        query = "SELECT size_bytes, added_bytes, facts FROM snapshot WHERE name = ?"
        try:
            with self._reading() as store:
                row = store.execute(query, (name,)).fetchone()
        except sqlite3.Error as error:
            raise StackError(f"{self.path} cannot be read: {error}") from error
        if row is None:
            return None
        return Kept(size_bytes=row[0], added_bytes=row[1], facts=row[2])

    def add(self, name: str, parts: Mapping[str, Path], *, facts: str) -> Kept:
        """Keep each part (a folder with all that is in it, or a file) under its name.

        A snapshot of that name is replaced. A part that does not exist is left out.

        Raises:
            StackError: the disk is full, or a part cannot be read; nothing was kept.
        """
        try:
            with self._writing() as store:
                return _add(store, name, parts, facts)
        except (OSError, sqlite3.Error) as error:
            raise StackError(f"snapshot {name} cannot be kept: {error}") from error

    def restore(self, name: str, part: str, to: Path) -> None:
        """Write a part out as `to`, which must not exist; owned by ourselves.

        Raises:
            NoSnapshotError: there is no such snapshot, or it has no such part.
            StackError: it is damaged, or the disk is full.
        """
        try:
            with self._reading() as store:
                _restore(store, name, part, to)
        except (OSError, sqlite3.Error) as error:
            raise StackError(f"snapshot {name} cannot be restored: {error}") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self.path.touch(mode=0o600)  # a copied database holds its superuser's password
        with closing(sqlite3.connect(self.path, timeout=_PATIENCE_S)) as store:
            store.execute("PRAGMA synchronous = OFF")
            store.executescript(_SCHEMA)
            with store:
                yield store

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if not self.path.exists():
            raise NoSnapshotError(f"there are no snapshots in {self.path.parent}")
        where = f"{self.path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(where, uri=True, timeout=_PATIENCE_S)) as store:
            yield store


def _add(store: sqlite3.Connection, name: str, parts: Mapping[str, Path], facts: str) -> Kept:
    store.execute("DELETE FROM file WHERE snapshot = ?", (name,))
    files = [
        _keep(store, found, snapshot=name, path=path)
        for part, root in parts.items()
        for path, found in _walk(part, root)
    ]
    kept = Kept(
        size_bytes=sum(file.size_bytes for file in files),
        added_bytes=sum(file.added_bytes for file in files),
        facts=facts,
    )
    store.execute(
        "INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?, ?)",
        (name, kept.size_bytes, kept.added_bytes, kept.facts),
    )
    return kept


def _walk(part: str, path: Path) -> Iterator[tuple[str, Path]]:
    """Folders before what is in them."""
    if not path.exists():
        return
    yield part, path
    if path.is_dir():
        for found in sorted(path.rglob("*")):
            yield f"{part}/{found.relative_to(path).as_posix()}", found


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeptFile:
    """A file, or a folder, which has no blocks."""

    size_bytes: int
    added_bytes: int
    blocks: bytes | None


def _keep(store: sqlite3.Connection, found: Path, *, snapshot: str, path: str) -> _KeptFile:
    mode = found.stat().st_mode & 0o7777
    kept = _keep_blocks(store, found)
    store.execute(
        "INSERT INTO file VALUES (?, ?, ?, ?, ?)",
        (snapshot, path, mode, kept.size_bytes, kept.blocks),
    )
    return kept


def _keep_blocks(store: sqlite3.Connection, found: Path) -> _KeptFile:
    if found.is_dir():
        return _KeptFile(size_bytes=0, added_bytes=0, blocks=None)
    digests = bytearray()
    size_bytes = added_bytes = 0
    with found.open("rb") as file:
        while content := file.read(_BLOCK_BYTES):
            digest = hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()
            digests += digest
            inserted = store.execute("INSERT OR IGNORE INTO block VALUES (?, ?)", (digest, content))
            size_bytes += len(content)
            added_bytes += len(content) * inserted.rowcount
    return _KeptFile(size_bytes=size_bytes, added_bytes=added_bytes, blocks=bytes(digests))


def _restore(store: sqlite3.Connection, name: str, part: str, to: Path) -> None:
    files = store.execute(
        "SELECT path, mode, blocks FROM file"
        " WHERE snapshot = ? AND (path = ? OR substr(path, 1, ?) = ?) ORDER BY path",
        (name, part, len(part) + 1, f"{part}/"),
    ).fetchall()
    if not files:
        raise NoSnapshotError(f"there is no snapshot {name}, or it has no {part}")
    for path, mode, blocks in files:
        target = to / path[len(part) + 1 :] if path != part else to
        if blocks is None:
            target.mkdir(mode=0o700)
        else:
            _write(target, _contents(store, blocks))
        target.chmod(mode)


def _contents(store: sqlite3.Connection, blocks: bytes) -> Iterator[bytes]:
    for start in range(0, len(blocks), _DIGEST_BYTES):
        digest = blocks[start : start + _DIGEST_BYTES]
        row = store.execute("SELECT content FROM block WHERE digest = ?", (digest,)).fetchone()
        if row is None:
            raise StackError("the snapshots are damaged: a block is missing")
        yield row[0]


def _write(target: Path, contents: Iterable[bytes]) -> None:
    with target.open("wb") as file:
        file.writelines(contents)
