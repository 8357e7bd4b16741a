"""The functional and the correct gate, on the real app with a real database."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from campaign.gates.client import AppClient, connected
from campaign.gates.discovery import assertions
from campaign.model import AssertionState
from tests.integration.database_kit import running_server
from tests.integration.gates_changes import CHANGES
from tests.integration.gates_kit import Change, Stage, audited, failed, serving, staged

pytestmark = pytest.mark.alone

in_one_loop = pytest.mark.asyncio(loop_scope="module")

LEDGER = "no_acknowledged_write_is_lost_or_altered"
RETENTION = "no_message_is_deleted"
CORRECT = {assertion.name for assertion in assertions("correct", target="chat_db_app")}

#: of people who use the app beside the gates
_PATIENCE_S = 60.0
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#: what a hostile app answers to whatever it is asked
HOSTILE = {
    "an object": OK + b"Content-Length: 2\r\n\r\n{}",
    "a number": OK + b"Content-Length: 4\r\n\r\n1e99",
    "other types": OK + b'Content-Length: 25\r\n\r\n{"id": [1], "unread": "0"}',
    "garbage": b"\x00\xff\x01 nothing like HTTP\r\n\r\n" * 20,
    "half an answer": OK + b"Content-Length: 1000\r\n\r\n{",
    "nothing": b"",
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with running_server() as server, staged(server) as made:
        yield made


@in_one_loop
async def test_the_unmodified_app_passes_both_gates_again_and_again(stage: Stage) -> None:
    async with serving(stage.server) as app_socket:
        for audit in ("1", "2", "3"):
            results = await audited(stage.runner(app_socket), audit)
            assert failed(results) == {}
            assert {result.name for result in results if result.gate == "correct"} == CORRECT
            assert {result.gate for result in results} == {"functional", "correct"}


@in_one_loop
async def test_the_unmodified_app_passes_beside_others_who_use_it(stage: Stage) -> None:
    async with serving(stage.server) as app_socket, traffic(app_socket) as requests:
        for audit in ("1", "2", "3"):
            assert failed(await audited(stage.runner(app_socket), audit)) == {}
    assert len(requests) > 20


@in_one_loop
@pytest.mark.parametrize("change", CHANGES)
async def test_an_app_that_is_wrong_fails_the_assertion_for_it(stage: Stage, change: str) -> None:
    noticed_by, made = CHANGES[change]
    async with serving(stage.server, made) as app_socket:
        (result,) = await audited(stage.runner(app_socket, only=noticed_by), change)
    assert result.state is AssertionState.FAIL, result
    assert result.details.keys() == {"expected", "actual"}


def test_each_assertion_of_the_correct_gate_has_been_seen_to_fail() -> None:
    assert {noticed_by for noticed_by, _ in CHANGES.values()} | {LEDGER, RETENTION} == CORRECT


@in_one_loop
@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM messages WHERE id = {id}",
        "UPDATE messages SET content = left(content, 8) WHERE id = {id}",
        "UPDATE messages SET token_count = token_count - 1 WHERE id = {id}",
        "UPDATE messages SET conversation_id = 1000 WHERE id = {id}",
        "UPDATE messages SET user_id = 1000 WHERE id = {id}",
    ],
)
async def test_an_acknowledged_write_that_is_lost_or_altered_is_noticed(
    stage: Stage, harm: str
) -> None:
    writes = await stage.database.acknowledged()
    last = writes[-1].message_id
    async with serving(stage.server) as app_socket, harmed(stage, harm.format(id=last)):
        (result,) = await audited(stage.runner(app_socket, only=LEDGER))
    assert result.state is AssertionState.FAIL
    assert str(last) in result.message


@in_one_loop
async def test_deleted_messages_are_noticed_in_the_trial_they_are_deleted_in(stage: Stage) -> None:
    async with serving(stage.server) as app_socket:
        runner = stage.runner(app_socket, only=RETENTION)
        async with harmed(stage, "DELETE FROM messages WHERE id IN (101, 102)"):
            results = [(await audited(runner, trial=trial))[0] for trial in (1, 1, 2)]
        assert [result.state for result in results] == [
            AssertionState.FAIL,
            AssertionState.FAIL,
            AssertionState.PASS,
        ]
        assert "user 13" in results[0].message
        async with harmed(stage, "DELETE FROM messages WHERE id BETWEEN 101 AND 103"):
            (more,) = await audited(runner, trial=2)
    assert more.state is AssertionState.FAIL


@in_one_loop
async def test_what_an_operation_stops_answering_by_its_document_is_named(stage: Stage) -> None:
    change = Change(file="models.py", old='"messages": messages}', new='"count": messages}')
    async with serving(stage.server, change) as app_socket:
        results = await audited(stage.runner(app_socket))
    by_name = {result.name: result for result in results}
    told = by_name["every_operation_answers_by_its_document"]
    assert told.state is AssertionState.FAIL
    assert "token_usage" in told.message
    assert {result.state for result in results if result.gate == "correct"} == {
        AssertionState.BLOCKED
    }


@in_one_loop
@pytest.mark.parametrize("answer", HOSTILE)
async def test_whatever_a_hostile_app_answers_is_its_failure(stage: Stage, answer: str) -> None:
    async with answering(HOSTILE[answer]) as app_socket:
        for name in sorted(CORRECT - {LEDGER, RETENTION}):
            (result,) = await audited(stage.runner(app_socket, only=name), answer)
            assert result.state is AssertionState.FAIL, result
            assert result.message


@in_one_loop
async def test_an_app_that_hangs_fails_once_and_blocks_the_rest(stage: Stage) -> None:
    async with answering(None) as app_socket:
        results = await audited(stage.runner(app_socket))
    states = {result.name: result.state for result in results}
    assert states.pop("is_healthy") is AssertionState.FAIL
    assert set(states.values()) == {AssertionState.BLOCKED}


@asynccontextmanager
async def harmed(stage: Stage, statement: str) -> AsyncIterator[None]:
    """Messages after `statement`; they are as they were at the end."""
    await stage.server.execute("CREATE TABLE kept AS SELECT * FROM messages", statement)
    try:
        yield
    finally:
        await stage.server.execute(
            "DELETE FROM messages USING kept WHERE kept.id = messages.id",
            "INSERT INTO messages SELECT * FROM kept",
            "DROP TABLE kept",
        )


@asynccontextmanager
async def traffic(app_socket: Path) -> AsyncIterator[list[int]]:
    """People who write, read, mark, clean up and broadcast to everybody; gives the statuses."""
    statuses: list[int] = []
    asked: tuple[tuple[str, str, object], ...] = (
        ("POST", "/api/conversations/{user}/messages", {"content": "the deploy finished"}),
        ("POST", "/api/conversations/{user}/stream", {"content": "and again", "tokens": 20}),
        ("POST", "/api/notifications/mark_read", {}),
        ("POST", "/api/notifications/cleanup", {"older_than_days": 30, "limit": 20}),
        ("GET", "/api/stats", None),
    )

    async def ask(client: AppClient, user: int) -> None:
        for method, path, document in itertools.cycle(asked):
            answer = await client.request(
                method, path.format(user=user), user=user, json=document, timeout_s=_PATIENCE_S
            )
            statuses.append(answer.status)
            await asyncio.sleep(0.2)

    async def announce(client: AppClient) -> None:
        document = {"title": "Announcement", "body": "to everybody"}
        while True:
            await client.request(
                "POST",
                "/api/notifications/broadcast",
                user=1,
                json=document,
                timeout_s=_PATIENCE_S,
            )
            await asyncio.sleep(1.5)

    async with connected(app_socket) as client:
        tasks = [asyncio.create_task(ask(client, user)) for user in (1, 2, 3)]
        tasks.append(asyncio.create_task(announce(client)))
        try:
            yield statuses
            assert not any(task.done() for task in tasks), tasks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def answering(answer: bytes | None) -> AsyncIterator[Path]:
    """A server that gives the same answer to everything and hangs up; None: it never answers."""

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            if answer is not None:
                writer.write(answer)
                await writer.drain()
            else:
                await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    with tempfile.TemporaryDirectory(prefix="ratchet-hostile-") as name:
        path = Path(name) / "app.sock"
        async with await asyncio.start_unix_server(accepted, path):
            yield path
