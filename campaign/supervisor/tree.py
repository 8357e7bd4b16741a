r"""A content hash of a source tree, the same for a folder and for a commit.

Formula: for every file below the root, sorted by its path relative to the root (as UTF-8 bytes,
``/`` between parts), one line ``<path>\0<kind>\0<sha256 of the content>\n`` where kind is ``x``
for a file that its owner may execute, ``-`` for another file and ``l`` for a symbolic link (whose
content is its target). The hash is the SHA-256 of all lines, in hexadecimal. Empty folders and
the folder or file ``.git`` at the root do not count; everything else does.
"""

import hashlib
import os
import stat
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_KIND_OF_GIT_MODE = {"100755": "x", "100644": "-", "120000": "l"}


class UnhashableTreeError(Exception):
    """The source holds something that is neither a file nor a link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    path: bytes
    kind: str
    digest: str


def tree_hash(root: Path) -> str:
    """Return the hash of the folder ``root``.

    Raises:
        OSError: something in it cannot be read.
        UnhashableTreeError: it holds a device, a socket or a pipe.
    """
    return _combine(_folder_entries(root))


def revision_hash(repository: Path, revision: str) -> str:
    """Return the hash that a faithful checkout of ``revision`` has.

    It is computed from git's objects, so attributes that rewrite files on export cannot bend it.

    Raises:
        subprocess.CalledProcessError: git does not know the revision.
        UnhashableTreeError: the commit holds a submodule.
    """
    return _combine(_commit_entries(repository, revision))


def _combine(entries: Iterable[_Entry]) -> str:
    whole = hashlib.sha256()
    for entry in sorted(entries, key=lambda entry: entry.path):
        whole.update(b"%b\0%b\0%b\n" % (entry.path, entry.kind.encode(), entry.digest.encode()))
    return whole.hexdigest()


def _folder_entries(root: Path) -> Iterator[_Entry]:
    for folder, folders, files in os.walk(root, onerror=_fail):
        here = Path(folder)
        if here == root:
            folders[:] = [name for name in folders if name != ".git"]
            files = [name for name in files if name != ".git"]  # noqa: PLW2901 - the same list
        links = [name for name in folders if (here / name).is_symlink()]
        yield from (_file_entry(root, here / name) for name in [*files, *links])


def _fail(error: OSError) -> None:
    raise error


def _file_entry(root: Path, path: Path) -> _Entry:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        kind, content = "l", os.fsencode(path.readlink())
    elif stat.S_ISREG(mode):
        kind, content = "x" if mode & stat.S_IXUSR else "-", path.read_bytes()
    else:
        raise UnhashableTreeError(f"{path} is neither a file nor a link")
    return _Entry(
        path=os.fsencode(path.relative_to(root).as_posix()),
        kind=kind,
        digest=hashlib.sha256(content).hexdigest(),
    )


def _commit_entries(repository: Path, revision: str) -> Iterator[_Entry]:
    for line in _git(repository, "ls-tree", "-r", "-z", "--full-tree", revision).split(b"\0"):
        if not line:
            continue
        attributes, path = line.split(b"\t", 1)
        mode, _, blob = attributes.decode().split(" ")
        if mode not in _KIND_OF_GIT_MODE:
            raise UnhashableTreeError(f"{os.fsdecode(path)} has mode {mode}: not a file or link")
        content = _git(repository, "cat-file", "blob", blob)
        digest = hashlib.sha256(content).hexdigest()
        yield _Entry(path=path, kind=_KIND_OF_GIT_MODE[mode], digest=digest)


def _git(repository: Path, *words: str) -> bytes:
    command = ["git", "-C", str(repository), *words]
    return subprocess.run(command, check=True, capture_output=True).stdout
