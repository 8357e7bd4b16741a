"""A server that costs next to nothing, and knows by itself how long it took for each answer.

What it is asked it answers after a pause, spread evenly from 0 to `SLOWEST_S`: the load generator
is the bottleneck, and what its clients measured can be compared with what was. `SLOWEST_S` is an
edge of their histogram, within whose buckets an even spread is what is reckoned with.
"""

from __future__ import annotations

import heapq
import http.client
import itertools
import math
import select
import socket
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadgen.testing import wait_until

#: of all answers, the slowest pause
SLOWEST_S = 0.15
#: an edge of the clients' histogram: slower than this are a third
SLOW_S = 0.1
#: multiples of it, without their whole parts, are spread evenly
_GOLDEN = (math.sqrt(5) - 1) / 2
_TRUTH = b"/_truth"
_BACKLOG = 1024


@dataclass(frozen=True, kw_only=True)
class Truth:
    """How long answers took, from the request's arrival at the server to the answer's leaving."""

    durations_s: tuple[float, ...]

    def quantile_s(self, q: float) -> float:
        """Exact: the smallest duration that a share of `q` does not exceed. 0 without any."""
        ordered = sorted(self.durations_s)
        return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else 0.0

    @property
    def slow_ratio(self) -> float:
        """The share that took longer than `SLOW_S`."""
        slow = sum(duration_s > SLOW_S for duration_s in self.durations_s)
        return slow / len(self.durations_s) if self.durations_s else 0.0


@dataclass(frozen=True, kw_only=True)
class Server:
    """The server as a child process."""

    path: Path
    pid: int

    def truth(self) -> Truth:
        """Of all answers since the last time it was asked."""
        connection = _Connection(self.path)
        try:
            connection.request("GET", _TRUTH.decode())
            taken = array("d", connection.getresponse().read())
        finally:
            connection.close()
        return Truth(durations_s=tuple(taken))


@contextmanager
def running(path: Path) -> Iterator[Server]:
    """Listens at `path` until the block ends."""
    command = [sys.executable, "-m", "tests.bench.load_server", str(path)]
    with subprocess.Popen(command) as process:
        try:
            wait_until("the server listens", path.exists)
            yield Server(path=path, pid=process.pid)
        finally:
            process.kill()


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("app", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


class _Loop:
    """`GET /api/users/7` is answered with the user's id. One thread, no framework: see above."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        # Under its name only when it listens: that is what is waited for.
        unnamed = path.with_suffix(".new")
        self._listener.bind(str(unnamed))
        self._listener.listen(_BACKLOG)
        unnamed.rename(path)
        self._listener.setblocking(False)  # noqa: FBT003 - its only way
        self._ready = select.epoll()
        self._ready.register(self._listener, select.EPOLLIN)
        self._clients: dict[int, socket.socket] = {}
        self._number = itertools.count(1)
        #: when it is due, its number, when it was asked, for whom, the answer
        self._due: list[tuple[float, int, float, socket.socket, bytes]] = []
        self._took = array("d")

    def run(self) -> None:
        while True:
            left_s = self._due[0][0] - time.monotonic() if self._due else None
            for number, _ in self._ready.poll(left_s if left_s is None else max(0.0, left_s)):
                if number == self._listener.fileno():
                    self._accept()
                else:
                    self._read(self._clients[number])
            self._answer()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        client.setblocking(False)  # noqa: FBT003 - its only way
        self._clients[client.fileno()] = client
        self._ready.register(client, select.EPOLLIN)

    def _read(self, client: socket.socket) -> None:
        try:
            request = client.recv(4096)
        except ConnectionError:
            request = b""
        if not request:
            self._ready.unregister(client)
            del self._clients[client.fileno()]
            client.close()
            return
        path = request.split(b" ", 2)[1]
        if path == _TRUTH:
            self._tell(client)
            return
        asked_s, number = time.monotonic(), next(self._number)
        pause_s = SLOWEST_S * (number * _GOLDEN % 1.0)
        answer = _json(b'{"id": ' + path.rsplit(b"/", 1)[1] + b"}")
        heapq.heappush(self._due, (asked_s + pause_s, number, asked_s, client, answer))

    def _answer(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            _, _, asked_s, client, answer = heapq.heappop(self._due)
            try:
                client.send(answer)
            except OSError:  # it has left
                continue
            self._took.append(time.monotonic() - asked_s)

    def _tell(self, client: socket.socket) -> None:
        taken, self._took = self._took, array("d")
        client.setblocking(True)  # noqa: FBT003 - its only way
        client.sendall(_json(taken.tobytes()))
        client.setblocking(False)  # noqa: FBT003 - its only way


def _json(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
    return head + str(len(body)).encode() + b"\r\n\r\n" + body


if __name__ == "__main__":
    _Loop(Path(sys.argv[1])).run()
