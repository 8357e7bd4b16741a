"""All instruments together, as a campaign opens them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from operators import ToolError
from operators.toolbox.instruments import LogQuery, PastDeployment, PastTicket

from campaign.adapters.instruments import Places, open_instruments
from tests.integration.instrument_kit import NO_SANDBOX, workspace


class NoRecords:
    async def tickets(self) -> Sequence[PastTicket]:
        return ()

    async def deployments(self, *, diffs_of: int | None = None) -> Sequence[PastDeployment]:
        assert diffs_of is None
        return ()

    async def notes(self) -> Sequence[str]:
        return ()


@pytest.mark.skipif(NO_SANDBOX is not None, reason=f"no sandbox: {NO_SANDBOX}")
async def test_they_are_opened_from_plain_addresses(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text("hello\n")
    records = NoRecords()
    with workspace() as place:
        sockets = place.parent / "pg"
        sockets.mkdir()
        places = Places(
            workspace=place,
            confined=True,
            app_socket=tmp_path / "app.sock",
            app_dsn=f"postgresql://chat@/chat?host={sockets}&port=5432",
            app_role="chat",
            database_dir=sockets,
            prometheus_url="http://127.0.0.1:9",
            logs_dir=tmp_path,
        )
        async with open_instruments(places, records=records) as instruments:
            assert await instruments.logs.read(LogQuery()) == ["hello"]
            assert instruments.records is records
            async with instruments.shells.open() as shell:
                told = await shell.run("echo $DATABASE_URL; ls -d /run/*", timeout_s=30)
            assert told.output == (
                "postgresql://chat@/chat?host=/run/postgresql\n/run/postgresql\n"
            )
            with pytest.raises(ToolError, match="the database gives no answer"):
                await instruments.database.query("SELECT 1", max_rows=1, timeout_s=5)
            with pytest.raises(ToolError, match="cannot be reached"):
                await instruments.metrics.list()
