"""The probes on a real Postgres, with the app's role doing what apps do to it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from campaign.adapters.database import Probes, TargetDatabase
from campaign.adapters.database.connections import connect_harness
from campaign.adapters.loadgen import AcknowledgedWrite, LedgerPage
from campaign.ports import PortError
from loadgen.ledger import Ledger, Write
from tests.integration.database_kit import Server, catalogue, data, running_server

pytestmark = [pytest.mark.alone, pytest.mark.asyncio(loop_scope="module")]

TARGET = catalogue().target
STUCK = "ratchet_database_idle_in_transaction_sessions"
STATEMENTS = "ratchet_database_statements_total"
LOST, MISSING = "ratchet_ledger_lost_tokens", "ratchet_ledger_missing_messages"
#: bounds what would never happen, and nothing that is slow
_PATIENCE_S = 60.0


class FakeGenerator:
    """The generator's ledger without the generator."""

    def __init__(self) -> None:
        self.book = Ledger()
        self.down = False

    async def ledger(self, *, after: int, limit: int) -> LedgerPage:
        if self.down:
            raise PortError("loadgen", "cannot be reached")
        page = self.book.page(after=after, limit=limit)
        entries = tuple(AcknowledgedWrite(**entry) for entry in page.entries)
        return LedgerPage(entries=entries, last=page.last, dropped=page.dropped)

    def acknowledge(
        self, message_id: int, *, user: int = 1, tokens: int = 10, took_s: float = 0.0
    ) -> None:
        self.book.record(
            Write(
                user_id=user,
                conversation_id=user,
                message_id=message_id,
                tokens=tokens,
                kind="message",
                asked_at=time.time() - took_s,
                acked_at=time.time(),
            )
        )


class Watched:
    """Probes at work, and what they show."""

    def __init__(self, server: Server, ledger_file: Path) -> None:
        self.registry = CollectorRegistry()
        self.generator = FakeGenerator()
        self.probes = Probes(
            server.superuser_dsn,
            maintenance_dsn=server.addresses.maintenance_dsn,
            target=TARGET,
            ledger=self.generator,
            ledger_file=ledger_file,
            registry=self.registry,
        )

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            while not holds():  # noqa: ASYNC110 - what the probes show rings no bell
                await asyncio.sleep(0.05)

    async def until_value(self, name: str, value: float | None, **labels: str) -> None:
        try:
            await self.until(lambda: self.value(name, **labels) == value)
        except TimeoutError:
            pytest.fail(f"{name} is {self.value(name, **labels)}, not {value}")

    async def rounds(self, counter: str, count: int = 2) -> None:
        """Wait for that many ends of a round: the second one began after now."""
        before = self.value(counter) or 0
        await self.until(lambda: (self.value(counter) or 0) >= before + count)

    async def settled(self) -> None:
        """What is acknowledged now was looked up: a second after its answer, and not before."""
        await self.rounds("ratchet_ledger_checks_total", 4)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    async with running_server() as running:
        yield running


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that pauses for a second makes no gap: only what never answers does."""
    of = "campaign.adapters.database"
    for part in ("server", "checker"):
        monkeypatch.setattr(f"{of}.{part}._ANSWER_TIMEOUT_S", _PATIENCE_S)
        monkeypatch.setattr(f"{of}.{part}._STATEMENT_TIMEOUT", f"{_PATIENCE_S:g}s")
    monkeypatch.setattr(f"{of}.connections.CONNECT_TIMEOUT_S", _PATIENCE_S)
    monkeypatch.setattr(f"{of}.exposition.FRESH_S", _PATIENCE_S)


@pytest.fixture
def hasty(patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the limits that the probes have in a campaign."""
    del patient
    monkeypatch.undo()


@pytest_asyncio.fixture(loop_scope="module")
async def watched(server: Server, tmp_path: Path) -> AsyncIterator[Watched]:
    await until_alone(server)
    watched = Watched(server, tmp_path / "ledger.jsonl")
    async with watched.probes:
        yield watched


@pytest_asyncio.fixture(loop_scope="module")
async def app(server: Server) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(server.addresses.app_dsn)
    yield connection
    await connection.close()


async def until_alone(server: Server) -> None:
    """Sessions of an earlier test are gone: what they did is in the server's statistics."""
    async with asyncio.timeout(_PATIENCE_S):
        while await server.fetchval(  # noqa: ASYNC110 - another process decides
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ):
            await asyncio.sleep(0.05)


def postmaster(server: Server) -> int:
    return int((server.cluster.pgdata / "postmaster.pid").read_text().split()[0])


async def store(app: asyncpg.Connection[Any], *, user: int = 1, charge: int = 10) -> int:
    """A message of ten tokens, and what its user is charged for it; gives the message's id."""
    async with app.transaction():
        await app.execute(
            "UPDATE users SET token_usage = token_usage + $2 WHERE id = $1", user, charge
        )
        message_id = await app.fetchval(
            "INSERT INTO messages (conversation_id, user_id, role, content, token_count)"
            " VALUES ($1, $1, 'user', 'x', 10) RETURNING id",
            user,
        )
    return int(message_id)


async def test_everything_is_shown_from_the_beginning(watched: Watched) -> None:
    assert watched.value("ratchet_database_probe_success") == 1
    assert watched.value("ratchet_database_max_connections") == 100
    assert watched.value("ratchet_database_connections", state="active") == 0
    assert watched.value("ratchet_database_wal_bytes_total") == 0
    assert watched.value(LOST) == 0
    assert watched.value(MISSING) == 0
    assert watched.value("ratchet_ledger_acknowledged_writes_total") == 0


async def test_connections_of_the_apps_role_are_counted_by_state(
    watched: Watched, app: asyncpg.Connection[Any]
) -> None:
    await watched.until_value("ratchet_database_connections", 1, state="idle")
    await app.execute("BEGIN")
    await watched.until_value("ratchet_database_connections", 1, state="idle in transaction")
    await watched.until_value(STUCK, 1)
    await app.execute("COMMIT")
    await watched.until_value(STUCK, 0)


async def test_a_look_succeeds_while_the_app_holds_every_slot(
    watched: Watched, server: Server
) -> None:
    hoard: list[asyncpg.Connection[Any]] = []
    try:
        while True:
            hoard.append(await asyncpg.connect(server.addresses.app_dsn))
    except asyncpg.TooManyConnectionsError:
        await watched.rounds("ratchet_database_probes_total")
        assert (watched.value("ratchet_database_connections", state="idle") or 0) > 90
        await watched.rounds("ratchet_ledger_checks_total")
    finally:
        # Each slot is free again when this is over; the next test needs one.
        await asyncio.gather(*(connection.close() for connection in hoard))


async def test_written_log_is_counted(watched: Watched, app: asyncpg.Connection[Any]) -> None:
    await app.execute(
        "CREATE TABLE ballast AS SELECT repeat('x', 100) FROM generate_series(1, 1e5)"
    )
    await watched.until(
        lambda: (watched.value("ratchet_database_wal_bytes_total") or 0) > 10_000_000
    )
    await app.execute("DROP TABLE ballast")


async def test_statements_of_the_apps_role_are_counted_and_no_others(
    watched: Watched, server: Server, app: asyncpg.Connection[Any]
) -> None:
    await watched.rounds("ratchet_database_probes_total")
    before = watched.value(STATEMENTS) or 0
    harness = await connect_harness(server.superuser_dsn)
    try:
        for _ in range(30):
            await app.fetch("SELECT 1")
            await harness.fetch("SELECT 1")
            await server.fetchval("SELECT 1")
    finally:
        await harness.close()
    await watched.rounds("ratchet_database_probes_total")
    assert watched.value(STATEMENTS) == before + 30


async def test_what_the_server_had_to_do_is_counted(
    watched: Watched, app: asyncpg.Connection[Any]
) -> None:
    def moved(name: str, **labels: str) -> float:
        return watched.value(name, **labels) or 0

    transactions, rows = "ratchet_database_transactions_total", "ratchet_database_rows_total"
    kept = moved(transactions, outcome="committed")
    undone = moved(transactions, outcome="rolled_back")
    read = moved(rows, access="read")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await app.fetch("SELECT 1 / 0")
    await app.fetch("SELECT count(*) FROM pg_class")
    # An idle backend hands its statistics over after ten seconds at the latest.
    await watched.until(
        lambda: (
            moved(transactions, outcome="rolled_back") == undone + 1
            and moved(transactions, outcome="committed") > kept
            and moved(rows, access="read") > read + 100
        )
    )
    assert watched.value("ratchet_database_deadlocks_total") == 0


async def test_a_session_that_waits_for_a_lock_is_seen_and_so_is_the_age_of_its_transaction(
    watched: Watched, server: Server, app: asyncpg.Connection[Any]
) -> None:
    waiting = "ratchet_database_waiting_sessions"
    oldest = "ratchet_database_longest_transaction_seconds"
    await watched.until_value(waiting, 0)
    other = await asyncpg.connect(server.addresses.app_dsn)
    try:
        async with other.transaction():
            await other.execute("SELECT pg_advisory_xact_lock(4711)")
            blocked = asyncio.create_task(app.execute("SELECT pg_advisory_lock(4711)"))
            await watched.until_value(waiting, 1)
            await watched.until(lambda: (watched.value(oldest) or 0) > 1.0)
        await blocked
        await watched.until_value(waiting, 0)
        await watched.until_value(oldest, 0)
    finally:
        await other.close()


async def test_statistics_that_are_forgotten_take_nothing_back(
    watched: Watched, server: Server, app: asyncpg.Connection[Any]
) -> None:
    for _ in range(30):
        await app.fetch("SELECT 1")
    await watched.rounds("ratchet_database_probes_total")
    before = watched.value(STATEMENTS) or 0
    await server.fetchval("SELECT pg_stat_statements_reset()")
    await watched.rounds("ratchet_database_probes_total")
    assert watched.value(STATEMENTS) == before
    await app.fetch("SELECT 1")
    await watched.until_value(STATEMENTS, before + 1)


async def test_the_app_cannot_put_code_of_its_own_where_the_probe_looks(
    watched: Watched, server: Server, app: asyncpg.Connection[Any]
) -> None:
    """It owns the schema that its own database's pg_stat_statements is in."""
    await app.execute(
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
        "CREATE FUNCTION public.pg_stat_statements(showtext boolean) RETURNS SETOF record"
        " LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); END $$"
    )
    try:
        await watched.rounds("ratchet_database_probes_total", 3)
        assert watched.value("ratchet_database_probe_success") == 1
    finally:
        await server.renew()


async def test_what_was_acknowledged_and_stored_is_in_order(
    watched: Watched, app: asyncpg.Connection[Any]
) -> None:
    for user in (1, 2, 3):
        watched.generator.acknowledge(await store(app, user=user), user=user)
    await watched.until_value("ratchet_ledger_acknowledged_writes_total", 3)
    await watched.settled()
    assert (watched.value(LOST), watched.value(MISSING)) == (0, 0)


async def test_an_acknowledged_message_that_is_not_there_is_missing(watched: Watched) -> None:
    watched.generator.acknowledge(999_999, tokens=1)
    await watched.until_value(MISSING, 1)


async def test_a_message_that_is_deleted_later_is_missing(
    watched: Watched, app: asyncpg.Connection[Any]
) -> None:
    message_id = await store(app)
    watched.generator.acknowledge(message_id)
    await watched.settled()
    assert watched.value(MISSING) == 0
    await app.execute("DELETE FROM messages WHERE id = $1", message_id)
    await watched.until_value(MISSING, 1)


async def test_tokens_that_an_account_does_not_show_are_lost(
    watched: Watched, app: asyncpg.Connection[Any]
) -> None:
    """The second of two racing writers overwrote what the first had added."""
    watched.generator.acknowledge(await store(app, user=5), user=5)
    watched.generator.acknowledge(await store(app, user=5, charge=0), user=5)
    await watched.until_value(LOST, 10)


async def test_accounts_of_a_growth_begin_with_what_was_loaded(
    watched: Watched, server: Server, app: asyncpg.Connection[Any]
) -> None:
    user = 3_000_000_000
    profile = catalogue().profile("streaming_txn")
    database = TargetDatabase(server.superuser_dsn, data=data(), usage=TARGET.ledger.usage)
    await database.grow(profile, growth_id="t2-grow")
    watched.generator.acknowledge(await store(app, user=user, charge=4), user=user)
    await watched.until_value(LOST, 6)


async def test_a_generator_that_is_away_leaves_a_gap_and_its_successor_starts_anew(
    watched: Watched, app: asyncpg.Connection[Any]
) -> None:
    watched.generator.acknowledge(await store(app))
    await watched.until_value("ratchet_ledger_acknowledged_writes_total", 1)
    watched.generator.down = True
    await watched.until_value(MISSING, None)
    assert watched.value("ratchet_database_probe_success") == 1
    watched.generator.book = Ledger()
    watched.generator.down = False
    watched.generator.acknowledge(await store(app))
    await watched.until_value("ratchet_ledger_acknowledged_writes_total", 2)


async def test_a_dropped_table_leaves_a_gap_in_the_ledger_alone(
    watched: Watched, app: asyncpg.Connection[Any]
) -> None:
    watched.generator.acknowledge(await store(app))
    await app.execute("ALTER TABLE messages RENAME TO letters")
    try:
        await watched.until_value(MISSING, None)
        assert watched.value("ratchet_database_probe_success") == 1
        assert watched.value("ratchet_ledger_checks_total") is not None
    finally:
        await app.execute("ALTER TABLE letters RENAME TO messages")
    await watched.until_value(MISSING, 0)


@pytest.mark.usefixtures("hasty")
async def test_a_locked_table_leaves_a_gap_and_not_a_hanging_probe(
    watched: Watched, app: asyncpg.Connection[Any]
) -> None:
    watched.generator.acknowledge(await store(app))
    await watched.until_value("ratchet_ledger_acknowledged_writes_total", 1)
    async with app.transaction():
        await app.execute("LOCK TABLE messages, users")
        await watched.until_value(MISSING, None)
    await watched.until_value(MISSING, 0)


@pytest.mark.usefixtures("hasty")
async def test_a_server_that_stands_still_leaves_a_gap(watched: Watched, server: Server) -> None:
    await watched.until_value("ratchet_database_probe_success", 1)
    session = await server.fetchval(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'ratchet'"
        " AND usename = 'ratchet' ORDER BY backend_start DESC LIMIT 1"
    )
    # With the process that lets others in: a new session would answer a moment later.
    stopped = (postmaster(server), session)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        await watched.until_value("ratchet_database_probe_success", 0)
        assert watched.value(STUCK) is None
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    await watched.until_value("ratchet_database_probe_success", 1)


async def test_a_restarted_server_is_found_again(watched: Watched, server: Server) -> None:
    await server.stop()
    await watched.until_value("ratchet_database_probe_success", 0)
    await server.start()
    await watched.until_value("ratchet_database_probe_success", 1)
    await watched.until_value(MISSING, 0)


async def test_another_database_starts_with_an_empty_ledger(
    watched: Watched, server: Server
) -> None:
    watched.generator.acknowledge(999_999, tokens=1)
    await watched.until_value(MISSING, 1)
    await server.renew()
    await watched.until_value(MISSING, 0)
    assert watched.value("ratchet_ledger_acknowledged_writes_total") == 0
    assert (watched.value("ratchet_database_wal_bytes_total") or 0) < 10_000_000


async def test_what_was_asked_of_the_database_before_does_not_count(
    watched: Watched, server: Server
) -> None:
    watched.generator.acknowledge(999_997)
    await watched.until_value(MISSING, 1)
    await server.renew()
    await watched.until_value(MISSING, 0)
    watched.generator.acknowledge(999_999, took_s=60.0)
    watched.generator.acknowledge(999_998)
    await watched.until_value(MISSING, 1)
    await watched.settled()
    assert watched.value(MISSING) == 1


async def test_a_resumed_campaign_still_knows_what_was_acknowledged(
    server: Server, app: asyncpg.Connection[Any], tmp_path: Path
) -> None:
    file = tmp_path / "kept" / "ledger.jsonl"
    first = Watched(server, file)
    async with first.probes:
        first.generator.acknowledge(await store(app, user=9, charge=3), user=9)
        await first.until_value(LOST, 7)
    second = Watched(server, file)
    async with second.probes:
        await second.until_value(LOST, 7)
        assert second.value("ratchet_ledger_acknowledged_writes_total") == 1


async def test_nothing_is_shown_any_more_after_the_end(server: Server, tmp_path: Path) -> None:
    watched = Watched(server, tmp_path / "ledger.jsonl")
    async with watched.probes:
        assert watched.value(MISSING) == 0
    assert list(watched.registry.collect()) == []
