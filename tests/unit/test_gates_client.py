"""The gates' client: like any other to the app, and never at its mercy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from campaign.gates.answer import Answer
from campaign.gates.client import connected
from campaign.gates.finding import AppFailedError
from loadgen.calls import get, post

Speak = Callable[[asyncio.StreamWriter], Awaitable[None]]
#: only bounds what hangs
PATIENT_S = 30.0
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


class Server:
    """Remembers what it was sent on how many connections."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.received = b""
        self.connections = 0
        self.left = asyncio.Event()


@asynccontextmanager
async def serving(path: Path, speak: Speak | bytes) -> AsyncIterator[Server]:
    server = Server(path / "app.sock")

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            while heard := await reader.read(65536):
                server.received += heard
                if isinstance(speak, bytes):
                    writer.write(speak)
                    await writer.drain()
                else:
                    await speak(writer)
        except OSError:
            pass
        finally:
            server.left.set()
            writer.close()

    async with await asyncio.start_unix_server(accepted, server.path):
        yield server


async def test_a_get_is_the_load_generators_byte_for_byte(tmp_path: Path) -> None:
    path = "/api/search?q=caf%C3%A9+%2B%20x"
    async with serving(tmp_path, OK) as server, connected(server.path) as client:
        await client.request("GET", path, user=7)
    assert server.received == get(path, user_id=7)


async def test_a_post_is_the_load_generators_byte_for_byte(tmp_path: Path) -> None:
    document = {"content": "naïve 😀", "tokens": 3}
    async with serving(tmp_path, OK) as server, connected(server.path) as client:
        await client.request("POST", "/api/users", user=7, json=document)
    assert server.received == post("/api/users", user_id=7, document=document)


async def test_connections_are_kept(tmp_path: Path) -> None:
    async with serving(tmp_path, OK) as server, connected(server.path) as client:
        for _ in range(3):
            assert (await client.another().request("GET", "/")).json() == {}
        assert server.connections == 1


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 1_000_000)
        await writer.drain()


async def dripping(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def silent(_writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def hanging_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


TOO_LATE = "within 0.5 s"
HOSTILE: dict[str, tuple[Speak | bytes, str]] = {
    "says nothing": (silent, TOO_LATE),
    "never comes to an end": (endless, f"does not end|{TOO_LATE}"),
    "speaks slowly": (dripping, TOO_LATE),
    "hangs up": (hanging_up, "no answer"),
    "speaks something else": (b"220 smtp.example.org ESMTP\r\n", "no answer"),
    "has endless headers": (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 500_000, "no answer"),
    "lies about its length": (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "no answer"),
    "lies about its encoding": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
        "no answer",
    ),
}


@pytest.mark.parametrize("how", HOSTILE)
async def test_an_app_that_does_not_answer_has_failed(tmp_path: Path, how: str) -> None:
    speak, told = HOSTILE[how]
    # Whoever is told by what came must not be late as well, however slow this machine is.
    timeout_s = 0.5 if TOO_LATE in told else PATIENT_S
    async with (
        asyncio.timeout(2 * PATIENT_S),
        serving(tmp_path, speak) as server,
        connected(server.path) as client,
    ):
        with pytest.raises(AppFailedError, match=told):
            await client.request("GET", "/", timeout_s=timeout_s)
        assert client.waited_s > 0


async def test_redirections_and_errors_are_answers(tmp_path: Path) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    async with serving(tmp_path, moved) as server, connected(server.path) as client:
        answer = await client.request("GET", "/")
    assert answer.status == 302
    assert answer.headers["location"] == "/elsewhere"


async def test_a_stream_gives_its_events(tmp_path: Path) -> None:
    async def two(writer: asyncio.StreamWriter) -> None:
        writer.write(EVENTS + b'event: token\ndata: "a"\n\nevent: done\ndata: {}\n\n')
        writer.close()

    async with serving(tmp_path, two) as server, connected(server.path) as client:
        heard = await client.stream("/stream", user=1, json={})
    assert [(event.name, event.data) for event in heard.events] == [
        ("token", '"a"'),
        ("done", "{}"),
    ]


async def test_a_client_may_leave_a_stream_in_the_middle(tmp_path: Path) -> None:
    async def babbling(writer: asyncio.StreamWriter) -> None:
        writer.write(EVENTS)
        while True:
            writer.write(b'event: token\ndata: "a"\n\n')
            await writer.drain()
            await asyncio.sleep(0.01)

    async with serving(tmp_path, babbling) as server, connected(server.path) as client:
        heard = await client.stream("/stream", user=1, json={}, leave_after=3)
        async with asyncio.timeout(PATIENT_S):
            await server.left.wait()
    assert len(heard.events) >= 3


# --- answers -------------------------------------------------------------------------------


class Count(BaseModel):
    """A documented shape."""

    model_config = ConfigDict(strict=True)

    count: int


def answer(body: bytes, *, status: int = 200) -> Answer:
    return Answer(asked="GET /count", status=status, headers={}, body=body)


def test_an_answer_is_read_in_its_shape() -> None:
    assert answer(b'{"count": 3, "more": 1}').read(Count).count == 3


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"count": "3"}', "count: Input should be a valid integer"),
        (b"{}", "count: Field required"),
        (b"[]", "body: Input should be an object"),
        (b"nothing like JSON", "Invalid JSON"),
        (b"[" * 100_000, "Invalid JSON"),
        (b'{"count": ' + b"9" * 10_000 + b"}", "number out of range"),
        (b"", "Invalid JSON"),
    ],
)
def test_any_other_shape_is_the_apps_failure(body: bytes, told: str) -> None:
    with pytest.raises(AppFailedError, match=f"GET /count: not the documented answer.*{told}"):
        answer(body).read(Count)


def test_another_status_is_the_apps_failure() -> None:
    with pytest.raises(AppFailedError, match=r"expected status 200, got '500 with oops'"):
        answer(b"oops", status=500).read(Count)
