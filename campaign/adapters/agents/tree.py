"""A process that leads a group of its own, and all that it started."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessTree:
    """Known by more than its id, which another process may have once this one is gone."""

    pid: int
    #: epoch seconds; None: it had ended by the time that anybody looked
    began: float | None

    @classmethod
    def of(cls, pid: int) -> ProcessTree:
        return cls(pid=pid, began=_began(pid))

    def kill(self) -> None:
        """A sandbox's namespace goes with the process that it began with.

        Known trade-off (accepted): unconfined, a child that its parent has left, and that is in a
        group of its own, is not found.
        """
        now = _began(self.pid)
        if now is not None and now != self.began:
            # Somebody else has the id: no process is left in our group, or it would not be free.
            return
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def _began(pid: int) -> float | None:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None
