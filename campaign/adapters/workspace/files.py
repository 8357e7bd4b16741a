"""Copying files out of, and into, a folder that somebody hostile may be changing meanwhile."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from campaign.adapters.workspace.errors import (
    OutsideLinkError,
    TooLargeError,
    UnreadableFileError,
    WorkspaceError,
)

#: never copied: histories other than ours, and what tools write by the way
EXCLUDED = frozenset({".git", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"})

_BLOCK_BYTES = 1024 * 1024
#: errors that are not the file's fault
_OUR_OWN = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO}
)
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much a tree may hold."""

    max_bytes: int = 50_000_000
    #: files, links and folders
    max_files: int = 10_000
    max_depth: int = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFile:
    """One file, or symbolic link, of a revision."""

    #: relative, with `/`
    path: str
    #: git's: 100644, 100755, or 120000 for a link
    mode: str
    #: a link's is its target
    content: bytes


class _Copier:
    """Counts while it copies, so that no bound is passed even by files that grow meanwhile."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._bytes = 0
        self._files = 0

    def folder(self, source: int, target: Path, *, path: str, depth: int) -> None:
        """Copy the open folder `source`, which is `path` to its owner, to the new `target`."""
        if depth > self._bounds.max_depth:
            raise TooLargeError(f"folders nest deeper than {self._bounds.max_depth}: {path}")
        target.mkdir()
        with os.scandir(source) as entries:
            names = sorted(entry.name for entry in entries if entry.name.lower() not in EXCLUDED)
        for name in names:
            self._count_file()
            inner = f"{path}{name}"
            with _named(inner):
                self._entry(source, name, target / name, path=inner, depth=depth)

    def _entry(self, source: int, name: str, target: Path, *, path: str, depth: int) -> None:
        """Sockets, pipes and devices are passed over, as git does: they are no source."""
        mode = os.stat(name, dir_fd=source, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            target.symlink_to(os.readlink(name, dir_fd=source))
        elif stat.S_ISDIR(mode):
            with _opened(name, _OPEN | os.O_DIRECTORY, source) as inner:
                self.folder(inner, target, path=f"{path}/", depth=depth + 1)
        elif stat.S_ISREG(mode):
            with _opened(name, _OPEN, source) as inner:
                self._file(inner, target)

    def _file(self, source: int, target: Path) -> None:
        mode = os.fstat(source).st_mode
        with target.open("xb") as copy:
            while block := os.read(source, _BLOCK_BYTES):
                self._count_bytes(len(block))
                copy.write(block)
        target.chmod(0o755 if mode & stat.S_IXUSR else 0o644)

    def _count_file(self) -> None:
        self._files += 1
        if self._files > self._bounds.max_files:
            raise TooLargeError(
                f"more than {self._bounds.max_files} files and folders; remove what is not source"
            )

    def _count_bytes(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._bounds.max_bytes:
            raise TooLargeError(
                f"more than {self._bounds.max_bytes / 1e6:g} MB; remove what is not source"
            )


def copy_out(source: Path, target: Path, bounds: Bounds) -> None:
    """Copy the tree `source` to the new folder `target`, following no link anywhere.

    Raises:
        TooLargeError, OutsideLinkError, UnreadableFileError: the tree is unfit.
    """
    with _named("."), _opened(source, _OPEN | os.O_DIRECTORY, None) as descriptor:
        _Copier(bounds).folder(descriptor, target, path="", depth=0)
    refuse_outside_links(target)


def publish(dest: Path, files: Iterable[TreeFile]) -> None:
    """Write a revision's files to `dest`, read-only: it appears whole, under its name, or not.

    Raises:
        OutsideLinkError: one of its links leads out of it.
    """
    dest.parent.mkdir(parents=True, exist_ok=True)
    partial = dest.with_name(f".{dest.name}.partial")
    remove(partial)
    write_out(partial, files, writable=False)
    partial.rename(dest)


def write_out(root: Path, files: Iterable[TreeFile], *, writable: bool) -> None:
    """Write a revision's files to the new folder `root`.

    Raises:
        OutsideLinkError: one of its links leads out of it.
    """
    root.mkdir()
    root.chmod(0o755)
    for file in files:
        target = root / file.path
        for folder in reversed(target.relative_to(root).parents[:-1]):
            (root / folder).mkdir(exist_ok=True)
            (root / folder).chmod(0o755)
        _write(target, file, writable=writable)
    refuse_outside_links(root)


def _write(target: Path, file: TreeFile, *, writable: bool) -> None:
    if file.mode == "120000":
        target.symlink_to(os.fsdecode(file.content))
        return
    target.write_bytes(file.content)
    executable = 0o111 if file.mode == "100755" else 0
    target.chmod((0o644 if writable else 0o444) | executable)


def refuse_outside_links(root: Path) -> None:
    """Raises OutsideLinkError; `root` is ours, so nobody changes it meanwhile."""
    home = root.resolve()
    for path in every_path(root):
        if path.is_symlink() and not _leads_inside(path, home):
            name, target = path.relative_to(root), path.readlink()
            raise OutsideLinkError(f"{name} points to {target}; put a copy in its place")


def _leads_inside(link: Path, home: Path) -> bool:
    """Followed as the kernel would, since `..` after a link to a folder is not what it seems."""
    try:
        return link.resolve().is_relative_to(home)
    except (OSError, RuntimeError):  # links that go round in circles
        return False


def every_path(root: Path) -> Iterator[Path]:
    """All files, folders and links below `root`, which is ours."""
    for folder, folders, files in os.walk(root):
        yield from (Path(folder, name) for name in [*folders, *files])


def give_away(root: Path, *, uid: int, gid: int) -> None:
    """Make `root`, which is ours and private, and all in it belong to another user."""
    for path in (*every_path(root), root):
        os.chown(path, uid, gid, follow_symlinks=False)


def swap_contents(folder: Path, new: Path, *, trash: Path) -> None:
    """Put what is in `new` in place of what is in `folder`; the folder itself stays the same.

    Only whole entries are moved, which follows no link and needs no time; `trash` is created.
    """
    trash.mkdir()
    for source, target in ((folder, trash), (new, folder)):
        for entry in list(source.iterdir()):
            entry.rename(target / entry.name)


def remove(*folders: Path) -> None:
    """Remove trees, however deep (Python's own removal recurses), as far as that is allowed."""
    if rm := shutil.which("rm"):
        command = [rm, "-rf", "--", *(str(folder) for folder in folders)]
        subprocess.run(command, check=False, capture_output=True)


@contextmanager
def _opened(name: str | Path, flags: int, folder: int | None) -> Iterator[int]:
    descriptor = os.open(name, flags, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _named(path: str) -> Iterator[None]:
    """An error of the operating system becomes one about `path`."""
    try:
        yield
    except OSError as exc:
        if exc.errno in _OUR_OWN:
            raise WorkspaceError(f"{path} cannot be copied: {exc.strerror}") from exc
        raise UnreadableFileError(f"{path} ({exc.strerror}); repair or remove it") from exc
