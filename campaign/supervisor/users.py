"""Whom each process of the app runs as where the container is its sandbox: a user of its own.

Without a process namespace a process can outlive the one that started it. So each start gets a
user that nothing else runs as, and when it has ended, all that is left of that user is ended too.
"""

import subprocess
from collections import deque
from collections.abc import Sequence

import psutil

from campaign.identity import Identity, launcher

#: One kill reaches everything that is there; what is forked meanwhile falls to the next one.
_SWEEPS = 20
_SWEEP_TIMEOUT_S = 5.0

#: -1 is every process that we may signal, but ourselves: all of one user's.
_END_ALL = ("/bin/sh", "-c", "kill -9 -1")


class NoUserLeftError(OSError):
    """More processes of the app run than there are users for them."""

    def __init__(self) -> None:
        super().__init__("every user that it could run as is taken by a process that still ends")


class Users:
    """One user (the usual case) for all processes, or several, each for one at a time."""

    def __init__(self, identities: Sequence[Identity]) -> None:
        self._free = deque(identities)
        self._is_shared = len(identities) == 1

    def take(self) -> Identity:
        """Raises NoUserLeftError."""
        if not self._free:
            raise NoUserLeftError
        return self._free[0] if self._is_shared else self._free.popleft()

    def give_back(self, identity: Identity) -> None:
        """Its process has ended. What it left behind is ended as well, if it is nobody else's."""
        if self._is_shared:
            return
        end_all(identity)
        self._free.append(identity)


def end_all(identity: Identity) -> None:
    """Kill every process of that user; blocks for about 10 ms when there is none.

    Raises:
        OSError: some are left, or they are our own.
    """
    if identity.is_ours:
        raise PermissionError("the processes of our own user are not ended")
    for _ in range(_SWEEPS):
        if not _any_of(identity):
            return
        command = [*launcher(identity), *_END_ALL]
        subprocess.run(
            command, check=False, capture_output=True, timeout=_SWEEP_TIMEOUT_S, env={}, cwd="/"
        )
    if _any_of(identity):
        raise OSError(f"processes of {identity.user} cannot be ended")


def _any_of(identity: Identity) -> bool:
    """Whether a process of that user is there; one that only waits to be reaped does not count."""
    return any(
        process.info["uids"] is not None
        and process.info["uids"].real == identity.uid
        and process.info["status"] != psutil.STATUS_ZOMBIE
        for process in psutil.process_iter(["uids", "status"])
    )
