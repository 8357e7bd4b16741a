"""HTTP/1.1 with geventhttpclient's pool and parser, and our rules for failing.

A request is sent a second time, once and on a new connection, when not one byte of an answer came
and

- the kernel says that the server never read it (the pool knows when to believe that); or
- the connection was a used one and simply ended: a draining app closes idle connections, and drops
  what it reads from them at that moment (aiohttp does). A browser does the same.

So a redeployment costs no request. What an app refuses by hanging up it must refuse twice. Known
trade-off (accepted): a write whose app died in the middle may be stored twice, acknowledged once.
"""

from __future__ import annotations

import socket as os_socket
from typing import TYPE_CHECKING, Any, ClassVar

from gevent import socket
from geventhttpclient.connectionpool import ConnectionPool
from geventhttpclient.response import HTTPParseError, HTTPResponse

if TYPE_CHECKING:
    from collections.abc import Iterator

#: More than there can be requests in flight: the bound is the users', never the pool's.
POOL_SIZE = 100_000
_RECV_BYTES = 65_536
#: of one answer with its head; far more than the longest that an app's worst list has
LONGEST_BYTES = 16 << 20


class ConnectionLostError(ConnectionError):
    """The server closed the connection before its answer was complete."""


class EndlessAnswerError(HTTPParseError):  # type: ignore[misc]
    """The answer is longer than any that there can be.

    An app that sends faster than we read would else hold this process: what is there to be read
    at once is read without a pause, and in a pause alone can the client's patience end.
    """


class Connection(socket.socket):  # type: ignore[misc]
    """A socket that knows whether it has served before."""

    used = False


class KeptPool(ConnectionPool):  # type: ignore[misc]
    """Keep-alive connections; idle ones are checked before use."""

    #: a reset means that the peer closed with the request unread, so that it may be sent again
    reset_is_unread: ClassVar[bool]

    def get_new_socket(self) -> Connection:
        """As `get_socket`, but none that has served before."""
        self._semaphore.acquire()
        try:
            connection: Connection = self._create_socket()
        except BaseException:
            self._semaphore.release()
            raise
        return connection

    def _is_socket_alive(self, sock: Connection) -> bool:
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

    def __init__(self, sock: Connection, pool: KeptPool, *, method: str) -> None:
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
        if self.received_bytes > LONGEST_BYTES:
            raise EndlessAnswerError(f"an answer of more than {LONGEST_BYTES} bytes")
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


class HttpClient:
    """Sends ready-made requests. Timeouts are the caller's: any exception closes the connection."""

    def __init__(self, pool: KeptPool) -> None:
        self._pool = pool

    def open(self, wire: bytes, *, method: str) -> Answer:
        """Send a request and read the head of its answer; the body is still to be read.

        Raises OSError when there is nobody to talk to or the connection breaks, and
        geventhttpclient's HTTPParseError for what is not HTTP.
        """
        try:
            return self._open_once(self._pool.get_socket(), wire, method=method)
        except _NotServedError:
            # Another kept one may lead to the same app, which is about to close it as well.
            return self._open_once(self._pool.get_new_socket(), wire, method=method)

    def close(self) -> None:
        self._pool.close()

    def _open_once(self, connection: Connection, wire: bytes, *, method: str) -> Answer:
        answer = Answer(connection, self._pool, method=method)
        try:
            answer.send(wire)
            answer.read_head()
        except (BrokenPipeError, ConnectionResetError, ConnectionLostError) as error:
            answer.abandon()
            unread = self._pool.reset_is_unread and not isinstance(error, ConnectionLostError)
            if answer.received_bytes == 0 and (unread or connection.used):
                raise _NotServedError(*error.args) from error
            raise
        except BaseException:
            answer.abandon()
            raise
        return answer


class _NotServedError(ConnectionError):
    """The connection was closed without the server having acted on the request."""
