"""Our rules for failing, against a server that plays a script: one line per connection."""

import contextlib
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
from geventhttpclient.response import HTTPParseError

from loadgen.calls import StreamCall
from loadgen.exchange import Exchange
from loadgen.http_client import LONGEST_BYTES, EndlessAnswerError
from loadgen.metrics import ErrorKind
from loadgen.unix_http import ConnectionLostError, UnixHttpClient

REQUEST = b"GET / HTTP/1.1\r\nHost: app\r\n\r\n"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Act = Callable[[socket.socket], None]


def serve(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(GOOD)


def send(answer: bytes) -> Act:
    def act(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(answer)

    return act


def read_and_hang_up(connection: socket.socket) -> None:
    connection.recv(65_536)


def hang_up_unread(connection: socket.socket) -> None:
    """Wait until the request is there, and close without reading it: the kernel resets."""
    connection.recv(1, socket.MSG_PEEK)


class Server:
    """Plays one act list per connection, in order, then closes that connection."""

    def __init__(self, path: Path, *script: list[Act]) -> None:
        self.connections = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(16)
        self._thread = threading.Thread(target=self._play, args=(script,), daemon=True)
        self._thread.start()

    def _play(self, script: tuple[list[Act], ...]) -> None:
        for acts in script:
            connection, _ = self._listener.accept()
            self.connections += 1
            with connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for act in acts:
                    act(connection)
        self._listener.close()

    def finished(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lg-") as folder:
        yield Path(folder) / "s"


def body(client: UnixHttpClient) -> bytes:
    with gevent.Timeout(10):
        return client.open(REQUEST, method="GET").read()


def test_a_connection_is_used_again(path: Path) -> None:
    server, client = Server(path, [serve, serve, serve]), UnixHttpClient(str(path))
    assert [body(client) for _ in range(3)] == [b"ok"] * 3
    server.finished()
    assert server.connections == 1


@pytest.mark.parametrize("last", [read_and_hang_up, hang_up_unread])
def test_a_used_connection_that_is_closed_costs_nothing(path: Path, last: Act) -> None:
    server, client = Server(path, [serve, last], [serve]), UnixHttpClient(str(path))
    assert [body(client), body(client)] == [b"ok", b"ok"]
    server.finished()
    assert server.connections == 2


def test_an_idle_connection_that_was_closed_is_noticed_before_it_is_used(path: Path) -> None:
    server, client = Server(path, [serve], [serve]), UnixHttpClient(str(path))
    assert [body(client), body(client)] == [b"ok", b"ok"]
    server.finished()
    assert server.connections == 2


def test_a_new_connection_that_was_never_read_costs_nothing(path: Path) -> None:
    server, client = Server(path, [hang_up_unread], [serve]), UnixHttpClient(str(path))
    assert body(client) == b"ok"
    server.finished()


def test_a_server_that_reads_and_hangs_up_is_believed_at_once(path: Path) -> None:
    server, client = Server(path, [read_and_hang_up]), UnixHttpClient(str(path))
    with pytest.raises(ConnectionLostError):
        body(client)
    server.finished()


def test_a_request_is_sent_twice_at_most(path: Path) -> None:
    client = UnixHttpClient(str(path))
    server = Server(path, [hang_up_unread], [hang_up_unread], [serve])
    with pytest.raises(ConnectionError):
        body(client)
    assert body(client) == b"ok"
    server.finished()
    assert server.connections == 3


def test_an_answer_that_breaks_off_is_not_asked_for_again(path: Path) -> None:
    half = send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal")
    server, client = Server(path, [serve, half], [serve]), UnixHttpClient(str(path))
    assert body(client) == b"ok"
    with pytest.raises(ConnectionLostError):
        body(client)
    assert body(client) == b"ok"
    server.finished()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
def test_every_way_to_end_a_body_is_understood(path: Path, answer: bytes) -> None:
    server, client = Server(path, [send(answer)]), UnixHttpClient(str(path))
    assert body(client) == b"ok"
    server.finished()


def test_what_is_not_http_is_refused(path: Path) -> None:
    server, client = Server(path, [send(b"hello\r\n\r\n")]), UnixHttpClient(str(path))
    with pytest.raises(HTTPParseError):
        body(client)
    server.finished()


def endless(head: bytes, piece: bytes) -> Act:
    """As fast as it is read, until whoever reads has had enough."""

    def act(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(head)
        for _ in range(2 * LONGEST_BYTES // len(piece)):
            connection.sendall(piece)

    return act


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", bytes(65_536)),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2_000),
    ],
    ids=["body", "interim answers"],
)
def test_an_answer_without_an_end_is_not_waited_for(path: Path, head: bytes, piece: bytes) -> None:
    server, client = Server(path, [endless(head, piece)]), UnixHttpClient(str(path))
    with pytest.raises(EndlessAnswerError):
        body(client)
    server.finished()


def test_a_stream_without_an_end_is_a_wrong_answer(path: Path) -> None:
    """Of an event that never ends no piece could be forgotten."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ndata: "
    server, client = Server(path, [endless(head, b"x" * 65_536)]), UnixHttpClient(str(path))
    call = StreamCall(
        method="GET", wire=REQUEST, accept=lambda _events: None, first="token", limit_s=10.0
    )
    outcome = Exchange(client, timeout_s=10.0).perform(call, on_first=lambda _s: None)
    server.finished()
    assert outcome.error is ErrorKind.INVALID
    assert outcome.size_bytes < LONGEST_BYTES / 2


def test_nobody_there_is_an_error_that_says_where(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=str(path)):
        body(UnixHttpClient(str(path)))


def test_a_closed_listener_is_refused(path: Path) -> None:
    Server(path).finished()
    with pytest.raises(ConnectionRefusedError):
        body(UnixHttpClient(str(path)))


def test_a_full_queue_is_waited_for(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        clients = [gevent.spawn(body, UnixHttpClient(str(path))) for _ in range(5)]
        gevent.joinall(clients, timeout=0.2)
        assert not any(client.ready() for client in clients)
        for _ in clients:
            connection, _address = listener.accept()
            with connection:
                serve(connection)
            gevent.sleep(0.05)
        gevent.joinall(clients, timeout=10)
        assert [client.value for client in clients] == [b"ok"] * 5
