"""What docs/webhook.md prints is so: the receiver, the example, the commands, the tables."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import jsonschema_rs
import psutil
import pytest
import typer
from prometheus_client import CollectorRegistry

from campaign.adapters.instruments.metric_names import is_of_the_harness, is_seen
from campaign.adapters.journal import open_journal
from campaign.cli.app import app
from campaign.model import Webhook
from campaign.runs import RunFolder
from campaign.webhook import deliver_left, dispatched, webhook_schema
from campaign.webhook.contents import MOST_BYTES
from campaign.webhook.dispatch import LAST_S, LEFT_S
from campaign.webhook.metrics import WebhookMetrics
from campaign.webhook.patience import Failure, Patience
from campaign.webhook.payload import TYPES, Payload
from campaign.webhook.post import TIMEOUT_S
from tests.docs_kit import DOCS, CommandLine, blocks, broken_links, command_lines, first_column
from tests.runs_kit import played
from tests.webhook_kit import SECRET

PAGE = DOCS / "webhook.md"
OTHER = "whsec_" + base64.b64encode(b"another, of thirty-two bytes too").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """The page's receiver, as a process."""

    process: Process
    url: str

    async def line(self) -> str:
        assert self.process.stdout is not None
        return (await asyncio.wait_for(self.process.stdout.readline(), 30)).decode().strip()


@asynccontextmanager
async def printed_receiver(folder: Path) -> AsyncIterator[Printed]:
    (script,) = blocks(PAGE, "python")
    (folder / "receiver.py").write_text(script)
    secret = folder / "webhook.secret"
    secret.write_text(SECRET)
    process = await asyncio.create_subprocess_exec(
        sys.executable, folder / "receiver.py", secret, "0", stdout=PIPE, stderr=PIPE
    )
    try:
        yield Printed(process=process, url=f"http://127.0.0.1:{await _port(process)}")
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def _port(process: Process) -> int:
    """Where it listens: it was told to take any free port."""
    async with asyncio.timeout(30):
        while True:
            assert process.returncode is None
            for connection in psutil.Process(process.pid).net_connections("tcp4"):
                if connection.status == psutil.CONN_LISTEN:
                    return int(connection.laddr.port)
            await asyncio.sleep(0.02)


async def _first_failure(registry: CollectorRegistry) -> None:
    """Of a delivery, for whatever reason."""
    async with asyncio.timeout(60):
        while not any(  # noqa: ASYNC110 - it is only counted
            registry.get_sample_value("ratchet_webhook_failures_total", {"reason": reason})
            for reason in Failure
        ):
            await asyncio.sleep(0.02)


@pytest.fixture
async def run(tmp_path: Path) -> RunFolder:
    run = RunFolder(path=tmp_path / "one")
    async with open_journal(run.path) as journal:
        for event in played(1):
            await journal.append(event)
    return run


async def test_the_printed_receiver_takes_what_is_ours(run: RunFolder, tmp_path: Path) -> None:
    async with printed_receiver(tmp_path) as receiver:
        webhook = Webhook(url=receiver.url, secret_file=str(tmp_path / "webhook.secret"))
        left: list[object] = []
        await deliver_left(run, webhook, on_left=left.append)
        assert left == []
        said = [await receiver.line() for _ in TYPES]
    assert [line.split(":")[0] for line in said] == ["T001", "T001", "T001", "trial 1, p0"]


async def test_the_printed_receiver_tells_the_same_only_once(
    run: RunFolder, tmp_path: Path
) -> None:
    async with printed_receiver(tmp_path) as receiver:
        webhook = Webhook(url=receiver.url, secret_file=str(tmp_path / "webhook.secret"))
        for _ in range(2):
            await deliver_left(run, webhook, on_left=lambda _: None)
            run.webhook_cursor.unlink()
        said = [await receiver.line() for _ in TYPES]
        receiver.process.terminate()
        assert await receiver.line() == ""
    assert len(set(said)) == len(TYPES)


@pytest.mark.parametrize("secret", ["", OTHER], ids=["unsigned", "signed by another"])
async def test_the_printed_receiver_refuses_what_is_not_ours(
    run: RunFolder, tmp_path: Path, secret: str
) -> None:
    other = tmp_path / "other.secret"
    other.write_text(secret)
    async with printed_receiver(tmp_path) as receiver:
        webhook = Webhook(url=receiver.url, secret_file=str(other) if secret else None)
        words: list[str] = []
        registry = CollectorRegistry()
        async with dispatched(
            run,
            webhook,
            registry=registry,
            on_left=lambda left: words.append(left.words),
            last_s=0.0,
        ):
            await _first_failure(registry)
        receiver.process.terminate()
        assert await receiver.line() == ""
    assert words == ["it answered 401"]


def test_the_example_is_what_is_sent() -> None:
    (example,) = blocks(PAGE, "json")
    jsonschema_rs.validator_for(webhook_schema()).validate(json.loads(example))


def test_the_tables_name_all_types_series_and_reasons() -> None:
    assert tuple(first_column(PAGE, "| type | when | for instance |")) == TYPES
    assert {part.model_fields["type"].default for part in get_args(Payload)} == set(TYPES)
    registry = CollectorRegistry()
    WebhookMetrics(registry)
    series = {
        sample.name
        for family in registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
    assert set(first_column(PAGE, "| series | |")) == series
    assert all(f"`{reason}`" in PAGE.read_text() for reason in Failure)
    assert all(is_of_the_harness(name) and not is_seen(name) for name in series)


def test_the_numbers_are_those_in_the_code() -> None:
    text, patience = " ".join(PAGE.read_text().split()), Patience()
    assert f"within {TIMEOUT_S:g} seconds" in text
    assert f"tried for {LAST_S:g} more seconds" in text
    assert (LEFT_S, patience.first_s, patience.longest_s, patience.longest_wish_s) == (
        60.0,
        1.0,
        60.0,
        300.0,
    )
    assert f"less than {MOST_BYTES // 1000} kB" in text


@pytest.mark.parametrize("line", command_lines(PAGE), ids=str)
def test_a_command_can_be_given_as_it_is_printed(line: CommandLine) -> None:
    command, words = cast("Any", typer.main.get_command(app)), line.words
    while words and hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_no_link_is_broken() -> None:
    assert broken_links(PAGE) == ()
