"""The listening Unix sockets that the app's processes are given.

The supervisor keeps every listener open, so what clients put into its queue survives the process
that was to accept it.
"""

import os
import socket
from pathlib import Path

#: Name of the public socket in the app's folder.
PUBLIC_NAME = "app.sock"

#: Connections that may wait (the kernel's own bound, net.core.somaxconn, is 4096 as well).
BACKLOG = 4096

#: Every local user may connect: the folder decides who can reach it.
_MODE = 0o666


class Listener:
    """One listening socket, first under a name of its own."""

    def __init__(self, folder: Path, number: int) -> None:
        self.path = folder / f"app-{number}.sock"
        self._public = folder / PUBLIC_NAME
        self.path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(os.fspath(self.path))
        self.path.chmod(_MODE)
        self.socket.listen(BACKLOG)
        self.socket.settimeout(0)

    def publish(self) -> None:
        """Take the public name, atomically: a client reaches the old listener or this one."""
        self.path = self.path.rename(self._public)

    def close(self) -> None:
        """Close it; its name goes too unless it is or was public."""
        self.socket.close()
        if self.path != self._public:
            self.path.unlink(missing_ok=True)


def remove_stale(folder: Path) -> None:
    """Remove the sockets of a former supervisor, which nobody listens on."""
    for path in (*folder.glob("app-*.sock"), folder / PUBLIC_NAME):
        path.unlink(missing_ok=True)
