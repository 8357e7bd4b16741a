"""The fake app and the load generator as child processes, and a blocking way to talk to them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self

from loadgen.testing.samples import DONE, IN_FLIGHT, OLDER, Samples, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_TOKEN = "test-token"  # noqa: S105 - of a process that lives as long as the test
_STOP_TIMEOUT_S = 20.0


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("app", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


class _Child:
    """A child process that is stopped, and must stop well, when its block ends."""

    def __init__(self, *arguments: str, stderr: Path) -> None:
        self.stderr = stderr
        with stderr.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *arguments], stdout=output, stderr=output
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """As `kill -9` does."""
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        """Ask it to stop, wait until it has; its exit code."""
        self._process.terminate()
        return self._process.wait(_STOP_TIMEOUT_S)

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def died(self) -> bool:
        return self._process.poll() is not None

    def _wait_until_it(self, does: str, look: Callable[[], bool]) -> None:
        """For constructors: a child that does not come up is not left behind."""
        try:
            wait_until(f"{self._process.args!r} {does}", lambda: self.died() or look())
        except BaseException:
            self.kill()
            raise
        if self.died():
            raise RuntimeError(f"{self._process.args!r} ended: {self.stderr.read_text()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.died():
            self.go_on()
            self._process.kill()
            self._process.wait()


class FakeApp(_Child):
    """See `loadgen.testing.fake_app`. Returns from its constructor when it answers."""

    def __init__(self, path: Path, *, stderr: Path, port: int | None = None) -> None:
        ports = () if port is None else (str(port),)
        super().__init__("loadgen.testing.fake_app", str(path), *ports, stderr=stderr)
        self._path = path
        self._wait_until_it("answers", self._is_mine)

    def mood(self, **mood: Any) -> None:
        """Be like this from now on; without arguments: well."""
        self._ask("POST", mood)

    def seen(self) -> dict[str, Any]:
        """What came in under /api, and what was stored: see `fake_app.Memory`; and the pid."""
        return self._ask("GET", None)

    def _ask(self, method: str, document: Any) -> dict[str, Any]:
        connection = _UnixConnection(self._path)
        try:
            connection.request(method, "/_fake", json.dumps(document))
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()

    def _is_mine(self) -> bool:
        try:
            return bool(self.seen()["pid"] == self.pid)
        except OSError:
            return False


class Generator(_Child):
    """`python -m loadgen` with a private configuration. Returns when its page answers."""

    #: what its files are called
    label = "loadgen"

    def __init__(self, folder: Path, *, app_socket: Path | None, **config: Any) -> None:
        self._ports = ExitStack()
        self.port = self._ports.enter_context(held_port())
        path = folder / f"{self.label}.json"
        document = {
            "clients": "loadgen.chat_db_app",
            "app_socket": None if app_socket is None else str(app_socket),
            "web_port": self.port,
            "control_token": _TOKEN,
            **config,
        }
        path.write_text(json.dumps(document, separators=(",", ":")))
        super().__init__("loadgen", "--config", str(path), stderr=folder / f"{self.label}.log")
        self._wait_until_it("answers", self._serves)

    def __exit__(self, *given: object) -> None:
        super().__exit__(*given)
        self._ports.close()

    def offer(self, *dimensions: dict[str, Any], load_id: str = "test") -> dict[str, Any]:
        """Replace the whole load; raises urllib.error.HTTPError when it is refused."""
        document = {"id": load_id, "dimensions": list(dimensions)}
        answer: dict[str, Any] = json.loads(self.ask("/ratchet/load", put=document))
        return answer

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.ask("/ratchet/status"))
        return answer

    def ledger(self, *, after: int, limit: int = 1_000) -> dict[str, Any]:
        path = f"/ratchet/ledger?after={after}&limit={limit}"
        answer: dict[str, Any] = json.loads(self.ask(path))
        return answer

    def samples(self) -> Samples:
        return Samples.parse(self.ask("/metrics"))

    def once(self, what: str, holds: Callable[[Samples], bool]) -> Samples:
        """The first scrape for which `holds`."""

        def look() -> Samples | None:
            samples = self.samples()
            return samples if holds(samples) else None

        return wait_until(what, look)

    def done(self, count: float, **labels: str) -> Samples:
        """The first scrape that has so many completed requests."""
        return self.once(f"{count} done", lambda now: now.total(DONE, **labels) >= count)

    def silence(self) -> Samples:
        """Offer nothing; the first scrape with nothing under way."""
        self.offer(load_id="silence")
        return self.once(
            "nothing is under way", lambda now: now.total(IN_FLIGHT) == now.total(OLDER) == 0
        )

    def ask(
        self, path: str, *, put: object = None, post: object = None, token: str | None = _TOKEN
    ) -> str:
        """GET, PUT or POST; raises urllib.error.HTTPError unless the status is 2xx."""
        document = put if post is None else post
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method="POST" if post is not None else "GET" if put is None else "PUT",
            data=None if document is None else json.dumps(document).encode(),
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - always http
            text: str = answer.read().decode()
            return text

    def _serves(self) -> bool:
        try:
            return bool(self.status())
        except urllib.error.URLError:
            return False


@contextmanager
def held_port() -> Iterator[int]:
    """A port of the loopback that nobody else is given, whoever asks for any that is free.

    A server that wants this very one gets it, since it sets SO_REUSEADDR as we do. Only Linux lets
    it; elsewhere the port is free again at once.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        if sys.platform != "linux":
            holder.close()
        yield port
