"""A workspace of the operator's user, and shells in it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from campaign.adapters.instruments import Allowance, Surroundings, WorkspaceShells
from campaign.identity import app_identity
from campaign.sandbox import Limits, unavailable

#: Says why there is no sandbox here; None where there is one.
NO_SANDBOX = unavailable(app_identity())

#: small, so that little has to be used up until a bound is met
LIMITS = Limits(processes=64, address_space_bytes=1 << 30, file_size_bytes=16 << 20, open_files=256)


@contextmanager
def workspace() -> Iterator[Path]:
    """The operator's own folder, below one that it can pass through and not list."""
    root = Path(tempfile.mkdtemp(prefix="ratchet-instruments-"))
    root.chmod(0o711)
    place = root / "workspace"
    place.mkdir()
    user = app_identity()
    os.chown(place, user.uid, user.gid)
    try:
        yield place
    finally:
        shutil.rmtree(root, ignore_errors=True)


def shells(place: Path, *, confined: bool = True, limits: Limits = LIMITS) -> WorkspaceShells:
    return WorkspaceShells(
        Surroundings(workspace=place, confined=confined, limits=limits, tmp_bytes=16 << 20),
        allowance=Allowance(memory_bytes=256 << 20, disk_bytes=64 << 20, files=2000),
    )


def processes_with(word: str) -> list[int]:
    """On the whole machine: those with `word` in their command line."""
    return [
        process.info["pid"]
        for process in psutil.process_iter(["pid", "cmdline"])
        if any(word in each for each in process.info["cmdline"] or ())
    ]
