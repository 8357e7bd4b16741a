"""HTTP over a Unix socket, the shortest way to the app."""

from __future__ import annotations

import errno
import socket as os_socket

import gevent

from loadgen.http_client import POOL_SIZE, Connection, ConnectionLostError, HttpClient, KeptPool

__all__ = ["ConnectionLostError", "UnixConnectionPool", "UnixHttpClient"]

_FIRST_RETRY_S, _LAST_RETRY_S = 0.001, 0.02


class UnixConnectionPool(KeptPool):
    """Keep-alive connections to whatever listens at a path.

    The kernel says for certain what the server never read: `EPIPE`, or `ECONNRESET` (a Unix socket
    that is closed with unread data resets its peer), as in the queue of a listener that was
    replaced.
    """

    reset_is_unread = True

    def __init__(self, path: str) -> None:
        super().__init__(path, 0, "app", 0, size=POOL_SIZE)
        self._path = path

    def _create_socket(self) -> Connection:
        sock = Connection(os_socket.AF_UNIX, os_socket.SOCK_STREAM)
        try:
            self._connect(sock)
        except BaseException:
            sock.close()
            raise
        return sock

    def _connect(self, sock: Connection) -> None:
        """Wait while the listener's queue is full.

        A Unix socket cannot be polled for that: it answers EAGAIN and looks writable, so that
        gevent's own `connect` would spin.
        """
        pause_s = _FIRST_RETRY_S
        sock.settimeout(0.0)
        while code := sock.connect_ex(self._path):
            if code != errno.EAGAIN:
                raise OSError(code, errno.errorcode.get(code, "?"), self._path)
            gevent.sleep(pause_s)
            pause_s = min(2 * pause_s, _LAST_RETRY_S)
        sock.settimeout(None)


class UnixHttpClient(HttpClient):
    """Sends requests to whatever listens at `path`."""

    def __init__(self, path: str) -> None:
        super().__init__(UnixConnectionPool(path))
