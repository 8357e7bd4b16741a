"""Which process plays a campaign: the holder of the lock on the run's folder.

To ask takes no journal; `campaign.adapters.journal.run_lock` takes the lock.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

LOCK_FILE = "lock"


def run_holder(run_dir: Path) -> int | None:
    """The pid of the process that runs the campaign now; None when none does."""
    try:
        descriptor = os.open(run_dir / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return None if flock(descriptor, fcntl.LOCK_SH) else written_pid(descriptor)
    finally:
        os.close(descriptor)


def flock(descriptor: int, operation: int) -> bool:
    """False at once when another holds it."""
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def written_pid(descriptor: int) -> int | None:
    """What the holder wrote into the file."""
    digits = os.pread(descriptor, 32, 0).strip()
    return int(digits) if digits.isdigit() else None
