"""A control group of the shell's own, where the system lets us have one (version 2 only).

That is so for root on a machine whose groups are version 2, and for a user whose session manager
has delegated the group above ours (systemd, started from a desktop or with `systemd-run --user`).
Elsewhere there is none, and `watch` with resource limits has to do.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_WANTED = frozenset({"memory", "pids"})


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLimits:
    """What all processes of a shell may use together."""

    memory_bytes: int
    processes: int
    #: share of the processors where they are scarce; everybody else has 100
    cpu_weight: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One that was made; `remove` it when its processes are gone."""

    path: Path

    def take(self, pid: int) -> None:
        """Raises OSError when it may not be moved."""
        (self.path / "cgroup.procs").write_text(str(pid))

    def remove(self) -> None:
        with suppress(OSError):
            (self.path / "cgroup.kill").write_text("1")
        with suppress(OSError):
            self.path.rmdir()


def make_group(
    limits: GroupLimits,
    *,
    mounts: Path = Path("/proc/self/mountinfo"),
    own: Path = Path("/proc/self/cgroup"),
) -> Group | None:
    """A new group beside our own one, with these limits in force; None where none can be had."""
    for parent in _parents(mounts, own):
        group = parent / f"ratchet-shell-{secrets.token_hex(4)}"
        try:
            if not set((parent / "cgroup.subtree_control").read_text().split()) >= _WANTED:
                continue
            group.mkdir()
        except OSError:
            continue
        try:
            _limit(group, limits)
        except OSError:
            group.rmdir()
            continue
        return Group(path=group)
    return None


def _parents(mounts: Path, own: Path) -> Iterator[Path]:
    """The group above ours, then ours (only the root of all may hold processes and groups)."""
    try:
        root = next(_roots(mounts.read_text()), None)
        lines = own.read_text().splitlines()
    except OSError:
        return
    ours = next((line[3:] for line in lines if line.startswith("0::")), None)
    if root is None or ours is None or ".." in ours:
        return
    here = root / ours.lstrip("/")
    yield from (here,) if here == root else (here.parent, here)


def _roots(mountinfo: str) -> Iterator[Path]:
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            yield Path(before.split(" ")[4])


def _limit(group: Path, limits: GroupLimits) -> None:
    (group / "memory.max").write_text(str(limits.memory_bytes))
    (group / "pids.max").write_text(str(limits.processes))
    optional = {"memory.swap.max": "0", "memory.oom.group": "1", "cpu.weight": limits.cpu_weight}
    for name, value in optional.items():
        if os.access(group / name, os.W_OK):
            (group / name).write_text(str(value))
