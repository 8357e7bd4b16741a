"""HTTP/1.1 over a Unix socket: geventhttpclient's pool and parser, with our rules for failing.

A request is sent a second time, once, when not one byte of an answer came and

- the kernel says that the server never read it: `EPIPE`, or `ECONNRESET` (a Unix socket that is
  closed with unread data resets its peer), as in the queue of a listener that was replaced; or
- the connection was a used one and simply ended: a draining app closes idle connections, and drops
  what it reads from them at that moment (aiohttp does). A browser does the same.

So a redeployment costs no request. What an app refuses by hanging up it must refuse twice. Known
trade-off (accepted): a write whose app died in the middle may be stored twice, acknowledged once.
"""

from __future__ import annotations

import errno
import socket as os_socket
from typing import TYPE_CHECKING, Any

import gevent
from gevent import socket
from geventhttpclient.connectionpool import ConnectionPool
from geventhttpclient.response import HTTPParseError, HTTPResponse

if TYPE_CHECKING:
    from collections.abc import Iterator

#: More than there can be requests in flight: the bound is the users', never the pool's.
_POOL_SIZE = 100_000
_RECV_BYTES = 65_536
_FIRST_RETRY_S, _LAST_RETRY_S = 0.001, 0.02


class ConnectionLostError(ConnectionError):
    """The server closed the connection before its answer was complete."""


class _Connection(socket.socket):  # type: ignore[misc]
    """A socket that knows whether it has served before."""

    used = False


class UnixConnectionPool(ConnectionPool):  # type: ignore[misc]
    """Keep-alive connections to whatever listens at a path; idle ones are checked before use."""

    def __init__(self, path: str) -> None:
        super().__init__(path, 0, "app", 0, size=_POOL_SIZE)
        self._path = path

    def _create_socket(self) -> _Connection:
        sock = _Connection(os_socket.AF_UNIX, os_socket.SOCK_STREAM)
        try:
            self._connect(sock)
        except BaseException:
            sock.close()
            raise
        return sock

    def _connect(self, sock: _Connection) -> None:
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

    def _is_socket_alive(self, sock: _Connection) -> bool:
        """An idle connection with something to read was closed, or speaks out of turn.

        The inherited check uses `select`, which refuses descriptors above 1023.
        """
        try:
            sock._sock.recv(1, os_socket.MSG_PEEK)  # noqa: SLF001 - gevent's own recv would wait
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False


class Answer(HTTPResponse):  # type: ignore[misc]
    """A response being read. Gives its connection back by itself once it is complete."""

    def __init__(self, sock: _Connection, pool: UnixConnectionPool, *, method: str) -> None:
        super().__init__(method=method)
        self._sock: Any = sock
        self._pool = pool
        self._chunks: list[bytes] = []
        #: bytes of any kind received so far
        self.received_bytes = 0
        #: bytes of the body received so far
        self.body_bytes = 0

    def send(self, wire: bytes) -> None:
        self._sock.sendall(wire)

    def read_head(self) -> None:
        while not self.headers_complete or self.get_code() < 200:  # noqa: PLR2004 - interim answers
            self._receive()
        self._give_back_if_complete()

    def read(self) -> bytes:
        """The rest of the body."""
        return b"".join(self.chunks())

    def chunks(self, *, idle_timeout_s: float | None = None) -> Iterator[bytes]:
        """The body piece by piece as it comes; raises TimeoutError when it falls silent."""
        if self._sock is not None:
            self._sock.settimeout(idle_timeout_s)
        while True:
            chunks, self._chunks = self._chunks, []
            yield from chunks
            if self._sock is None:
                return
            self._receive()
            self._give_back_if_complete()

    def abandon(self) -> None:
        """Close the connection, whatever state it is in. Harmless when it was given back."""
        sock, self._sock = self._sock, None
        if sock is not None:
            self._pool.release_socket(sock)

    def _receive(self) -> None:
        data = self._sock.recv(_RECV_BYTES)
        self.received_bytes += len(data)
        if data:
            self.feed(data)
        else:
            self._reach_the_end()

    def _reach_the_end(self) -> None:
        """The server closed the connection: the end of a body without a length, or too early."""
        try:
            self.feed(b"")
        except HTTPParseError as error:
            raise ConnectionLostError("the server closed the connection in its answer") from error
        if not self.message_complete:
            raise ConnectionLostError("the server closed the connection without an answer")

    def _on_body(self, buf: bytes | bytearray) -> None:
        self.body_bytes += len(buf)
        self._chunks.append(bytes(buf))

    def _give_back_if_complete(self) -> None:
        if not self.message_complete:
            return
        if self.should_close():
            self.abandon()
            return
        sock, self._sock = self._sock, None
        sock.settimeout(None)
        sock.used = True
        self._pool.return_socket(sock)


class UnixHttpClient:
    """Sends ready-made requests. Timeouts are the caller's: any exception closes the connection."""

    def __init__(self, path: str) -> None:
        self._pool = UnixConnectionPool(path)

    def open(self, wire: bytes, *, method: str) -> Answer:
        """Send a request and read the head of its answer; the body is still to be read.

        Raises OSError when there is nobody to talk to or the connection breaks, and
        geventhttpclient's HTTPParseError for what is not HTTP.
        """
        try:
            return self._open_once(wire, method=method)
        except _NotServedError:
            return self._open_once(wire, method=method)

    def close(self) -> None:
        self._pool.close()

    def _open_once(self, wire: bytes, *, method: str) -> Answer:
        connection = self._pool.get_socket()
        answer = Answer(connection, self._pool, method=method)
        try:
            answer.send(wire)
            answer.read_head()
        except (BrokenPipeError, ConnectionResetError, ConnectionLostError) as error:
            answer.abandon()
            unread = not isinstance(error, ConnectionLostError)
            if answer.received_bytes == 0 and (unread or connection.used):
                raise _NotServedError(*error.args) from error
            raise
        except BaseException:
            answer.abandon()
            raise
        return answer


class _NotServedError(ConnectionError):
    """The connection was closed without the server having acted on the request."""
