"""Where a stack keeps its sockets, its data and its cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from campaign.identity import Identity, can_enter
from campaign.stack.errors import NotEnoughSpaceError

if TYPE_CHECKING:
    from collections.abc import Iterable

#: a Unix socket's path may have 108 bytes, so they cannot lie in the run folder
_SOCKET_ROOT = Path("/tmp")  # noqa: S108 - mkdtemp makes a private folder in it
_SOCKET_PREFIX = "ratchet-"
_SYSTEM_DATA = Path("/var/lib/ratchet")
_SYSTEM_CACHE = Path("/var/cache/ratchet")
MIN_FREE_BYTES = 2 * 1024**3


def make_socket_folder() -> Path:
    """A short private folder: everybody may pass through it, nobody else may list it."""
    folder = Path(tempfile.mkdtemp(prefix=_SOCKET_PREFIX, dir=_SOCKET_ROOT))
    folder.chmod(0o711)
    return folder


def is_socket_folder(folder: Path) -> bool:
    """Whether `folder` is one that `make_socket_folder` made, and ours to remove."""
    return (
        folder.parent == _SOCKET_ROOT
        and folder.name.startswith(_SOCKET_PREFIX)
        and not folder.is_symlink()
        and folder.is_dir()
        and folder.stat().st_uid == os.geteuid()
    )


def data_place(run_dir: Path, identities: Iterable[Identity]) -> Path:
    """The folder of a run's database and metrics: the same one each time it is asked for.

    It is `<run_dir>/stack` wherever the components' users can reach that. As root under /root they
    cannot (mode 0700), and the data goes to /var/lib/ratchet, below the run's name and a digest of
    its path.
    """
    wanted = _data_beside(run_dir)
    if all(can_enter(identity, wanted) for identity in identities):
        return wanted
    return _data_apart(run_dir)


def is_data_folder(folder: Path, run_dir: Path) -> bool:
    """Whether `folder` is where `data_place` puts the data of `run_dir`, and there."""
    return folder in {_data_beside(run_dir), _data_apart(run_dir)} and folder.is_dir()


def _data_beside(run_dir: Path) -> Path:
    return run_dir.resolve() / "stack"


def _data_apart(run_dir: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(run_dir.resolve())).hexdigest()[:8]
    return _SYSTEM_DATA / f"{run_dir.resolve().name}-{digest}"


def passable_folder(folder: Path) -> Path:
    """Create `folder` and its missing parents so that every user may pass through, not list.

    Whatever our umask says: the components' users must get to their own folders inside.
    """
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    for part in reversed(missing):
        part.mkdir(exist_ok=True)
        part.chmod(0o711)
    return folder


def cache_place() -> Path:
    """Where templates are kept: `RATCHET_CACHE`, if it is set.

    Else /var/cache/ratchet for root, whose home no other user can enter, and `~/.cache/ratchet`
    (or below `XDG_CACHE_HOME`) for everybody else.
    """
    if given := os.environ.get("RATCHET_CACHE"):
        return Path(given).expanduser().resolve()
    if os.geteuid() == 0:
        return _SYSTEM_CACHE
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "ratchet"


def require_free_space(folder: Path, *, min_bytes: int = MIN_FREE_BYTES) -> None:
    """Raises NotEnoughSpaceError when the disk of `folder` (or its nearest parent) is too full."""
    free = free_bytes(folder)
    if free < min_bytes:
        raise NotEnoughSpaceError(
            f"{folder} has {free / 1e9:.1f} GB free, a campaign needs {min_bytes / 1e9:.1f} GB",
            hint="make room (old folders in runs/ can go) or choose another folder",
        )


def used_bytes(folder: Path) -> int:
    """Of all files below a folder, in which files may come and go meanwhile."""
    return sum(_size(path) for path in folder.rglob("*"))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0


def free_bytes(folder: Path) -> int:
    existing = next(part for part in (folder, *folder.parents) if part.exists())
    return shutil.disk_usage(existing).free
