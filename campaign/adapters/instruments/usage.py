"""What the processes of a shell use: read from outside, in /proc and in the workspace's folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_BLOCK_BYTES = 512
_KIB = 1024
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a folder and the deleted files that are still open take."""

    size_bytes: int
    files: int
    #: a folder that could not be listed: it may hold anything
    unlisted: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFiles:
    """Files that have no name any more, by where their bytes are."""

    on_disk_bytes: int
    in_memory_bytes: int


def descendants(pid: int) -> Iterator[int]:
    """`pid` and everything below it; what ends meanwhile is left out."""
    waiting, seen = [pid], {pid}
    while waiting:
        each = waiting.pop()
        yield each
        for child in _children(each):
            if child not in seen:
                seen.add(child)
                waiting.append(child)


def memory_bytes(pids: list[int]) -> int:
    """Their memory without what comes from files; shared pages count in part, where it matters."""
    return sum(_resident_bytes(pid) for pid in pids)


def exact_memory_bytes(pids: list[int]) -> int:
    """The same with each shared page counted once in all: slower, so only for a second look."""
    return sum(_proportional_bytes(pid) for pid in pids)


def open_files(pids: list[int], *, disk: int) -> OpenFiles:
    """Files without a name that they hold open; `disk` is the device of the workspace."""
    seen: set[tuple[int, int]] = set()
    on_disk = in_memory = 0
    for pid in pids:
        for status in _descriptors(pid):
            if status.st_nlink or not stat.S_ISREG(status.st_mode):
                continue
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            if status.st_dev == disk:
                on_disk += status.st_blocks * _BLOCK_BYTES
            else:
                in_memory += status.st_blocks * _BLOCK_BYTES
    return OpenFiles(on_disk_bytes=on_disk, in_memory_bytes=in_memory)


def stored(folder: Path, *, max_files: int) -> Stored:
    """What a folder takes on the disk; no further than `max_files`. Links are not followed."""
    size = files = 0
    unlisted = ""
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            for entry in _entries(here):
                files += 1
                if files > max_files:
                    return Stored(size_bytes=size, files=files, unlisted=unlisted)
                with suppress(FileNotFoundError):
                    size += entry.stat(follow_symlinks=False).st_blocks * _BLOCK_BYTES
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
        except FileNotFoundError:
            continue
        except OSError:
            unlisted = str(here.relative_to(folder))
    return Stored(size_bytes=size, files=files, unlisted=unlisted)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from entries


def available_memory_bytes() -> int | None:
    """What the machine can still give; None where it does not say."""
    return _kib_of(_PROC / "meminfo", "MemAvailable:")


def free_disk_bytes(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in (_PROC / str(pid) / "task").iterdir():
            with suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found


def _resident_bytes(pid: int) -> int:
    file = _PROC / str(pid) / "status"
    return (_kib_of(file, "RssAnon:") or 0) + (_kib_of(file, "RssShmem:") or 0)


def _proportional_bytes(pid: int) -> int:
    file = _PROC / str(pid) / "smaps_rollup"
    anonymous = _kib_of(file, "Pss_Anon:")
    if anonymous is None:
        return _resident_bytes(pid)
    return anonymous + (_kib_of(file, "Pss_Shmem:") or 0)


def _kib_of(file: Path, name: str) -> int | None:
    with suppress(OSError):
        for line in file.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * _KIB
    return None


def _descriptors(pid: int) -> Iterator[os.stat_result]:
    with suppress(OSError):
        for link in (_PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                yield link.stat()
